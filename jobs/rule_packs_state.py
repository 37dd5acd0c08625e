"""Which rule packs are here, and whether they are as they should be: machines that share a store must not disagree silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from domain.clock import iso_local
from domain.i18n import t
from jobs import rulesets
from jobs.rule_packs_disk import LEGACY, Shelved, Version

if TYPE_CHECKING:
    from jobs.runtime import Runtime

STREAM: Final = "pack"
"""Records: `activated`, `rolled_back`, `removed`; key = name of the pack."""


@dataclass(frozen=True)
class Trouble:
    """A pack that is not as it should be on this machine."""

    kind: str
    """differs, missing, damaged: key `packs.trouble_KIND`."""
    name: str
    here: str
    """Id of the version that runs here; empty = none."""
    values: Mapping[str, str] = field(default_factory=dict)
    next: str = ""
    """The command that mends it."""


@dataclass(frozen=True)
class Row:
    """One version in the list."""

    pack: str
    state: str
    """active, staged, before (what a rollback goes back to), kept."""
    version: Version


def listing(runtime: Runtime) -> list[Row]:
    """Every version of every pack: by name, the active one first, then the newest."""
    out = []
    for pack in rulesets.shelf(runtime).packs():
        versions = [Version(LEGACY)] if pack.legacy else sorted(pack.versions.values(), key=lambda v: v.imported, reverse=True)
        rows = [Row(pack.name, _state(pack, version.id), version) for version in versions]
        out += sorted(rows, key=lambda row: _ORDER.index(row.state))
    return out


_ORDER: Final = ("active", "staged", "before", "kept")


def _state(pack: Shelved, version: str) -> str:
    if version == pack.active:
        return "active"
    if version == pack.staged:
        return "staged"
    return "before" if pack.history[-1:] == (version,) else "kept"


def troubles(runtime: Runtime, *, deep: bool = False) -> list[Trouble]:
    """Packs that run in another version than the records say, or whose files are gone; `deep`: or were changed (reads them all)."""
    shelf = rulesets.shelf(runtime)
    packs = {pack.name: pack for pack in shelf.packs()}
    out = []
    for pack in packs.values():
        if pack.active and not shelf.root(pack.name, pack.active).is_dir():
            out.append(Trouble("missing", pack.name, pack.active, {}, f"soc rules import PACK --name {pack.name}"))
        elif deep and shelf.damaged(pack.name, pack.active):
            out.append(Trouble("damaged", pack.name, pack.active, {}, f"soc rules import PACK --name {pack.name}"))
    last = {record.key: record for record in runtime.store.records.find(STREAM)}
    for name, record in last.items():
        pack = packs.get(name, Shelved(name))
        wanted = str(record.body.get("version") or "")
        if pack.active != wanted and not pack.legacy:
            machine = str(record.body.get("machine", ""))
            values = {"wanted": wanted or "-", "machine": machine, "actor": record.actor, "at": iso_local(record.at)}
            out.append(Trouble("differs", name, pack.active, values, _mend(pack, wanted)))
    return out


def sentence(one: Trouble) -> str:
    """For people."""
    return t(f"packs.trouble_{one.kind}", name=one.name, here=one.here or "-", **one.values)


def _mend(pack: Shelved, wanted: str) -> str:
    if not wanted:
        return f"soc rules remove {pack.name}"
    return f"soc rules activate {pack.name}@{wanted}" if wanted in pack.versions else f"soc rules import PACK --name {pack.name}"
