"""What a new version of a rule pack changes: by rule, not by file; and what then runs, is blind, is covered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from domain import titles
from domain.alert import RuleRef
from domain.severity import rank
from jobs import rulesets
from jobs.rule_packs_disk import Shelf

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NODES: Final = 100_000
"""Values of one document: aliases can unfold without end."""
_ID: Final = re.compile(rb"^id\s*:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_TECHNIQUE: Final = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Doc:
    """One rule, correlation or filter as a file says it."""

    id: str
    """Else its name, else its file."""
    title: str
    level: str
    version: str
    """Hash of what it says, comments and layout aside."""
    file: str
    kind: str = "rule"
    """rule, correlation, filter."""
    status: str = ""
    """stable, test, experimental, deprecated, unsupported."""
    ref: RuleRef | None = None
    """By which it is called in the reader's language; None of a filter: its title is its owner's words."""

    @property
    def spoken(self) -> str:
        """The title in the reader's language, the rule's own beside it."""
        return titles.full(self.ref) if self.ref and self.ref.title else self.title


@dataclass(frozen=True)
class Levels:
    """A rule whose level changes."""

    id: str
    title: str
    before: str
    after: str
    spoken: str
    """The title in the reader's language, the rule's own beside it."""


@dataclass(frozen=True)
class Change:
    """What happens when one version takes the place of another."""

    added: Sequence[Doc] = ()
    changed: Sequence[Doc] = ()
    """As the new version says them."""
    removed: Sequence[Doc] = ()
    levels: Sequence[Levels] = ()
    """Of rules that are in both; the largest step first."""
    files: int = 0
    loaded: int = 0
    """Rules and correlations of the new version that run."""
    blind: int = 0
    unfilled: int = 0
    """Of the blind: those that wait for the values of a placeholder."""
    broken: int = 0
    """Files with an error: what is wrong in them does not run."""
    faults: Sequence[str] = ()
    """`file:line: reason` of each error."""
    gained: Sequence[str] = ()
    """ATT&CK techniques that some rule of the whole set covers afterwards and none did before."""
    lost: Sequence[str] = ()
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Where a rule of the same id stands already (`shipped`, name of a pack, `content`) -> ids; that of `content` is the one that runs."""

    @property
    def filters(self) -> list[Doc]:
        """New or changed filters: they hide what other rules find, of other packs too."""
        return [doc for doc in (*self.added, *self.changed) if doc.kind == "filter"]

    @property
    def retired(self) -> list[Doc]:
        """New or changed rules that their maker has given up: they run all the same."""
        return [doc for doc in (*self.added, *self.changed) if doc.status in ("deprecated", "unsupported")]

    @property
    def nothing(self) -> bool:
        """Both say the same."""
        return not (self.added or self.changed or self.removed)


def docs(files: Mapping[str, bytes]) -> dict[str, Doc]:
    """Every document of some rule files by id; what is no YAML is left out (the loader tells it)."""
    from detectors.sigma.refs import reference

    found: dict[str, Doc] = {}
    for name in sorted(files):
        for data in _documents(files[name]):
            ref = reference(data)
            key = str(data.get("id") or data.get("name") or name)
            kind = next((k for k in ("correlation", "filter") if k in data), "rule")
            level, status = str(data.get("level") or ""), str(data.get("status") or "").lower()
            found[key] = Doc(key, ref.title or name, level, ref.version, name, kind, status, None if kind == "filter" else ref)
    return found


def _documents(content: bytes) -> Iterator[dict[str, Any]]:
    from detectors.sigma.cells import guard

    try:
        text = content.decode("utf-8", "replace")
        guard(text)
        for data in yaml.load_all(text, Loader=_LOADER):
            if isinstance(data, dict) and _small(data, [_NODES]):
                yield data
    except (yaml.YAMLError, ValueError, RecursionError):
        return


def _small(value: object, left: list[int]) -> bool:
    left[0] -= 1
    if left[0] < 0:
        return False
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_small(part, left) for part in parts)


def compare(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Change:
    """By rule. Files that are alike in both are not even parsed."""
    alike = set(old.values()) & set(new.values())
    before = docs({name: content for name, content in old.items() if content not in alike and not name.endswith(".test.yml")})
    after = docs({name: content for name, content in new.items() if content not in alike and not name.endswith(".test.yml")})
    both = [(before[key], after[key]) for key in sorted(before.keys() & after.keys())]
    levels = [Levels(b.id, b.title, a.level, b.level, b.spoken) for a, b in both if a.level != b.level]
    return Change(
        added=[after[key] for key in sorted(after.keys() - before.keys())],
        changed=[b for a, b in both if a.version != b.version],
        removed=[before[key] for key in sorted(before.keys() - after.keys())],
        levels=sorted(levels, key=lambda one: (-abs(_step(one)), one.title)),
        files=sum(1 for name in new if not name.endswith(".test.yml")),
    )


def _step(one: Levels) -> int:
    return rank(one.after) - rank(one.before)


def whole(runtime: Runtime, name: str, version: str, active: str) -> Change:
    """The difference between two versions on this machine ("" = none), with what it means for everything that runs."""
    from dataclasses import replace

    shelf = rulesets.shelf(runtime)
    files = shelf.files(name, version) if version else {}
    change = compare(shelf.files(name, active) if active else {}, files)
    now, then = rulesets.load(runtime, instead={name: active}), rulesets.load(runtime, instead={name: version})
    root = str(shelf.root(name, version))
    mine = [b for b in then.blind if _below(b.file, root)]
    faults = [f"{b.file.removeprefix(root).lstrip('/')}:{b.line}: {b.reason}" for b in then.broken if _below(b.file, root)]
    before, after = techniques(now), techniques(then)
    return replace(
        change,
        loaded=sum(1 for file in [r.file for r in then.rules] + [o.file for o in then.correlations] if _below(file, root)),
        blind=len(mine),
        unfilled=sum(1 for b in mine if "placeholder" in b.reason),
        broken=len({b.file for b in then.broken if _below(b.file, root)}),
        faults=faults,
        gained=sorted(after - before),
        lost=sorted(before - after),
        overrides=_overrides(runtime, shelf, name, set(_ids(files))),
    )


def _below(file: str, root: str) -> bool:
    return file.startswith(root + "/")


def techniques(rules: RuleSet) -> set[str]:
    """ATT&CK techniques of the rules that run, as T1059.001."""
    tags = [tag for rule in rules.rules for tag in rule.ref.tags]
    tags += [str(tag) for one in rules.correlations for tag in one.data.get("tags") or ()]
    return {match[1].upper() for tag in tags if (match := _TECHNIQUE.match(tag))}


def _overrides(runtime: Runtime, shelf: Shelf, name: str, own: set[str]) -> dict[str, list[str]]:
    places: dict[str, list[Path]] = {"shipped": [rulesets.SHIPPED]}
    places |= {pack.name: [shelf.root(pack.name, pack.active)] for pack in shelf.packs() if pack.active and pack.name != name}
    places["content"] = runtime.content("rules")
    found = {place: sorted(own & set(_ids(_read(folders)))) for place, folders in places.items()}
    return {place: ids for place, ids in found.items() if ids}


def _read(folders: Sequence[Path]) -> dict[str, bytes]:
    from detectors.sigma.ruleset import read

    return dict(read(folders))


def _ids(files: Mapping[str, bytes]) -> Iterator[str]:
    for content in files.values():
        yield from (match[1].decode("utf-8", "replace") for match in _ID.finditer(content))
