"""What a scan or a retro-hunt prints."""

from __future__ import annotations

from typing import Any

from domain.alert import Finding
from domain.clock import iso_local


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON, like an alert without a history."""
    ref = finding.rule
    return {
        "rule": {"id": ref.id, "title": ref.title, "level": ref.level, "version": ref.version},
        "first": iso_local(finding.first),
        "last": iso_local(finding.last),
        "count": finding.count,
        "entities": [{"type": e.type, "value": e.value} for e in finding.entities],
        "events": list(finding.events),
        "retro": finding.retro,
    }
