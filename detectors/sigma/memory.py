"""What correlations remember between scans: bounded, compact, plain JSON.

A hit is forgotten when both its time and its arrival lie further back than the timespan and `LATE`: the time of the newest event seen
counts, and the clock. So events may come late and in any order: while the events of one window arrive within the timespan and LATE of each
other, episodes are those of one pass. Beyond `MOST` hits a correlation first gives up older hits, which only late events could complete,
then the groups that are furthest from the condition; and it is said.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from detectors.sigma.correlate import Round
from detectors.sigma.correlation import Correlation
from detectors.sigma.gathered import Array, Bools
from detectors.sigma.hits import TYPES, Hits, Names, Table, joined

LATE: Final = 6 * 3600
"""Seconds that the events of one window may arrive after each other, beyond the timespan."""
MOST: Final = 200_000
"""Hits that one correlation remembers."""
FORM: Final = 1
_MICRO: Final = 1_000_000
_NEVER: Final = -(1 << 62)


@dataclass(frozen=True)
class Shed:
    """What had to be forgotten before its time."""

    hits: int
    groups: int
    """Groups that lost hits."""
    upto: int
    """Time of the newest hit that was lost, microseconds."""
    late: bool
    """Only hits were lost that late events might have completed: nothing in the present window."""


def pack(done: Round, newest: int, now: int, most: int = MOST) -> tuple[dict[str, Any], Shed | None]:
    """What the next scan needs of a correlation, and what was shed."""
    rule = done.rule
    told = done.covered | (done.hits.told & (done.firm | (done.hits.at <= done.floor())))
    hits = joined([done.idle, replace(done.hits, told=told, fired=done.answer.holds)])
    horizon = rule.span + LATE * _MICRO
    keep = (hits.at >= newest - horizon) | (hits.arrival >= now - horizon)
    shed = None
    if np.count_nonzero(keep) > most:
        kept = _least(done, hits, keep, newest, most)
        lost = keep & ~kept
        shed = Shed(
            int(lost.sum()), len(np.unique(hits.group[lost])), int(hits.at[lost].max()), bool((hits.at[lost] < newest - rule.span).all())
        )  # fmt: skip
        keep = kept
    _lower(done.table, hits, ~keep)
    return _packed(rule, done.table, hits.take(np.flatnonzero(keep))), shed


def _lower(table: Table, hits: Hits, lost: Bools) -> None:
    """Note up to when hits of each group are forgotten."""
    if not lost.any():
        return
    newest = np.full(int(hits.group.max()) + 1, _NEVER, np.int64)
    np.maximum.at(newest, hits.group[lost], hits.at[lost])
    for group in np.unique(hits.group[lost]).tolist():
        table.floors[group] = max(int(newest[group]), table.floors.get(group, _NEVER))


def _least(done: Round, hits: Hits, keep: Bools, newest: int, most: int) -> Bools:
    """Of the hits to keep, the `most` that matter most."""
    out = keep.copy()
    past = np.flatnonzero(out & (hits.at < newest - done.rule.span))
    surplus = int(out.sum()) - most
    out[past[np.argsort(hits.at[past], kind="stable")][:surplus]] = False
    surplus = int(out.sum()) - most
    if surplus <= 0:
        return out
    rows = np.flatnonzero(out)
    order = rows[np.lexsort((hits.at[rows], hits.group[rows], _reached(done.rule, hits.take(rows))))]
    out[order[:surplus]] = False
    return out


def _reached(rule: Correlation, hits: Hits) -> Array:
    """How near each hit's group has come to the condition: those that fire, then those with many hits (values, rules)."""
    size = int(hits.group.max()) + 1
    if rule.type == "value_count":
        best = np.bincount(np.unique(np.stack([hits.group, hits.value]), axis=1)[0], minlength=size)
    elif rule.type.startswith("temporal"):
        best = np.sum([np.bincount(hits.group, hits.rules & (1 << bit) != 0, size) > 0 for bit in range(len(rule.distinct))], axis=0)
    else:
        best = np.bincount(hits.group, minlength=size)
    best = best.astype(np.float64)
    best[np.unique(hits.group[hits.fired])] = np.inf
    return best[hits.group]


def _packed(rule: Correlation, table: Table, hits: Hits) -> dict[str, Any]:
    if not len(hits):
        return {}
    out: dict[str, Any] = {"form": FORM, "of": rule.ref.version, "hits": len(hits)}
    columns = {f.name: getattr(hits, f.name) for f in fields(hits)}
    for name, known in (("stream", table.streams), ("group", table.groups), ("value", table.values), ("carried", table.carried)):
        used, columns[name] = _renumbered(columns[name])
        if name == "group":
            out["floors"] = [[place, table.floors[code]] for place, code in enumerate(used.tolist()) if code in table.floors]
        texts = list(known)
        out[f"{name}s"] = [_plain(texts[code]) for code in used.tolist()]
    out["last"], out["arrived"] = int(hits.at.max()), int(hits.arrival.max())
    out["events"] = base64.b64encode(columns.pop("event").tobytes()).decode()
    columns["at"] = np.diff(columns["at"], prepend=0)
    body = b"".join(np.ascontiguousarray(columns[name]).tobytes() for name in TYPES if name != "event")
    out["columns"] = base64.b64encode(zlib.compress(body, 1)).decode()
    return out


def _renumbered(codes: Array) -> tuple[Array, Array]:
    """The numbers in use (without -1), and the codes as places among them."""
    used = np.unique(codes)
    used = used[used >= 0]
    return used, np.where(codes >= 0, np.searchsorted(used, codes), -1).astype(np.int32)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def fits(one: Mapping[str, Any], rule: Correlation) -> bool:
    """Whether it is of this version of the rule and of the program."""
    return one.get("form") == FORM and one.get("of") == rule.ref.version


def unpack(one: Mapping[str, Any]) -> Table:
    """The table of a correlation as it was."""
    size = int(one["hits"])
    body = zlib.decompress(base64.b64decode(one["columns"]))
    columns: dict[str, Array] = {"event": np.frombuffer(base64.b64decode(one["events"]), "V16")}
    place = 0
    for name, kind in TYPES.items():
        if name != "event":
            end = place + size * np.dtype(kind).itemsize
            columns[name] = np.frombuffer(body[place:end], kind)
            place = end
    columns["at"] = np.cumsum(columns["at"])
    table = Table(
        _names(one["streams"]), _names((flag, tuple(values)) for flag, values in one["groups"]), _names(one["values"]),
        _names(tuple(row) for row in one["carrieds"]), {int(group): int(at) for group, at in one["floors"]},
    )  # fmt: skip
    table.old = Hits(**columns)
    return table


def _names(values: Any) -> Names:
    out = Names()
    for value in values:
        out.setdefault(value, len(out))
    return out


def over(one: Mapping[str, Any], rule: Correlation, newest: int, now: int) -> bool:
    """Whether all of it may be forgotten."""
    horizon = rule.span + LATE * _MICRO
    return int(one["last"]) < newest - horizon and int(one["arrived"]) < now - horizon


def packed(value: Mapping[str, Any]) -> bool:
    """Whether a part of a detector's state is a packed correlation."""
    return value.get("form") == FORM and "columns" in value


def events(one: Mapping[str, Any]) -> set[str]:
    """Ids (hex) of the events that a packed correlation names."""
    body = base64.b64decode(one["events"])
    return {body[n : n + 16].hex() for n in range(0, len(body), 16)}


def adopted(state: Mapping[str, Any], past: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the Sigma detector with the correlations that have looked at all of the past."""
    newest = max(int(state.get("newest", 0)), int(past["newest"]))
    return {"newest": newest, "correlations": {**state.get("correlations", {}), **past["correlations"]}}


def sizes(state: Mapping[str, Any]) -> Sequence[tuple[str, int, int]]:
    """(correlation, hits, groups) of what the state of the Sigma detector holds, the largest first."""
    found = [(key, int(one["hits"]), len(one["groups"])) for key, one in state.get("correlations", {}).items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))
