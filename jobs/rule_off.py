"""Rules that do not run in scans: those that proved noisy on ordinary days (`rules/precision.json`) and those that soc.toml switches off.

Hunts run every rule: who hunts asks a question and looks at the answer at once. `[rules] on` switches a noisy rule on, `[rules] off` any
rule off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from domain.i18n import lang, t
from domain.tuning import thresholds
from jobs import rule_filters, rulesets

if TYPE_CHECKING:
    from detectors.sigma.model import Other
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

FILE: Final = "precision.json"


@dataclass(frozen=True)
class Measured:
    """One rule on the benign days and on the attack samples that it was tried on."""

    alerts: int
    """On benign days."""
    days: int
    """Benign days on which it fired."""
    of: int
    """Benign days tried."""
    hits: int
    events: int
    """Benign events of its log source."""
    attack: int
    """Hits on attack samples."""

    @property
    def a_day(self) -> float:
        """Alerts on an ordinary day."""
        return self.alerts / self.of if self.of else 0.0

    @property
    def noisy(self) -> bool:
        """Judged on benign days alone."""
        limits = thresholds()["noisy"]
        return self.days >= limits["days"] and self.a_day >= limits["alerts_per_day"]


@cache
def measured() -> Mapping[str, Measured]:
    """By rule id; rules that never fired anywhere are not in it."""
    path = rulesets.SHIPPED / FILE
    if not path.is_file():
        return {}
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {key: Measured(*one) for key, one in data["rules"].items()}


@dataclass(frozen=True)
class Off:
    """A rule that does not run in scans, and why."""

    id: str
    title: str
    level: str
    measured: Measured | None
    """None: soc.toml says so."""

    def reason(self, language: str = "") -> str:
        """For people."""
        if self.measured is None:
            return t("tuning.off_config", language or lang())
        return t("tuning.off_noisy", language or lang(), n=f"{self.measured.a_day:.1f}", days=self.measured.of)


def ids(runtime: Runtime) -> Mapping[str, Measured | None]:
    """Ids of all rules that are off here, loaded or not."""
    config = runtime.config
    noisy: dict[str, Measured | None] = {key: one for key, one in measured().items() if one.noisy and key not in config.rules_on}
    return noisy | dict.fromkeys(config.rules_off)


def listing(runtime: Runtime, rules: RuleSet) -> list[Off]:
    """The loaded rules that are off."""
    from detectors.sigma.refs import reference

    off = ids(runtime)
    refs = [r.ref for r in rules.rules] + [reference(o.data, "correlation") for o in rules.correlations]
    return [Off(ref.id, ref.title, ref.level, off[ref.id]) for ref in refs if ref.id in off]


def scanning(runtime: Runtime) -> RuleSet:
    """The rules that a scan runs: filters checked, what is off left out. A rule that a correlation needs still feeds it."""
    return without(runtime, rule_filters.load(runtime))


def without(runtime: Runtime, rules: RuleSet) -> RuleSet:
    """The rules but those that are off."""
    off = ids(runtime).keys() & ({r.ref.id for r in rules.rules} | {str(o.data.get("id")) for o in rules.correlations})
    if not off:
        return replace(rules, fingerprint=rules.fingerprint + suffix(runtime))
    correlations, needed = _standing(rules.correlations, off)
    kept = [
        replace(r, quiet=True) if r.ref.id in off else r
        for r in rules.rules
        if r.ref.id not in off or r.ref.id in needed or (r.name and r.name in needed)
    ]
    return replace(rules, rules=kept, correlations=correlations, bare={}, fingerprint=rules.fingerprint + suffix(runtime))


def _standing(correlations: Sequence[Other], off: Collection[str]) -> tuple[list[Other], set[str]]:
    """The correlations that are on, with those that they stand on, and every name that they need."""
    kept = {number for number, one in enumerate(correlations) if str(one.data.get("id")) not in off}
    needed: set[str] = set()
    while True:
        needed = {str(name) for number in kept for name in _bases(correlations[number].data)}
        more = {n for n, one in enumerate(correlations) if n not in kept and needed & {str(one.data.get("id")), str(one.data.get("name"))}}
        if not more:
            return [one for number, one in enumerate(correlations) if number in kept], needed
        kept |= more


def _bases(data: Mapping[str, Any]) -> list[str]:
    spec = data.get("correlation")
    named = spec.get("rules") if isinstance(spec, dict) else None
    return [named] if isinstance(named, str) else list(named or ())


def suffix(runtime: Runtime) -> str:
    """Added to the fingerprint of the rules: who switches a rule on wants it to look at the past."""
    off = ids(runtime)
    return f"-{hashlib.blake2b(' '.join(sorted(off)).encode(), digest_size=4).hexdigest()}" if off else ""
