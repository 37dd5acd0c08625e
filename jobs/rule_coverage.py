"""`soc rules coverage`: which ATT&CK techniques the rules cover, which are visible, which have fired, which are blind today.

Layers are files of the ATT&CK Navigator, format 4.5:
https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain import spoken
from domain.attack import attack, is_technique, name_of, parent
from domain.errors import UsageError
from domain.i18n import t
from jobs.rule_state import BLIND, LIVE, PARTIAL, State

if TYPE_CHECKING:
    from domain.alert import Alert

LAYERS: Final = ("covered", "visible", "fired", "blind")
_COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "covered": ("#dbe9f6", "#2171b5"), "visible": ("#d9f0d3", "#238b45"), "fired": ("#fee8c8", "#d94801"), "blind": ("#fcbba1", "#cb181d"),
}  # fmt: skip
"""Colour of the least and of the greatest score of a layer."""
_TITLES: Final = 10
"""Rules that the comment of a technique names."""


@dataclass(frozen=True)
class Technique:
    """One technique that rules name."""

    id: str
    """T1059.001."""
    tactics: tuple[str, ...]
    """Names with underscores, in the order of an attack; those that most of its rules name."""
    live: int
    partial: int
    blind: int
    fired: int
    """Alerts of the period."""
    rules: tuple[str, ...]
    """Titles, those that see first."""

    @property
    def covered(self) -> int:
        """Rules that name it."""
        return self.live + self.partial + self.blind

    def score(self, layer: str) -> int:
        """What a layer shows; 0 = the technique is not on it."""
        if layer == "blind":
            return self.covered if self.covered and not self.live else 0
        return {"covered": self.covered, "visible": self.live, "fired": self.fired}[layer]


@dataclass(frozen=True)
class Covered:
    """The whole answer."""

    techniques: tuple[Technique, ...]
    odd: Mapping[str, int]
    """Tags that name no technique of this version of ATT&CK -> rules that have them: left out."""
    moved: Mapping[str, str]
    """Retired ids that rules name -> what took their place: counted there."""


def cover(states: Iterable[State], alerts: Iterable[Alert]) -> Covered:
    """Techniques of the rules and of the alerts of a period."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    tactics: dict[str, Counter[str]] = defaultdict(Counter)
    rules: dict[str, list[State]] = defaultdict(list)
    odd: Counter[str] = Counter()
    moved: dict[str, str] = {}
    for state in states:
        techniques, named, strange = _read(state.tags, moved)
        odd.update(strange)
        for one in techniques if state.status in (LIVE, PARTIAL, BLIND) else ():
            counts[one][state.status] += 1
            tactics[one].update(named)
            rules[one].append(state)
    fired: Counter[str] = Counter()
    for alert in alerts:
        techniques, named, _ = _read(alert.rule.tags, moved)
        fired.update(techniques)
        for one in techniques:
            tactics[one].update(named)
    made = [_technique(one, counts[one], tactics[one], (fired[one], rules[one])) for one in sorted(counts.keys() | fired.keys())]
    return Covered(tuple(made), dict(sorted(odd.items())), dict(sorted(moved.items())))


def _read(tags: Iterable[str], moved: dict[str, str]) -> tuple[set[str], set[str], set[str]]:
    """Valid techniques, tactics, and tags of ATT&CK that look like a technique and are none."""
    known = attack()
    techniques, tactics, odd = set(), set(), set()
    for tag in tags:
        name = name_of(tag)
        now = known.retired.get(name, name)
        if now in known.tactics:
            tactics.add(now)
        elif now in known.techniques:
            techniques.add(now)
            if now != name:
                moved[name.upper()] = now.upper()
        elif is_technique(name):
            odd.add(name.upper())
    return techniques, tactics, odd


def _technique(name: str, counts: Counter[str], tactics: Counter[str], seen: tuple[int, Sequence[State]]) -> Technique:
    fired, rules = seen
    most = max(tactics.values(), default=0)
    order = [one for one in attack().tactics if tactics[one] and tactics[one] * 2 >= most]
    titles = [s.title for s in sorted(rules, key=lambda s: ((LIVE, PARTIAL, BLIND).index(s.status), s.title))]
    return Technique(name.upper(), tuple(order), counts[LIVE], counts[PARTIAL], counts[BLIND], fired, tuple(titles))


@dataclass(frozen=True)
class Row:
    """One tactic."""

    tactic: str
    """Name with underscores; "" = techniques whose rules name no tactic."""
    covered: int
    visible: int
    fired: int
    blind: int
    lost: tuple[str, ...]
    """Ids of the blind techniques."""


def by_tactic(found: Covered) -> list[Row]:
    """Techniques counted per tactic, in the order of an attack; one that serves several tactics counts in each."""
    out = []
    for tactic in (*attack().tactics, ""):
        mine = [one for one in found.techniques if (tactic in one.tactics if tactic else not one.tactics)]
        counts = {kind: sum(1 for one in mine if one.score(kind)) for kind in LAYERS}
        if mine or tactic:
            lost = tuple(one.id for one in mine if one.score("blind"))
            out.append(Row(tactic, counts["covered"], counts["visible"], counts["fired"], counts["blind"], lost))
    return out


def layer(found: Covered, kind: str, period: str) -> dict[str, Any]:
    """A Navigator layer."""
    shown = [one for one in found.techniques if one.score(kind)]
    least, greatest = _COLOURS[kind]
    return {
        "name": t(f"tuning.layer_{kind}"),
        "versions": {"attack": attack().version.partition(".")[0], "navigator": "4.9.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": t(f"tuning.layer_{kind}_about", "", period=period),
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "showAggregateScores": False, "expandedSubtechniques": "annotated"},
        "hideDisabled": False,
        "techniques": [_entry(one, kind) for one in shown] + _parents(shown),
        "gradient": {"colors": [least, greatest], "minValue": 0, "maxValue": max((one.score(kind) for one in shown), default=1)},
        "legendItems": [{"label": t(f"tuning.layer_{kind}"), "color": greatest}],
        "metadata": [{"name": t("tuning.period"), "value": period}] if kind == "fired" else [],
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _entry(one: Technique, kind: str) -> dict[str, Any]:
    name = spoken.technique(one.id.lower())
    told = t("tuning.layer_comment", name=name, live=one.live, partial=one.partial, blind=one.blind, fired=one.fired)
    more = f"; +{len(one.rules) - _TITLES}" if len(one.rules) > _TITLES else ""
    numbers = {"live": one.live, "partial": one.partial, "blind": one.blind, "alerts": one.fired}
    return {
        "techniqueID": one.id,
        "score": one.score(kind),
        "color": "",
        "comment": told + ("\n" + "; ".join(one.rules[:_TITLES]) + more if one.rules else ""),
        "enabled": True,
        "metadata": [{"name": key, "value": str(n)} for key, n in numbers.items()],
        "showSubtechniques": False,
    }


def _parents(shown: Sequence[Technique]) -> list[dict[str, Any]]:
    """Techniques that are shown only for the sake of their parts: opened, without a score."""
    own = {one.id for one in shown}
    above = {parent(one.id.lower()).upper() for one in shown} - own - {""}
    return [{"techniqueID": one, "enabled": True, "showSubtechniques": True} for one in sorted(above)]


def write(folder: Path, layers: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """One file for each layer. UsageError when that cannot be."""
    out = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, data in layers.items():
            path = folder / f"attack-{kind}.json"
            path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
            out.append(path)
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(folder)) from None
    return out
