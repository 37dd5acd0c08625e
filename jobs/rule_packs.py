"""Rule packs: import (stage), activate, roll back, remove.

The files of every version are kept on each machine (`rule_packs_disk`). Records of the stream `pack` say which version was made to run, by
whom and when: machines that share a store can so tell when they disagree.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.clock import iso_local
from domain.errors import ContentError, StoreError, UsageError
from jobs import audit, retro, rulesets
from jobs.rule_packs_disk import LEGACY, Shelf, Shelved, Version
from jobs.rule_packs_find import find, only_staged, pack_name
from jobs.rule_packs_read import Pack, read
from jobs.rule_packs_state import STREAM
from store.base import NewRecord, RecordStore

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.rule_packs_sign import Signed
    from jobs.runtime import Runtime

_KEPT: Final = 50
"""Steps that can be rolled back."""


@dataclass(frozen=True)
class Staged:
    """A version that lies ready."""

    name: str
    version: Version
    before: str
    """Id of the version that runs; empty = none."""
    older: bool = False
    """The maker made it before the one that runs: somebody may be handing out an old pack."""

    @property
    def running(self) -> bool:
        """It is what runs already."""
        return self.version.id == self.before


@dataclass(frozen=True)
class Switched:
    """What runs now."""

    name: str
    version: str
    """Empty: the pack does not run any more."""
    before: str
    fingerprint: str
    """Of the whole rule set: the same rules have the same."""
    rules: int
    """Rules and correlations that run, of all packs."""
    blind: int
    broken: int
    retro: int = 0
    """Rules and correlations that look at the past at the next scan: new or changed since the last one."""


def stage(runtime: Runtime, path: Path, name: str = "", key: str = "") -> Staged:
    """Read, verify and lay down a pack as a version of its own; what runs stays as it is."""
    records = runtime.store.records
    pack = opened(path)
    said = _verified(runtime, pack, path, key)
    label = pack_name(name, said.name if said else "", path)
    shelf = rulesets.shelf(runtime)
    with shelf.locked():
        known = _settled(shelf, label)
        version = _version(runtime, pack, said, path)
        shelf.put(label, pack.files)
        kept = known.versions.get(version.id)
        if kept is not None and kept.signer and not version.signer:
            version = kept
        staged = "" if version.id == known.active else version.id
        shelf.save(replace(known, staged=staged, versions={**known.versions, version.id: version}))
    detail = {"origin": version.origin, "files": version.files, "label": version.label, "signer": version.signer, "key": version.key}
    audit.note(records, audit.Entry(0, runtime.clock.now(), runtime.actor, "rules.import", f"{label}@{version.id}", detail))
    running = known.versions.get(known.active)
    return Staged(label, version, known.active, older=bool(running and version.created and running.created > version.created))


def opened(path: Path) -> Pack:
    """A pack with at least one rule file."""
    pack = read(path)
    if not pack.rule_files:
        raise UsageError("the pack holds no rule files", where=str(path), hint="*.yml in a zip, tar or folder")
    return pack


def _version(runtime: Runtime, pack: Pack, said: Signed | None, path: Path) -> Version:
    key = said.key if said else None
    return Version(
        pack.version, said.version if said else "", said.created if said else "", iso_local(runtime.clock.now()), runtime.actor, path.name,
        pack.rule_files, key.name if key else "", key.fingerprint if key else "",
    )  # fmt: skip


def _verified(runtime: Runtime, pack: Pack, path: Path, key: str) -> Signed | None:
    """What the manifest says; None when there is none and none is asked for."""
    required = bool(key) or runtime.config.require_signature
    if not required and not pack.manifest and not pack.signature:
        return None
    from jobs import rule_packs_sign as sign

    keys = [sign.public_key(file) for file in ([Path(key)] if key else trusted(runtime))]
    said = sign.check(pack, keys, str(path))
    if required and said.key is None:
        why = "it is not signed" if not pack.signature else "no key is trusted here"
        asked = "--key was given" if key else "[rules] require_signature = true"
        hint = "soc rules sign makes a signed pack; trusted keys: content/keys/*.pem"
        raise ContentError(f"refused: {why}, and {asked}", where=str(path), hint=hint)
    return said


def trusted(runtime: Runtime) -> list[Path]:
    """Files of the public keys whose packs are taken over: content/keys/*.pem and `[rules] trusted_keys`."""
    found = [path for folder in runtime.content("keys") for path in sorted(folder.glob("*.pem"))]
    return [path for path in [*found, *runtime.config.trusted_keys] if not path.name.endswith(".key.pem")]


def _settled(shelf: Shelf, name: str) -> Shelved:
    """The pack; one from the time before versions gets its first. Only while locked."""
    pack = shelf.pack(name) or Shelved(name)
    if not pack.legacy:
        return pack
    files = shelf.files(name, LEGACY)
    version = Version(shelf.put(name, files), files=sum(1 for n in files if not n.endswith(".test.yml")))
    return Shelved(name, version.id, versions={version.id: version})


@contextmanager
def beside(runtime: Runtime, spec: str) -> Iterator[Staged]:
    """The version that `spec` means beside the one that runs: a pack by name, or a file or folder, which is laid down only for so long.

    Empty: the one pack that has a staged version.
    """
    shelf = rulesets.shelf(runtime)
    spec = spec or only_staged(shelf)
    name, path = spec.partition("@")[0].lower(), Path(spec)
    if not path.exists() or (re.fullmatch(r"\w[\w-]*", name) and shelf.pack(name) is not None):
        shelved, version = find(runtime, spec, staged=True)
        if not version or (version == shelved.active and "@" not in spec):
            raise UsageError(f"{shelved.name} has no staged version", hint=f"soc rules diff {shelved.name}@VERSION, or soc rules diff PACK")
        yield Staged(shelved.name, shelved.versions[version], shelved.active)
        return
    pack = opened(path)
    said = _verified(runtime, pack, path, "")
    label = pack_name("", said.name if said else "", path)
    with shelf.locked():
        shelf.put(label, pack.files)
    try:
        known = shelf.pack(label) or Shelved(label)
        yield Staged(label, _version(runtime, pack, said, path), known.active)
    finally:
        with shelf.locked():
            if pack.version not in (shelf.pack(label) or Shelved(label)).versions:
                shelf.drop(label, pack.version)


def activate(runtime: Runtime, name: str, version: str, detail: Mapping[str, object] | None = None) -> Switched:
    """Make a version run, from the next scan on. Nothing changes when it cannot be compiled or recorded."""
    return _switch(runtime, name, version, "activated", detail or {})


def rollback(runtime: Runtime, name: str, to: str = "") -> Switched:
    """Back to the version before, or to the one that `to` names; before the first there is none, and the pack does not run."""
    pack, version = find(runtime, f"{name}@{to}" if to else name)
    if not to:
        if not pack.history:
            raise UsageError(f"{pack.name} has no version before the one that runs", hint="soc rules packs")
        version = pack.history[-1]
    return _switch(runtime, pack.name, version, "rolled_back", {})


def remove(runtime: Runtime, name: str) -> Switched:
    """The pack does not run any more; its versions are kept, so that `rollback` brings it back."""
    pack, active = find(runtime, name)
    if not active:
        raise UsageError(f"{pack.name} does not run", hint="soc rules packs")
    return _switch(runtime, pack.name, "", "removed", {})


def purge(runtime: Runtime, name: str, version: str) -> None:
    """Remove the files of a version that does not run."""
    shelf = rulesets.shelf(runtime)
    with shelf.locked():
        pack = _settled(shelf, name)
        if version == pack.active:
            raise UsageError(f"{name}@{version} runs", hint=f"soc rules rollback {name}, or soc rules remove {name}")
        versions = {key: value for key, value in pack.versions.items() if key != version}
        history = tuple(one for one in pack.history if one != version)
        shelf.save(replace(pack, staged="" if pack.staged == version else pack.staged, history=history, versions=versions))
        shelf.drop(name, version)
    audit.note(runtime.store.records, audit.Entry(0, runtime.clock.now(), runtime.actor, "rules.purge", f"{name}@{version}"))


def _switch(runtime: Runtime, name: str, version: str, kind: str, detail: Mapping[str, object]) -> Switched:
    records, shelf = runtime.store.records, rulesets.shelf(runtime)
    with shelf.locked():
        pack = _settled(shelf, name)
        _fit(runtime, shelf, pack, version)
        rules = rulesets.load(runtime, instead={name: version})
        _sound(shelf, name, version, rules)
        loaded = len(rules.rules) + len(rules.correlations)
        unseen = len(retro.fresh(runtime, rules)) if runtime.store.coordination.cursor("sigma") else 0
        out = Switched(name, version, pack.active, rules.fingerprint, loaded, len(rules.blind), len(rules.broken), unseen)
        if version == pack.active and pack.active == _recorded(records, name):
            return out
        staged = "" if pack.staged == version else pack.staged
        shelf.save(replace(pack, active=version, staged=staged, history=_history(pack, version, kind)))
        now, made = runtime.clock.now(), pack.versions.get(version, Version(version))
        body = {
            "version": version, "before": pack.active, "label": made.label, "signer": made.signer, "key": made.key, "files": made.files,
            "fingerprint": out.fingerprint, "rules": out.rules, "machine": platform.node(), **detail,
        }  # fmt: skip
        records.append([NewRecord(STREAM, name, kind, body, runtime.actor)], now)
        target = f"{name}@{version}" if version else name
        audit.note(records, audit.Entry(0, now, runtime.actor, f"rules.{_VERBS[kind]}", target, body))
    return out


def _recorded(records: RecordStore, name: str) -> str | None:
    """Id of the version that somebody last made run; None = nobody did."""
    found = records.read(STREAM, name)
    return str(found[-1].body.get("version") or "") if found else None


_VERBS: Final = {"activated": "activate", "rolled_back": "rollback", "removed": "remove"}


def _fit(runtime: Runtime, shelf: Shelf, pack: Shelved, version: str) -> None:
    if not version:
        return
    if version not in pack.versions or shelf.damaged(pack.name, version):
        why = "its files are not those that were imported"
        raise StoreError(f"{pack.name}@{version} cannot run: {why}", where=str(shelf.folder), hint="soc rules import PACK again")
    if runtime.config.require_signature and not pack.versions[version].signer:
        hint = f"soc rules import PACK --name {pack.name} with a signed pack; trusted keys: content/keys/*.pem"
        raise ContentError(f"{pack.name}@{version} is not signed, and [rules] require_signature = true", hint=hint)


def _sound(shelf: Shelf, name: str, version: str, rules: RuleSet) -> None:
    """Something of the version can be read: else it is no pack for this engine, and what runs stays."""
    root = f"{shelf.root(name, version)}/"
    read = [r.file for r in rules.rules] + [o.file for o in rules.correlations] + [b.file for b in rules.blind]
    broken = [b for b in rules.broken if b.file.startswith(root)]
    if version and broken and not any(file.startswith(root) for file in read):
        first = f"{broken[0].file.removeprefix(root)}:{broken[0].line}: {broken[0].reason}"
        raise ContentError(f"not one rule of {name}@{version} can be read: {first}", hint="soc rules lint FOLDER; what ran goes on running")


def _history(pack: Shelved, version: str, kind: str) -> tuple[str, ...]:
    if kind == "rolled_back" and version in pack.history:
        last = len(pack.history) - 1 - pack.history[::-1].index(version)
        return pack.history[:last]
    return pack.history if version == pack.active else (*pack.history, pack.active)[-_KEPT:]
