"""What is to be done with a rule: keep, tune, retire. Pure; the thresholds are data (`tuning.yml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

KEEP: Final = "keep"
TUNE: Final = "tune"
RETIRE: Final = "retire"
BLIND: Final = "blind"
OFF: Final = "off"
ADVICE: Final = (RETIRE, TUNE, BLIND, KEEP, OFF)
"""In the order in which one would act."""


@cache
def thresholds() -> Mapping[str, Mapping[str, Any]]:
    """`noisy` and `scorecard`."""
    text = Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")
    data: Mapping[str, Mapping[str, Any]] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return data


@dataclass(frozen=True)
class Record:
    """What one rule has done in a period."""

    hits: int = 0
    """Events (or episodes) on its alerts."""
    alerts: int = 0
    true: int = 0
    false: int = 0
    benign: int = 0
    duplicate: int = 0
    blind: bool = False
    """It cannot see anything today."""
    off: bool = False
    """It does not run in scans."""
    seconds: float | None = None
    """Of matching, for a million events; None = not measured."""

    @property
    def judged(self) -> int:
        """Verdicts that say something of the rule."""
        return self.true + self.false + self.benign

    @property
    def open(self) -> int:
        """Alerts without a verdict."""
        return self.alerts - self.judged - self.duplicate

    @property
    def precision(self) -> float | None:
        """True among true and false; None where there is neither. Benign ones are counted apart."""
        return self.true / (self.true + self.false) if self.true + self.false else None


def judge(record: Record) -> tuple[str, str]:
    """(advice, key of the reason): `tuning.why_<key>`."""
    if record.off:
        return OFF, "off"
    limits = thresholds()["scorecard"]
    if not record.true and record.false >= limits["retire_false"]:
        return RETIRE, "never_true"
    if record.judged >= limits["verdicts"]:
        if record.precision is not None and record.precision < limits["tune_below"]:
            return TUNE, "imprecise"
        if record.benign >= limits["benign_share"] * record.judged:
            return TUNE, "benign"
    if record.blind:
        return BLIND, "blind"
    if record.seconds is not None and record.seconds >= limits["seconds_per_million"]:
        return TUNE, "dear"
    return KEEP, _kept(record, limits)


def _kept(record: Record, limits: Mapping[str, Any]) -> str:
    if record.open >= limits["unjudged"]:
        return "unjudged"
    if not record.alerts:
        return "quiet"
    return "precise" if record.judged >= limits["verdicts"] else "few"
