"""`soc rules filter propose`: from a false-positive verdict to a filter, tried on everything confirmed and on the last days."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from domain.alert import Alert
from domain.errors import UsageError
from domain.i18n import t
from domain.text import clean, one_line
from jobs import filter_guard, rule_filters
from jobs.alerts import every, get
from jobs.filter_guard import Refusal
from jobs.filter_impact import Impact, impacts
from jobs.filter_traits import Trait, literal, parts

if TYPE_CHECKING:
    from detectors.sigma.filters import Filter
    from detectors.sigma.model import LogSource, Rule
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

VERDICTS: Final = ("false_positive", "benign")
DAYS: Final = 90
"""How long a proposed filter holds."""
_EVENTS: Final = 5_000
"""Newest events of the alert that are looked at."""
_SELECTION: Final = "false_positive"
_MIXES: Final = (
    ("what", "program", "who", "where"), ("what", "program", "where"), ("what", "program", "who"), ("what", "program"),
    ("program", "where"), ("where",),
)  # fmt: skip
"""Which kinds of traits a candidate is made of, narrow to wide."""


class Inseparable(UsageError):
    """It ran, and the answer is no: every candidate would hide something that is confirmed."""

    exit_code = 1


@dataclass(frozen=True)
class Candidate:
    """One filter that hides the false positive and nothing that is confirmed."""

    text: str
    """The document as YAML."""
    fields: tuple[str, ...]
    impact: Impact
    filter: Filter


@dataclass(frozen=True)
class Proposal:
    """What `propose` found."""

    alert: Alert
    candidates: tuple[Candidate, ...]
    """Narrow to wide."""
    rejected: tuple[tuple[tuple[str, ...], Refusal], ...]
    """Fields of candidates that would hide a confirmed alert, and which."""
    days: int


def propose(runtime: Runtime, name: str, days: int = 30) -> Proposal:
    """Candidates from narrow to wide. UsageError when the alert was not judged false, or holds nothing to tell it by."""
    alert = get(runtime.store.records, name)
    _judged(alert)
    rules = rule_filters.load(runtime)
    mine = _rules(rules, alert)
    table = runtime.store.events.fetch(alert.events[-_EVENTS:])
    if not table.num_rows:
        raise UsageError(f"no event of alert {alert.id} is in the store any more", hint="soc store info")
    drafts = list(_drafts(runtime, alert, mine, parts(table, mine)))
    true = filter_guard.confirmed(every(runtime.store.records).values())
    refused = filter_guard.refused(rules, [d.filter for d in drafts], true, runtime.store.events)
    good = [d for d in drafts if d.filter.key not in refused and _hides(d.filter, mine, table)]
    rejected = tuple((d.fields, refused[d.filter.key][0]) for d in drafts if d.filter.key in refused)
    if not good:
        raise _nothing(alert, [refusal for _, refusal in rejected])
    found = impacts(runtime, rules, [d.filter for d in good], days)
    out = [Candidate(d.text, d.fields, found[d.filter.key], d.filter) for d in good]
    out.sort(key=lambda c: (c.impact.events, -len(c.fields)))
    return Proposal(alert, tuple(out), rejected, days)


def _judged(alert: Alert) -> None:
    if alert.rule.kind not in ("sigma", "correlation"):
        hint = f"soc alerts silence {alert.id[:8]} --reason …"
        raise UsageError(f"alert {alert.id} comes from {alert.rule.id}, which is no Sigma rule: filters do not apply to it", hint=hint)
    if alert.verdict not in VERDICTS:
        said = f"was judged {alert.verdict}" if alert.verdict else "is not judged yet"
        hint = f"soc alerts verdict {alert.id[:8]} false_positive --reason …"
        raise UsageError(f"alert {alert.id} {said}: a filter is proposed from a false positive", hint=hint)


def _rules(rules: RuleSet, alert: Alert) -> list[Rule]:
    """The rule behind the alert without any filter; of a correlation, the rules that it counts."""
    named = filter_guard.bases(rules).get(alert.rule.id, frozenset({alert.rule.id}))
    found = [rule for rule in rules.unfiltered() if rule.ref.id in named]
    if not found:
        raise UsageError(f"rule {alert.rule.id} ({one_line(alert.rule.title, 60)}) is not loaded", hint="soc rules list")
    return found


def _nothing(alert: Alert, refusals: Sequence[Refusal]) -> UsageError:
    if refusals:
        other = refusals[0]
        what = f"nothing separates alert {alert.id} from the confirmed alert {other.alert} ({one_line(other.title, 60)})"
        return Inseparable(what, hint=f"soc alerts show {other.alert[:8]}")
    what = f"the events of alert {alert.id} share no field by which they could be told from others"
    return UsageError(what, hint="write one by hand: docs/rules.md, then soc rules filter check FILE")


@dataclass(frozen=True)
class _Draft:
    text: str
    fields: tuple[str, ...]
    filter: Filter


def _drafts(runtime: Runtime, alert: Alert, rules: Sequence[Rule], found: Sequence[Sequence[Trait]]) -> Iterator[_Draft]:
    """Filters of different width; each says of every kind of event more than the rule itself does."""
    from detectors.sigma.filters import Filter, read
    from detectors.sigma.model import Other

    source = _common([rule.source for rule in rules])
    seen: list[list[list[str]]] = []
    for mix in _MIXES:
        chosen = [[one for one in part if one.kind in mix] for part in found]
        names = [[one.name for one in part] for part in chosen]
        if names in seen or not chosen or not all(any(one.tells for one in part) for part in chosen):
            continue
        seen.append(names)
        data = _document(runtime, alert, rules, (source, chosen))
        one = read(Other("filter", data, "proposed"))
        if isinstance(one, Filter):
            text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)
            yield _Draft(text, tuple(dict.fromkeys(name for part in names for name in part)), one)


def _common(sources: Sequence[LogSource]) -> Mapping[str, str]:
    """What all log sources share. UsageError when that is nothing."""
    kept = {key: {getattr(one, key) for one in sources} for key in ("product", "category", "service")}
    same = {key: next(iter(values)) for key, values in kept.items() if len(values) == 1 and "" not in values}
    if not same:
        what = "the rules behind this correlation have no log source in common"
        raise UsageError(what, hint="write a filter for one of them: docs/rules.md")
    return same


def _document(
    runtime: Runtime, alert: Alert, rules: Sequence[Rule], said: tuple[Mapping[str, str], Sequence[Sequence[Trait]]]
) -> dict[str, Any]:
    source, chosen = said
    maps = [{one.name: literal(one.values) for one in part} for part in chosen]
    maps = [one for place, one in enumerate(maps) if one not in maps[:place]]
    selection = maps[0] if len(maps) == 1 else maps
    day = rule_filters.today(runtime)
    ids = [rule.ref.id for rule in rules]
    own = uuid.uuid5(uuid.NAMESPACE_OID, f"{alert.id} {maps}")
    return {
        "title": one_line(t("tuning.proposed", rule=alert.rule.title, alert=alert.id[:8]), 256),
        "id": str(own),
        "description": t("tuning.proposed_about", alert=alert.id, by=alert.closed_by or "-"),
        "date": day.isoformat(),
        "logsource": dict(source),
        "owner": runtime.actor,
        "reason": clean(one_line(alert.verdict_reason, 500)),
        "expires": (day + timedelta(days=DAYS)).isoformat(),
        "filter": {"rules": ids, _SELECTION: selection, "condition": f"not {_SELECTION}"},
    }


def _hides(one: Filter, rules: Sequence[Rule], table: Any) -> bool:
    """Whether the filter hides every event of the alert on which a rule fires."""
    from detectors.sigma.filters import hiding
    from domain.event import TableBatch
    from domain.query import all_of
    from match import rows

    batch = TableBatch(table)
    hidden = dict.fromkeys(rule.ref.id for rule in rules) | {rule.ref.id: rule for _, rule in hiding(rules, [one])}
    for rule in rules:
        fires = len(rows(all_of(rule.route, rule.body), batch))
        narrow = hidden[rule.ref.id]
        if fires and (narrow is None or len(rows(all_of(narrow.route, narrow.body), batch)) != fires):
            return False
    return True


def file_name(alert: Alert) -> str:
    """`mf_evil_path_1a2b3c4d.yml`: lower case, digits and underscores, as the specification recommends."""
    slug = re.sub(r"[^a-z0-9]+", "_", alert.rule.title.lower()).strip("_")[:40].strip("_")
    return f"mf_{slug or 'filter'}_{alert.id[:8]}.yml"


def save(runtime: Runtime, alert: Alert, text: str) -> Path:
    """Write into content/filters. UsageError when there is no content folder, or another filter of that name."""
    if not runtime.config.content:
        raise UsageError("no content folder is configured", hint="soc init")
    path = runtime.config.content[0] / "filters" / file_name(alert)
    return write(path, text)


def write(path: Path, text: str) -> Path:
    """Write a new file."""
    try:
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UsageError("there is another file of this name", where=str(path), hint="--out another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(path)) from None
    return path
