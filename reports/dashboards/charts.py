"""Kinds of panels, as classic visualizations: what is counted, how it is split, how it is drawn. Pure.

Parameters are those that the editors of Dashboards write (src/plugins/vis_type_{vislib,table,metric}); what is left out keeps its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from domain.i18n import t


@dataclass(frozen=True)
class Metric:
    """A figure."""

    type: str = "count"
    """count, sum, max, cardinality."""
    field: str = ""
    label: str = ""
    """Text; empty = the meaning of the field."""


@dataclass(frozen=True)
class Split:
    """What figures are split by."""

    type: str
    """terms, date_histogram, filters."""
    schema: str
    """segment (axis, slices), group (series), bucket (rows)."""
    field: str = ""
    size: int = 10
    others: bool = False
    """terms: one more bucket for all other values."""
    missing: str = ""
    """terms: what documents without the field are called; empty = they are left out."""
    filters: tuple[tuple[str, str], ...] = ()
    """filters: (label, DQL) of each bucket."""
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A panel."""

    key: str
    """Of its title in the catalogue `dashboards`, and of its id."""
    kind: str
    """metric, bars, hbars, pie, table, heatmap, line."""
    index: str
    """events, alerts, sources."""
    metrics: tuple[Metric, ...] = (Metric(),)
    splits: tuple[Split, ...] = ()
    query: str = ""
    """DQL."""
    colors: Mapping[str, str] = field(default_factory=dict)
    """By label of a series."""


_TYPES: Final = {"bars": "histogram", "line": "line", "hbars": "horizontal_bar"}


def state(chart: Chart, labels: Mapping[str, str]) -> dict[str, Any]:
    """`visState` without the title; `labels`: what fields are called."""
    metrics = [_metric(n, metric, labels) for n, metric in enumerate(chart.metrics, 1)]
    splits = [_split(n, split, labels) for n, split in enumerate(chart.splits, len(metrics) + 1)]
    draw = {"metric": _figures, "table": _table, "pie": _pie, "heatmap": _heatmap}.get(chart.kind, _axes)
    return {"type": _TYPES.get(chart.kind, chart.kind), "aggs": [*metrics, *splits], "params": draw(chart, metrics)}


def _metric(number: int, metric: Metric, labels: Mapping[str, str]) -> dict[str, Any]:
    params = {"field": metric.field} if metric.field else {}
    label = metric.label or labels.get(metric.field) or t("dashboards.count")
    return {"id": str(number), "enabled": True, "type": metric.type, "schema": "metric", "params": {**params, "customLabel": label}}


def _split(number: int, split: Split, labels: Mapping[str, str]) -> dict[str, Any]:
    params: dict[str, Any]
    if split.type == "filters":
        params = {"filters": [{"label": label, "input": {"query": query, "language": "kuery"}} for label, query in split.filters]}
    elif split.type == "date_histogram":
        params = {
            "field": split.field, "interval": "auto", "min_doc_count": 1, "useNormalizedOpenSearchInterval": True,
            "scaleMetricValues": False, "drop_partials": False, "extended_bounds": {},
        }  # fmt: skip
    else:
        params = {
            "field": split.field, "size": split.size, "order": "desc", "orderBy": "1", "otherBucket": split.others,
            "otherBucketLabel": t("dashboards.others"), "missingBucket": bool(split.missing),
            "missingBucketLabel": split.missing or t("dashboards.missing"),
        }  # fmt: skip
    if split.type != "filters":
        params["customLabel"] = split.label or labels.get(split.field, split.field)
    return {"id": str(number), "enabled": True, "type": split.type, "schema": split.schema, "params": params}


def _figures(_: Chart, __: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    style = {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 36}
    look = {
        "percentageMode": False, "useRanges": False, "colorSchema": "Green to Red", "metricColorMode": "None",
        "colorsRange": [{"from": 0, "to": 10_000}], "labels": {"show": True}, "invertColors": False, "style": style,
    }  # fmt: skip
    return {"type": "metric", "addTooltip": True, "addLegend": False, "metric": look}


def _table(_: Chart, __: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "perPage": 20, "showPartialRows": False, "showMetricsAtAllLevels": False, "showTotal": False, "totalFunc": "sum",
        "percentageCol": "",
    }  # fmt: skip


def _pie(_: Chart, __: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    labels = {"show": True, "values": True, "last_level": True, "truncate": 100}
    return {"type": "pie", "addTooltip": True, "addLegend": True, "legendPosition": "right", "isDonut": True, "labels": labels}


def _heatmap(_: Chart, __: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    axis = {
        "show": False, "id": "ValueAxis-1", "type": "value", "scale": {"type": "linear", "defaultYExtents": False},
        "labels": {"show": True, "rotate": 0, "overwriteColor": False, "color": "black"},
    }  # fmt: skip
    return {
        "type": "heatmap", "addTooltip": True, "addLegend": True, "enableHover": True, "legendPosition": "right", "times": [],
        "colorsNumber": 5, "colorSchema": "Reds", "setColorRange": False, "colorsRange": [], "invertColors": False,
        "percentageMode": False, "valueAxes": [axis],
    }  # fmt: skip


def _axes(chart: Chart, metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Bars and lines: one value axis, a series for every figure, stacked where they are split into series."""
    lying = chart.kind == "hbars"
    shape = "line" if chart.kind == "line" else "histogram"
    stacked = shape == "histogram" and any(split.schema == "group" for split in chart.splits)
    series = [
        {
            "show": True, "type": shape, "mode": "stacked" if stacked else "normal", "valueAxis": "ValueAxis-1", "lineWidth": 2,
            "drawLinesBetweenPoints": True, "showCircles": True, "interpolate": "linear",
            "data": {"id": metric["id"], "label": metric["params"]["customLabel"]},
        }
        for metric in metrics
    ]  # fmt: skip
    name = metrics[0]["params"]["customLabel"] if len(metrics) == 1 else ""
    legend = len(metrics) > 1 or any(split.schema == "group" for split in chart.splits)
    return {
        "type": shape, "grid": {"categoryLines": False}, "seriesParams": series, "addTooltip": True, "times": [], "addTimeMarker": False,
        "addLegend": legend, "legendPosition": "right", "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
        "categoryAxes": [_axis("CategoryAxis-1", "category", "left" if lying else "bottom", "")],
        "valueAxes": [_axis("ValueAxis-1", "value", "bottom" if lying else "left", name)],
    }  # fmt: skip


def _axis(id_: str, kind: str, position: str, title: str) -> dict[str, Any]:
    scale = {"type": "linear", "mode": "normal"} if kind == "value" else {"type": "linear"}
    labels = {"show": True, "rotate": 0, "filter": kind == "category" and position == "bottom", "truncate": 200}
    axis: dict[str, Any] = {
        "id": id_, "type": kind, "position": position, "show": True, "style": {}, "scale": scale, "labels": labels,
        "title": {"text": title} if title else {},
    }  # fmt: skip
    return {**axis, "name": "LeftAxis-1"} if kind == "value" else axis
