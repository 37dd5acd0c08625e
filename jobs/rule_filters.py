"""Filters at work: which are idle (expired, or refused because they would hide what is confirmed), and what each one hides."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.clock import LOCAL
from domain.errors import ContentError, UsageError
from domain.i18n import t
from domain.text import one_line
from jobs import filter_guard, retro, rulesets
from jobs.filter_guard import Refusal

if TYPE_CHECKING:
    from detectors.sigma.filters import Filter
    from detectors.sigma.model import LogSource
    from detectors.sigma.ruleset import RuleSet
    from jobs.filter_impact import Impact
    from jobs.runtime import Runtime

APPLIED: Final = "applied"
EXPIRED: Final = "expired"
REFUSED: Final = "refused"
_FILE: Final = "filters.json"


@dataclass(frozen=True)
class Standing:
    """One filter as it stands today."""

    filter: Filter
    state: str
    """applied, expired, refused."""
    days: int | None
    """Days left, the last one included; None = it never ends."""
    refusals: tuple[Refusal, ...] = ()
    impact: Impact | None = None
    """What it hides, or would hide if it were applied; None when nobody asked."""


def today(runtime: Runtime) -> date:
    """The local day of the clock."""
    return runtime.clock.now().astimezone(LOCAL).date()


def idle(runtime: Runtime, filters: Sequence[Filter]) -> set[str]:
    """Keys of filters that are not applied: expired, or refused when last they were checked here."""
    day = today(runtime)
    return {one.key for one in filters if one.expired(day)} | _remembered(runtime).keys()


def load(runtime: Runtime) -> RuleSet:
    """The rules as scans run them: filters are checked against the store first.

    What a filter hid in scans that is refused from now on is looked at once more; one that never took effect hid nothing.
    """
    rules = rulesets.load(runtime)
    if not rules.filters:
        return rules
    before = _remembered(runtime)
    found = filter_guard.check(runtime, rules)
    if found != before:
        _remember(runtime, found)
        rules = told(runtime, replace(rules, broken=[b for b in rules.broken if b.reason not in _reasons(before)]))
    ran = retro.applied(runtime)
    _look_again(runtime, rules, found.keys() & ran if ran is not None else found.keys() - before.keys())
    return rules


def applied(runtime: Runtime, rules: RuleSet) -> set[str]:
    """Keys of the filters that narrow these rules."""
    return {one.key for one in rules.filters} - idle(runtime, rules.filters)


def told(runtime: Runtime, rules: RuleSet) -> RuleSet:
    """The rules without their idle filters; expired ones are a note, refused ones an error."""
    from detectors.sigma.model import Broken

    if not rules.filters:
        return rules
    refusals, day = _remembered(runtime), today(runtime)
    out = rules.filtered(idle(runtime, rules.filters))
    for one in out.filters:
        if one.key in refusals:
            out.broken = [*out.broken, *(Broken(one.file, one.line, _reason(r)) for r in refusals[one.key])]
        elif one.expired(day):
            note = Broken(one.file, one.line, f"filter expired on {one.expires} and is not applied: renew or remove it")
            out.notes = [*out.notes, *([] if note in out.notes else [note])]
    return out


def notes(runtime: Runtime, rules: RuleSet) -> list[str]:
    """What a scan says of filters that are not applied, in the reader's language."""
    refusals, day = _remembered(runtime), today(runtime)
    out = [t("tuning.expired", "", title=one_line(one.title, 80), day=one.expires) for one in rules.filters if one.expired(day)]
    return out + [f"{one.file}:{one.line}: {refused(one, each)}" for one in rules.filters for each in refusals.get(one.key, ())]


def refused(one: Filter, refusal: Refusal) -> str:
    """Which confirmed alert forbids a filter, as a sentence."""
    title, rule = one_line(one.title, 80), one_line(refusal.title, 80)
    return t("tuning.refused", "", title=title, alert=refusal.alert, rule=rule, n=refusal.events, of=refusal.of)


_REFUSED: Final = "filter refused, not applied: it would hide"


def _reason(refusal: Refusal) -> str:
    return f"{_REFUSED} {refusal.events} of {refusal.of} events of the confirmed alert {refusal.alert} ({one_line(refusal.title, 80)})"


def _reasons(refusals: Mapping[str, Sequence[Refusal]]) -> set[str]:
    return {_reason(one) for some in refusals.values() for one in some}


def _look_again(runtime: Runtime, rules: RuleSet, keys: Collection[str]) -> None:
    """Queue a retro-hunt of the rules that these filters had narrowed: what they hid may be an attack as well."""
    if not keys:
        return
    cursor = runtime.store.coordination.cursor("sigma")
    jobs = {
        f"filter-{one.key}-{cursor}": sorted(r.ref.id for r in rules.rules if one.covers(r.ref.id, r.name, r.source))
        for one in rules.filters if one.key in keys
    }  # fmt: skip
    retro.again(runtime, jobs, cursor)


def _path(runtime: Runtime) -> Path:
    return rulesets.cache_dir(runtime) / _FILE


def _remembered(runtime: Runtime) -> dict[str, tuple[Refusal, ...]]:
    """The last answer of this machine: for commands that open no store."""
    try:
        plain = json.loads(_path(runtime).read_text(encoding="utf-8"))
        return {str(key): tuple(Refusal(*one) for one in some) for key, some in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(runtime: Runtime, found: Mapping[str, Sequence[Refusal]]) -> None:
    path = _path(runtime)
    plain = {key: [[one.alert, one.title, one.events, one.of] for one in some] for key, some in found.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(plain), encoding="utf-8")
        part.replace(path)
    except OSError:
        return


def standings(runtime: Runtime, days: int = 30, name: str = "") -> list[Standing]:
    """Every filter, or the one called so, with what it hides of the last `days` days (0 = not counted)."""
    from jobs.filter_impact import impacts

    rules = load(runtime)
    chosen = [_find(rules.filters, name)] if name else rules.filters
    refusals, day = _remembered(runtime), today(runtime)
    found = impacts(runtime, rules, chosen, days) if days else {}
    out = []
    for one in chosen:
        state = REFUSED if one.key in refusals else EXPIRED if one.expired(day) else APPLIED
        left = max(0, (date.fromisoformat(one.expires) - day).days + 1) if one.expires else None
        out.append(Standing(one, state, left, refusals.get(one.key, ()), found.get(one.key)))
    return out


def _find(filters: Sequence[Filter], name: str) -> Filter:
    """By id or its beginning, by the file, or by words of the title."""
    word = name.strip().lower()
    found = [one for one in filters if one.id.lower().startswith(word) or word in one.title.lower() or Path(one.file).name == name.strip()]
    exact = [one for one in found if one.id.lower() == word]
    if len(exact or found) != 1:
        listed = "; ".join(f"{one.id[:8]} {one_line(one.title, 60)}" for one in found[:5])
        count = f"{len(found)} filters are called {one_line(name, 60)}"
        raise UsageError(count + (f": {listed}" if listed else ""), hint="soc rules filter list")
    return (exact or found)[0]


@dataclass(frozen=True)
class Checked:
    """One filter tried on everything that is confirmed."""

    filter: Filter
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Check:
    """What `soc rules filter check` found."""

    checked: tuple[Checked, ...]
    broken: tuple[str, ...]
    """file:line: what is wrong; such a filter hides nothing."""
    remarks: tuple[str, ...]
    confirmed: int
    """How many confirmed alerts there are."""

    @property
    def good(self) -> bool:
        """Every filter may be applied."""
        return not self.broken and not any(one.refusals for one in self.checked)


def check(runtime: Runtime, files: Sequence[str]) -> Check:
    """Filter files, or all filters at work, against every confirmed true positive, whatever was found before."""
    from domain.alert_fold import fold_all

    base = rulesets.load(runtime)
    rules = _with(base, files) if files else base
    mine = rules.filters
    true = filter_guard.confirmed(fold_all(runtime.store.records.find("alert")).values())
    found = filter_guard.refused(rules, mine, true, runtime.store.events)
    folders = tuple(str(folder) for folder in runtime.content("filters"))
    broken = [b for b in rules.broken if files or b.file.startswith(folders) or b.reason.startswith("filter: ")]
    broken = [b for b in broken if not b.reason.startswith(_REFUSED)]
    remarks = [n for n in rules.notes if n.reason.startswith("filter")]
    return Check(
        tuple(Checked(one, found.get(one.key, ())) for one in mine),
        tuple(f"{b.file}:{b.line}: {b.reason}" for b in broken), tuple(f"{n.file}:{n.line}: {n.reason}" for n in remarks), len(true),
    )  # fmt: skip


def _with(base: RuleSet, files: Sequence[str]) -> RuleSet:
    """The rules with the filters of these files instead of their own."""
    from detectors.sigma.filters import Filter, read, remarks
    from detectors.sigma.load import load as load_files

    for name in files:
        if not Path(name).is_file():
            raise UsageError(f"no such file: {name}", hint="soc rules filter check content/filters/NAME.yml")
    loaded = load_files([(name, Path(name).read_bytes()) for name in files])
    out = replace(base, filters=[], broken=list(loaded.broken), notes=[])
    for other in (o for o in loaded.others if o.kind == "filter"):
        one = read(other)
        if isinstance(one, Filter):
            out.filters.append(one)
        else:
            out.broken += one
    if not out.filters and not out.broken:
        raise ContentError("no filter in it", where=", ".join(files), hint="a filter document has the key filter: docs/rules.md")
    known: dict[str, LogSource | None] = {name: rule.source for rule in base.rules for name in (rule.ref.id, rule.name) if name}
    known |= {str(o.data[key]): None for o in base.correlations for key in ("id", "name") if o.data.get(key)}
    out.notes += remarks(out.filters, known)
    return out.filtered()
