"""The three dashboards: overview, source health, alerts by unit and technique.

Titles come from the catalogue `dashboards`, labels from the dictionaries of fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.alert import STATUSES, VERDICTS
from domain.fields import Field, dictionary, opensearch_properties
from domain.i18n import lang, t
from domain.published import ALERTS, SOURCES, published
from domain.published import opensearch_properties as published_properties
from domain.severity import LEVELS, rank
from reports.dashboards import objects as saved
from reports.dashboards.charts import Chart, Metric, Split, state
from reports.dashboards.objects import Pattern, SavedObject

EVENTS: Final = "events"
FAILED: Final = "event.category:authentication and event.outcome:failure"
"""A failed logon, whatever the product."""
UNPARSED: Final = "event.kind:pipeline_error"
HEARD: Final = "not status:silenced"
"""Alerts that nobody has silenced: those that `soc alerts list` shows."""
LEDGER: Final = (
    "received", "stored", "unparsed", "unparsed_share", "rejected", "duplicates", "spooled", "lag_seconds", "last_event", "last_delivery",
    "published",
)  # fmt: skip
"""Columns of the table of sources."""
COLUMNS: Final = (
    "rule.level", "rule.title", "unit.name", "asset.name", "entities", "count", "threat.technique.name", "status", "verdict", "incident",
    "exercise", "id",
)  # fmt: skip
"""Columns of the list of alerts."""
_RED: Final = {"critical": "#8E1600", "high": "#D9480F", "medium": "#F2B01E", "low": "#6DA9CF", "informational": "#B8BCC2"}


@dataclass(frozen=True)
class Listed:
    """A saved search as a panel."""

    key: str
    index: str
    columns: tuple[str, ...]
    query: str = ""


@dataclass(frozen=True)
class Board:
    """A dashboard: rows of panels from the top, each row (height, [(panel, width)])."""

    key: str
    since: str
    rows: tuple[tuple[int, tuple[tuple[str, int], ...]], ...]
    query: str = ""
    """DQL in its search bar when it is opened."""


def objects(prefix: str) -> list[SavedObject]:
    """Index patterns, then what refers to them, then the dashboards."""
    patterns = _patterns(prefix)
    labels = {name: _labels(fields) for name, fields in _fields().items()}
    panels = [*_overview(), *_sources(), *_alerts()]
    made = {panel.key: _panel(prefix, panel, patterns[panel.index], labels[panel.index]) for panel in panels}
    boards = [_board(prefix, board, made) for board in _BOARDS]
    return [*(saved.index_pattern(p) for p in patterns.values()), *made.values(), *boards]


def _fields() -> dict[str, Mapping[str, Field]]:
    return {EVENTS: dictionary(), **published()}


def _labels(fields: Mapping[str, Field]) -> dict[str, str]:
    """What fields are called in the language of the process."""
    return {name: f.en if lang() == "en" else f.vi for name, f in fields.items()}


def _patterns(prefix: str) -> dict[str, Pattern]:
    whole, percent = {"id": "number", "params": {"pattern": "0,0"}}, {"id": "percent", "params": {"pattern": "0.0%"}}
    counts = {f.name: whole for f in published()[SOURCES].values() if f.type == "long"}
    formats: dict[str, dict[str, Mapping[str, object]]] = {
        EVENTS: {}, ALERTS: {"count": whole}, SOURCES: {**counts, "lag_seconds": whole, "unparsed_share": percent},
    }  # fmt: skip
    times = {EVENTS: "@timestamp", ALERTS: "last", SOURCES: ""}
    titles = {EVENTS: f"{prefix}-events-*", ALERTS: f"{prefix}-{ALERTS}", SOURCES: f"{prefix}-{SOURCES}"}
    shapes: dict[str, Any] = {EVENTS: opensearch_properties(), **{name: published_properties(name) for name in (ALERTS, SOURCES)}}
    return {name: Pattern(f"{prefix}-{name}", titles[name], times[name], shapes[name], formats[name]) for name in times}


def _panel(prefix: str, panel: Chart | Listed, pattern: Pattern, labels: Mapping[str, str]) -> SavedObject:
    title, id_ = t(f"dashboards.{panel.key}"), f"{prefix}-{panel.key.replace('_', '-')}"
    if isinstance(panel, Listed):
        return saved.search(id_, title, pattern, panel.query, panel.columns)
    return saved.visualization(id_, title, pattern, state(panel, labels), panel.query, panel.colors)


def _board(prefix: str, board: Board, made: Mapping[str, SavedObject]) -> SavedObject:
    laid = [(height, [(made[key]["type"], made[key]["id"], width) for key, width in row]) for height, row in board.rows]
    id_ = f"{prefix}-board-{board.key.replace('_', '-')}"
    told = t(f"dashboards.board_{board.key}"), t(f"dashboards.about_{board.key}")
    return saved.dashboard(id_, told, list(saved.rows(laid)), board.since, board.query)


def _time(field: str) -> Split:
    return Split("date_histogram", "segment", field)


def _terms(field: str, schema: str = "segment", size: int = 10, *, others: bool = False, missing: str = "") -> Split:
    return Split("terms", schema, field, size, others, t(f"dashboards.{missing}") if missing else "")


def _levels(schema: str) -> Split:
    return Split("filters", schema, filters=tuple((_level(x), f"rule.level:{x}") for x in LEVELS))


def _level(level: str) -> str:
    """`5 nghiêm trọng`: the server sorts the buckets of named filters by their names."""
    return f"{rank(level) + 1} {t(f'alerts.level_{level}')}"


def _level_colors() -> dict[str, str]:
    return {_level(level): color for level, color in _RED.items()}


def _choices(schema: str, field: str, values: Sequence[str], area: str) -> Split:
    return Split("filters", schema, filters=tuple((t(f"alerts.{area}_{x}"), f"{field}:{x}") for x in values))


def _figure(key: str, index: str, metric: Metric, query: str = "") -> Chart:
    """One number, named by its panel."""
    return Chart(key, "metric", index, (Metric(metric.type, metric.field, t(f"dashboards.{key}")),), query=query)


def _over_time(key: str, index: str, by: Split, query: str = "") -> Chart:
    return Chart(key, "bars", index, splits=(_time("@timestamp"), by), query=query)


def _ranking(key: str, field: str, query: str) -> Chart:
    return Chart(key, "hbars", EVENTS, splits=(_terms(field),), query=query)


def _overview() -> list[Chart | Listed]:
    by_source = _terms("thapcanh.source", "group", 15, others=True)
    return [
        _figure("events_count", EVENTS, Metric()),
        _figure("events_hosts", EVENTS, Metric("cardinality", "host.name")),
        _figure("failed_count", EVENTS, Metric(), FAILED),
        _figure("unparsed_count", EVENTS, Metric(), UNPARSED),
        _over_time("events_by_source", EVENTS, by_source),
        Chart("events_by_dataset", "pie", EVENTS, splits=(_terms("event.dataset", size=15, others=True),)),
        _over_time("failed_by_source", EVENTS, by_source, FAILED),
        _ranking("failed_by_user", "user.name", FAILED),
        _ranking("failed_by_address", "source.ip", FAILED),
        _ranking("failed_by_host", "host.name", FAILED),
        Chart("top_addresses", "table", EVENTS, splits=(_terms("source.ip", "bucket", 20),)),
        Chart("top_hosts", "table", EVENTS, splits=(_terms("host.name", "bucket", 20),)),
        Chart("top_users", "table", EVENTS, splits=(_terms("user.name", "bucket", 20),)),
    ]


def _sources() -> list[Chart | Listed]:
    source = _terms("source", size=20)
    parsers = (_terms("thapcanh.source", "bucket", 50), _terms("thapcanh.parser", "bucket", 5, missing="missing"))
    refused = (Metric("max", "rejected"), Metric("max", "duplicates"))
    return [
        _figure("sources_count", SOURCES, Metric()),
        _figure("sources_silent", SOURCES, Metric(), "silent:true"),
        _figure("sources_rejected", SOURCES, Metric("sum", "rejected")),
        _figure("sources_lag", SOURCES, Metric("max", "lag_seconds")),
        Chart("sources_table", "table", SOURCES, tuple(Metric("max", name) for name in LEDGER), (_terms("source", "bucket", 500),)),
        Chart("sources_unparsed", "hbars", SOURCES, (Metric("max", "unparsed_share"),), (source,), "unparsed > 0"),
        Chart("sources_refused", "hbars", SOURCES, refused, (source,), "rejected > 0 or duplicates > 0"),
        _over_time("unparsed_by_source", EVENTS, _terms("thapcanh.source", "group", 15, others=True), UNPARSED),
        Chart("unparsed_by_parser", "table", EVENTS, splits=parsers, query=UNPARSED),
        Listed("unparsed_list", EVENTS, ("thapcanh.source", "thapcanh.parser", "error.message", "message"), UNPARSED),
    ]


def _alerts() -> list[Chart | Listed]:
    colors, levels = _level_colors(), _levels("group")
    unit, units = _terms("unit.name", size=20, missing="no_unit"), _terms("unit.name", "group", 20, missing="no_unit")
    technique = _terms("threat.technique.name", size=20, missing="no_technique")
    asset = (_terms("asset.name", "bucket", 50), _terms("unit.name", "bucket", 3, missing="no_unit"))
    latest = Metric("max", "last")
    return [
        _figure("alerts_count", ALERTS, Metric()),
        _figure("alerts_open", ALERTS, Metric(), "open:true"),
        _figure("alerts_grave", ALERTS, Metric(), "open:true and rule.rank >= 4"),
        _figure("alerts_units", ALERTS, Metric("cardinality", "unit.code")),
        Chart("alerts_over_time", "bars", ALERTS, splits=(_time("last"), levels), query=HEARD, colors=colors),
        Chart("alerts_by_level", "pie", ALERTS, splits=(_levels("segment"),), colors=colors),
        Chart("alerts_by_unit", "hbars", ALERTS, splits=(unit, levels), colors=colors),
        Chart("alerts_by_technique", "hbars", ALERTS, splits=(technique, levels), colors=colors),
        Chart("alerts_heatmap", "heatmap", ALERTS, splits=(_terms("threat.technique.name", size=15), units)),
        Chart("alerts_by_rule", "table", ALERTS, (Metric(), Metric("sum", "count"), latest), (_terms("rule.title", "bucket", 50),)),
        Chart("alerts_by_asset", "table", ALERTS, (Metric(), Metric("max", "rule.rank"), latest), asset),
        Chart("alerts_by_incident", "table", ALERTS, (Metric(), Metric("max", "rule.rank"), latest), (_terms("incident", "bucket", 50),)),
        Chart("alerts_by_tactic", "pie", ALERTS, splits=(_terms("threat.tactic.name", size=15),)),
        Chart("alerts_by_status", "pie", ALERTS, splits=(_choices("segment", "status", STATUSES, "status"),)),
        Chart("alerts_by_verdict", "pie", ALERTS, splits=(_choices("segment", "verdict", VERDICTS, "verdict"),)),
        Listed("alerts_list", ALERTS, COLUMNS),
    ]


_BOARDS: Final = (
    Board("overview", "now-24h", (
        (7, (("events_count", 12), ("events_hosts", 12), ("failed_count", 12), ("unparsed_count", 12))),
        (14, (("events_by_source", 48),)),
        (14, (("alerts_over_time", 24), ("failed_by_source", 24))),
        (14, (("events_by_dataset", 24), ("failed_by_user", 24))),
        (14, (("failed_by_address", 24), ("failed_by_host", 24))),
        (18, (("top_addresses", 16), ("top_hosts", 16), ("top_users", 16))),
    )),
    Board("sources", "now-24h", (
        (7, (("sources_count", 12), ("sources_silent", 12), ("sources_rejected", 12), ("sources_lag", 12))),
        (20, (("sources_table", 48),)),
        (14, (("sources_unparsed", 24), ("sources_refused", 24))),
        (14, (("events_by_source", 24), ("unparsed_by_source", 24))),
        (16, (("unparsed_by_parser", 48),)),
        (20, (("unparsed_list", 48),)),
    )),
    Board("alerts", "now-30d", (
        (7, (("alerts_count", 12), ("alerts_open", 12), ("alerts_grave", 12), ("alerts_units", 12))),
        (14, (("alerts_over_time", 32), ("alerts_by_level", 16))),
        (20, (("alerts_by_unit", 24), ("alerts_by_technique", 24))),
        (18, (("alerts_heatmap", 48),)),
        (18, (("alerts_by_rule", 16), ("alerts_by_asset", 16), ("alerts_by_incident", 16))),
        (14, (("alerts_by_tactic", 16), ("alerts_by_status", 16), ("alerts_by_verdict", 16))),
        (24, (("alerts_list", 48),)),
    ), HEARD),
)  # fmt: skip
