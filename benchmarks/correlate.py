"""How fast correlations are: a million hits of base rules through each kind, in one step and in many, and what is remembered.

    python benchmarks/correlate.py [HITS] [KIND...]

Each kind runs in a process of its own; peak memory is that process's, `base` what it takes before the hits are made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from detectors.sigma.correlator import Correlator
from detectors.sigma.gathered import Gathered
from detectors.sigma.model import LogSource, Other, Rule
from detectors.sigma.ruleset import RuleSet
from domain.alert import RuleRef
from domain.query import TRUE

NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
START: Final = 1_794_700_800_000_000
KINDS: Final[dict[str, dict[str, Any]]] = {
    "event_count": {"type": "event_count", "rules": ["a"], "condition": {"gte": 30}},
    "value_count": {"type": "value_count", "rules": ["a"], "condition": {"field": "user.name", "gte": 15}},
    "temporal": {"type": "temporal", "rules": ["a", "b"]},
    "temporal_ordered": {"type": "temporal_ordered", "rules": [*["a"] * 10, "b"]},
    "value_sum": {"type": "value_sum", "rules": ["a"], "condition": {"field": "bytes", "gt": 10_000_000}},
    "value_percentile": {"type": "value_percentile", "rules": ["a"], "condition": {"field": "bytes", "percentile": 95, "gt": 64_000}},
}


def rules(kind: str) -> RuleSet:
    """Two base rules and one correlation."""
    bases = [Rule(RuleRef(n, n, "low", "1"), TRUE, TRUE, "x.yml", LogSource(), n) for n in ("a", "b")]
    spec = {"group-by": ["source.ip"], "timespan": "10m", **KINDS[kind]}
    return RuleSet(bases, [Other("correlation", {"title": kind, "id": kind, "correlation": spec}, "x.yml")])


def hits(count: int, chunk: int = 100_000) -> list[Gathered]:
    """Hits over one day: 20,000 addresses, a few of them busy, 5,000 users, as a scan gathers them from chunks."""
    random = np.random.default_rng(1)
    addresses, users = [f"203.0.{n // 256}.{n % 256}" for n in range(20_000)], [f"user{n}" for n in range(5_000)]
    out = []
    for begin in range(0, count, chunk):
        size = min(chunk, count - begin)
        at = START + (np.sort(random.integers(0, chunk, size)) + begin) * (86_400_000_000 // count)
        group = np.minimum(random.zipf(1.2, size) - 1, 19_999).astype(np.int32)
        fields: dict[str, Any] = {
            "source.ip": (group, addresses), "user.name": (random.integers(0, 5_000, size).astype(np.int32), users),
            "bytes": (random.integers(0, 65_536, size).astype(np.int32), [str(n) for n in range(65_536)]),
        }  # fmt: skip
        rare = random.random(size) < 0.01
        for name, mine in (("a", ~rare), ("b", rare)):
            rows = np.flatnonzero(mine)
            event = random.bytes(16 * len(rows))
            out.append(Gathered(
                name, at[rows], ["web\0s"], np.zeros(len(rows), np.int32), rows + begin, np.frombuffer(event, "V16"),
                np.zeros(len(rows), np.bool_), {k: (codes[rows], texts) for k, (codes, texts) in fields.items()},
            ))  # fmt: skip
    return out


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: str, count: int) -> dict[str, Any]:
    """One kind: a single step, then steps of 100,000 hits with the state as JSON in between."""
    found, one = hits(count), Correlator(rules(kind))
    base = peak()
    start = time.perf_counter()
    whole = one.scan(found, {}, NOW)
    seconds = time.perf_counter() - start
    top = peak()
    state: dict[str, Any] = {}
    findings = size = 0
    start = time.perf_counter()
    for place in range(0, len(found), 2):
        step = Correlator(rules(kind)).scan(found[place : place + 2], state, NOW)
        text = json.dumps(step.state)
        state, size, findings = json.loads(text), max(size, len(text)), findings + len(step.findings)
    many = time.perf_counter() - start
    return {
        "kind": kind, "hits": count, "seconds": round(seconds, 2), "hits_per_second": round(count / seconds), "peak_mb": round(top),
        "base_mb": round(base), "findings": len(whole.findings), "events_told": sum(f.count for f in whole.findings),
        "steps": len(found) // 2, "seconds_in_steps": round(many, 2), "state_mb": round(size / 1e6, 1), "notes": len(whole.notes),
    }  # fmt: skip


def main() -> None:
    """One JSON line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hits", nargs="?", type=int, default=1_000_000)
    parser.add_argument("kinds", nargs="*", default=["event_count", "value_count"], metavar="KIND", help=", ".join(KINDS))
    given = parser.parse_args()
    for kind in given.kinds:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(json.dumps(pool.apply(measure, (kind, given.hits))), flush=True)


if __name__ == "__main__":
    main()
