"""`python -m benchmarks.cluster_faults`: what a cluster's faults cost. Prints a table: fault, given, stored, lost, doubled, pause, message.

Two parts. Three nodes, of which one or two die or hang while two collectors append and a scan runs (processes of their own). One node
behind a proxy that drops, cuts, delays and lies: each fault hits each kind of request twice; then it lasts, for the message that it gives.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from domain.errors import StoreError  # noqa: E402
from store import open_store  # noqa: E402
from store.opensearch import client, write  # noqa: E402
from tests.servers import opensearch  # noqa: E402
from tests.servers.cluster import Cluster  # noqa: E402
from tests.servers.node import Node  # noqa: E402
from tests.servers.proxy import ANSWERS, Busy, Cut, Drop, DropAnswer, Fault, Garbage, Proxy, Says, Silence, Slow, answer  # noqa: E402
from tests.store.broken import REQUESTS, scanned, work  # noqa: E402
from tests.store.events import delivery, events  # noqa: E402
from tests.store.load import Load, Result  # noqa: E402

FAULTS: dict[str, Fault] = {
    "connection dropped before": Drop(), "reset before": Drop(reset=True), "dropped after it was done": DropAnswer(),
    "reset after it was done": DropAnswer(reset=True), "silent for 2 s, then dropped": Silence(2),
    "silent for 2 s, then done, then dropped": Silence(2, late=True), "slow: 1 kB/s": Slow(1000), "cut in mid-answer": Cut(),
    "no HTTP": Garbage(), **{f"answer {name}": Says(what) for name, what in ANSWERS},
    "answer 502 although done": Says(ANSWERS[1][1], done=True), "every second item 429": Busy(2), "every item 503": Busy(1, status=503),
    "answer 413": Says(answer(413, b"", "text/html")),
}  # fmt: skip
_BULK = ("every second item 429", "every item 503", "answer 413")
"""Faults of bulk requests only."""


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--part", choices=["nodes", "network"])
    asked = words.parse_args()
    print(f"{'fault':44}{'given':>8}{'stored':>8}{'lost':>6}{'doubled':>8}{'pause s':>9}  message")
    parts: dict[str, Callable[[], Iterator[tuple[str, Result]]]] = {"nodes": nodes, "network": network}
    bad = 0
    for name, part in parts.items():
        for fault, result in part() if asked.part in (None, name) else ():
            told = [*result.messages, *result.wrong]
            counts = f"{result.given:8}{result.stored:8}{result.lost:6}{result.doubled:8}{result.pause:9.1f}"
            print(f"{fault:44}{counts}  {'; '.join(told) or '-'}", flush=True)
            bad += bool(result.lost or result.doubled or result.wrong)
    sys.exit(1 if bad else 0)


def nodes() -> Iterator[tuple[str, Result]]:
    """Nodes die and hang."""
    with opensearch.start(nodes=3, name="faults") as cluster:
        yield "no fault", _loaded(cluster, lambda _: [])
        for number, node in enumerate(cluster.nodes):
            yield f"kill -9 of node {number + 1}, back after 6 s", _loaded(cluster, lambda _, node=node: [node])  # type: ignore[misc]
        yield "kill -9 of the elected manager", _loaded(cluster, lambda _: [_named(cluster, _manager(cluster))])
        yield "kill -9 of the holder of the log", _loaded(cluster, lambda p: [_named(cluster, _primary(cluster, f"{p}-deliveries"))])
        yield "kill -9 of the holder of the events", _loaded(cluster, lambda p: [_named(cluster, _primary(cluster, f"{p}-events-*"))])
        yield "kill -9 of two nodes of three", _loaded(cluster, lambda _: list(cluster.nodes[:2]))
        holder = _loaded(cluster, lambda p: [_named(cluster, _primary(cluster, f"{p}-deliveries"))], hang=20)
        yield "holder of the log hangs for 20 s", holder


def network() -> Iterator[tuple[str, Result]]:
    """What lies between breaks."""
    with opensearch.start(name="faults", settings={"cluster.max_shards_per_node": 5000}) as cluster, Proxy(cluster.url) as proxy:
        for name, fault in FAULTS.items():
            whole = Result()
            for kind, pattern in REQUESTS.items():
                if name not in _BULK or kind == "bulk":
                    _round(cluster, proxy, pattern, fault, whole)
            whole.messages = [_lasting(cluster, proxy, fault, "_bulk" if name in _BULK else "")]
            yield name, whole


def _loaded(cluster: Cluster, chosen: Callable[[str], list[Node]], hang: float = 0) -> Result:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    with Load(cluster.url, prefix) as load:
        cluster.wait("green")
        time.sleep(3)
        broken = chosen(prefix)
        for node in broken:
            node.pause() if hang else node.kill()
        time.sleep(hang or 6)
        for node in broken:
            node.resume() if hang else node.start()
        cluster.wait("green")
        time.sleep(2)
    result = load.result()
    cluster.forget(prefix)
    return result


def _manager(cluster: Cluster) -> str:
    return str(cluster.call("GET", "_cat/cluster_manager?format=json")[0]["node"])


def _primary(cluster: Cluster, index: str) -> str:
    return next(str(row["node"]) for row in cluster.call("GET", f"_cat/shards/{index}?format=json") if row["prirep"] == "p")


def _named(cluster: Cluster, name: str) -> Node:
    return next(node for node in cluster.nodes if node.name == name)


def _round(cluster: Cluster, proxy: Proxy, pattern: str, fault: Fault, whole: Result) -> None:
    """One round of work in which two requests of one kind are hit."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    store = open_store(proxy.url, {"index_prefix": prefix})
    begun = time.monotonic()
    try:
        with proxy.fault(pattern, fault, times=2):
            work(store)
    except StoreError as error:
        whole.wrong.append(str(error))
    whole.pause = max(whole.pause, time.monotonic() - begun)
    store.close()
    fresh = open_store(cluster.url, {"index_prefix": prefix})
    there = scanned(fresh)
    whole.given += 80
    whole.stored += len(set(there))
    whole.lost += len(set(range(80)) - set(there))
    whole.doubled += len(there) - len(set(there)) + abs(len(list(fresh.records.find("alert"))) - 2)
    whole.wrong += fresh.events.verify()
    fresh.close()
    cluster.forget(prefix)


def _lasting(cluster: Cluster, proxy: Proxy, fault: Fault, pattern: str) -> str:
    """What it says when the fault does not end; patience is cut to some seconds."""
    patience = client.PATIENCE
    _patience(4.0)
    prefix = f"t{uuid.uuid4().hex[:12]}"
    store = open_store(proxy.url, {"index_prefix": prefix})
    store.events.append(delivery(events(0, 40), position=40))
    try:
        with proxy.fault(pattern, fault, times=1_000_000):
            store.events.append(delivery(events(40, 40), position=80))
        told = "-"
    except StoreError as error:
        told = str(error).replace(f"{proxy.url}/{prefix}", "URL/PREFIX").replace(proxy.url, "URL")
    finally:
        _patience(patience)
        store.close()
        cluster.forget(prefix)
    return told


def _patience(seconds: float) -> None:
    for module in (client, write):
        module.__dict__["PATIENCE"] = seconds


if __name__ == "__main__":
    main()
