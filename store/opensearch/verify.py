"""`soc store verify` on a cluster: every index against the log, and the ledger against the catalog."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from store.opensearch.client import GONE
from store.opensearch.log import State
from store.opensearch.mapping import DELIVERY

if TYPE_CHECKING:
    from store.opensearch.events import ClusterEvents

_LOOKS: Final = (1.0, 3.0)
"""Seconds between looks at what seems wrong."""
_BUCKETS: Final = 5_000


def verify(events: ClusterEvents) -> list[str]:
    """What is wrong, one sentence each; empty when all is well. Collectors may go on meanwhile."""
    catalog, state = together(events)
    wanted = {name: int(there["rows"]) for name, there in catalog.items()}
    found = _ledger(events, catalog, state)
    wrong = [name for name in sorted({*wanted, *indices(events)}) if documents_in(events, name) != wanted.get(name, 0)]
    last: dict[str, list[str]] = {}
    for pause in (0.0, *_LOOKS):
        time.sleep(pause if wrong else 0)  # a delivery under way grows, or is entered in the log any moment
        now = {name: _looked_at(events, name) for name in wrong}
        last = {name: [t for t in texts if not pause or t in last[name]] for name, texts in now.items()}
        wrong = [name for name in wrong if last[name]]
    return [*(text for name in wrong for text in last[name]), *found]


def together(events: ClusterEvents) -> tuple[State, State]:
    """Catalog and ledger as of the same entry of the log."""
    catalog, state = events.catalog.catch_up(), events.view.catch_up()
    while events.catalog.at != events.view.at:
        catalog, state = events.catalog.catch_up(), events.view.catch_up()
    return catalog, state


def _looked_at(events: ClusterEvents, index: str) -> list[str]:
    """What is wrong with one index, delivery by delivery."""
    events.view.catch_up()
    wanted = expected(events, index)
    counted = dict(tally(events, index))
    if index not in events.catalog.catch_up():
        wanted = {}
    out = []
    for name in sorted({*counted, *wanted}):
        there, said = counted.get(name, 0), wanted.get(name, 0)
        if there < said:
            out.append(f"{index}: {there} events of delivery {name}, the log says {said}")
        elif there > said:
            out.append(
                f"{index}: {there - said} events of delivery {name} were never committed: their collector died;"
                " collect the source again; else soc store compact takes them in, an hour after it first saw them"
            )
    return out


def expected(events: ClusterEvents, index: str) -> dict[str, int]:
    """Delivery -> events in an index, by the log."""
    out: dict[str, int] = {}
    for entry in events.log.find([{"term": {"indices": index}}, {"term": {"kind": "delivery"}}], events.view.at, exclude="slices.coverage"):
        for part in entry["slices"]:
            if part["index"] == index:
                out[part["delivery"]] = out.get(part["delivery"], 0) + part["rows"]
    return out


def documents_in(events: ClusterEvents, index: str) -> int:
    """How many documents an index holds."""
    events.cluster.refresh(index)
    answer = events.cluster.call("POST", f"/{index}/_count", {"query": {"match_all": {}}}, GONE, missing=True)
    return int(events.cluster.complete(answer)["count"]) if answer else 0


def tally(events: ClusterEvents, index: str) -> Iterator[tuple[str, int]]:
    """(delivery, documents) of an index, as they are there now."""
    events.cluster.refresh(index)
    sources = [{"delivery": {"terms": {"field": DELIVERY, "missing_bucket": True}}}]
    composite: dict[str, Any] = {"size": _BUCKETS, "sources": sources}
    while True:
        body = {"size": 0, "aggs": {"by": {"composite": composite}}}
        by = events.cluster.found(index, body).get("aggregations", {}).get("by", {"buckets": []})
        for bucket in by["buckets"]:
            yield str(bucket["key"]["delivery"] or "(none)"), int(bucket["doc_count"])
        if "after_key" not in by or not by["buckets"]:
            return
        composite["after"] = by["after_key"]


def indices(events: ClusterEvents) -> list[str]:
    """Those that are there, by name."""
    answer = events.cluster.call(
        "GET", f"/{events.prefix}-events-*/_settings/index.uuid", params={"allow_no_indices": "true"}, missing=True
    )
    return sorted(answer or {})


def _ledger(events: ClusterEvents, catalog: Mapping[str, Any], state: State) -> list[str]:
    stored: dict[str, int] = {}
    unparsed: dict[str, int] = {}
    for there in catalog.values():
        for source, (n, u) in there["sources"].items():
            stored[source] = stored.get(source, 0) + n
            unparsed[source] = unparsed.get(source, 0) + u
    waiting: dict[tuple[str, str], int] = {}
    for _, letter in events.dead.waiting("", events.view.at):
        waiting[letter.source, letter.reason] = waiting.get((letter.source, letter.reason), 0) + 1
    return list(_differences(state, stored, unparsed, waiting))


def _differences(
    state: State, stored: Mapping[str, int], unparsed: Mapping[str, int], waiting: Mapping[tuple[str, str], int]
) -> Iterator[str]:
    for source, row in sorted(state["ledger"].items()):
        retired = state["retired"].get(source, (0, 0))
        there = stored.get(source, 0) + retired[0]
        if there != row["stored"]:
            yield f"ledger {source}: stored {row['stored']}, the segments hold {there}"
        there = unparsed.get(source, 0) + retired[1]
        if there != row["unparsed"]:
            yield f"ledger {source}: unparsed {row['unparsed']}, the segments hold {there}"
        rejected = sum(row["rejected"].values())
        if row["received"] != row["stored"] + rejected + row["duplicates"]:
            yield (
                f"ledger {source}: received {row['received']} is not stored {row['stored']} + rejected {rejected}"
                f" + duplicates {row['duplicates']}"
            )
        for reason, n in row["rejected"].items():
            if n != waiting.get((source, reason), 0):
                yield f"ledger {source}: {n} rejected ({reason}), the dead letters hold {waiting.get((source, reason), 0)}"
    for source in sorted(set(stored) - set(state["ledger"])):
        yield f"ledger {source or '(no source)'}: {stored[source]} events stored, none counted"
