"""Anomaly models: what there is, how far they have learnt, why an alert was raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain import spoken
from domain.alert import Alert, Reason
from domain.errors import UsageError
from domain.i18n import t
from jobs.alert_detail import evidence_query
from jobs.alerts import get

if TYPE_CHECKING:
    from jobs.runtime import Runtime


@dataclass(frozen=True)
class ModelState:
    """A model and where it stands in this store."""

    name: str
    about: str
    """What it finds, in the language of the process."""
    version: int
    rules: tuple[str, ...]
    """Ids of its findings."""
    learns_days: int
    """Days of history it needs; 0 = none."""
    cursor: int
    """Ingest sequence up to which it has worked."""
    behind: int
    """Events it has not seen yet."""
    known: int
    """Objects (sources, hosts, users, ...) in its state."""
    missing: tuple[str, ...]
    """Fields it reads that no event of the store has: it is partly blind."""
    alerts: int
    """Alerts it has raised."""


def models(runtime: Runtime) -> list[ModelState]:
    """Every model, in the order in which a scan runs them."""
    from detectors.anomaly import MODELS  # numpy is heavy
    from jobs.alerts import every

    store = runtime.store
    head = store.events.head()
    present = {name for fields in store.events.coverage().values() for name in fields}
    raised = [a.rule.id for a in every(store.records).values() if a.rule.kind == "anomaly"]
    out = []
    for name, (model, _) in MODELS.items():
        key = f"anomaly.{name}"
        cursor = store.coordination.cursor(key)
        out.append(
            ModelState(
                name, t(f"anomaly.model_{name}"), model.version, model.rules, model.learns_days, cursor, head - cursor,
                _known(store.coordination.state(key)), tuple(f for f in model.inputs if f not in present and head),
                sum(rule == key or rule.startswith(f"{key}.") for rule in raised),
            )
        )  # fmt: skip
    return out


def _known(state: Mapping[str, Any]) -> int:
    """Size of the largest part of the state: its objects."""
    return max((len(part) for part in state.values() if isinstance(part, Mapping)), default=0)


@dataclass(frozen=True)
class Explained:
    """Why a model raised an alert, with the proof."""

    alert: Alert
    reasons: Sequence[tuple[Reason, str]]
    """Each with its sentence."""
    rows: int
    """Rows that the evidence query returns; -1 = there is no query."""
    held: int
    """Events of the alert among them."""


def explain(runtime: Runtime, prefix: str) -> Explained:
    """The reasons of an anomaly alert, its evidence query run again. UsageError for an alert of a rule."""
    alert = get(runtime.store.records, prefix)
    if alert.rule.kind != "anomaly":
        raise UsageError(f"alert {alert.id} comes from a rule, not from a model", hint=f"soc alerts show {alert.id[:8]}")
    query = evidence_query(alert)
    rows, held, own = -1, 0, set(alert.events)
    if query is not None:
        found = [key.hex() for table in runtime.store.events.search(query) for key in table["event.id"].to_pylist()]
        rows, held = len(found), len(own.intersection(found))
    return Explained(alert, [(r, spoken.reason(r)) for r in alert.reasons], rows, held)
