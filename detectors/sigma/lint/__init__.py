"""The checks of `soc rules lint`. A new one: a function, a line in `checks.py`, sentences in both catalogues, an example in docs."""

from __future__ import annotations

from detectors.sigma.lint.base import SEVERITIES, Check, Document, Issue, Severity, Source
from detectors.sigma.lint.checks import CHECKS
from detectors.sigma.lint.files import usable
from detectors.sigma.lint.run import Result, faults, file_faults, found, lint, understood

__all__ = [
    "CHECKS", "SEVERITIES", "Check", "Document", "Issue", "Result", "Severity", "Source", "faults", "file_faults", "found", "lint",
    "understood", "usable",
]  # fmt: skip
