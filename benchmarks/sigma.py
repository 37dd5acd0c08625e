"""The Sigma engine measured: hunts, retro-hunts, ten times the events and the rules, EVTX on all cores, loading, memory, two processes.

Part of `python -m benchmarks` (`sigma`). Public rules and logs are used where they are at hand (SOC_TEST_DATA).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Figure
    from detectors.sigma.ruleset import RuleSet
    from domain.query import Expr

TEN: Final = 10
TRUE_COPIES: Final = 0.05
"""Of the additional rules, how many are the rule itself."""


@dataclass(frozen=True)
class Sigma:
    """Measurements that need the public rules and logs."""

    bench: Bench
    cores: int

    def all(self) -> Iterator[Figure]:
        """Every figure."""
        events, rules = self.bench.windows(), self.bench.rules()
        yield from self._hunt(events, rules)
        if self.bench.full:  # before this process grows: a child's peak begins at its parent's size
            yield from self._memory(events, rules)
        yield from self._store(events, rules)
        yield from self._ten_times_the_rules(events, rules)
        yield from self._load(events)
        yield from self._evtx(rules)
        yield from self._two(events, rules)

    def _rate(self, path: Path, rules: Path, workers: int) -> tuple[float, float]:
        """Events per second without loading rules, and peak memory in MB, of one whole process."""
        from benchmarks.bench import soc

        stats = self.bench.work / "stats.json"
        peak = soc("hunt", str(path), "--rules", str(rules), "--workers", str(workers), "--stats", str(stats), "-q")[2]
        return json.loads(stats.read_text())["events_per_second"], peak

    def _hunt(self, events: Path, rules: Path) -> Iterator[Figure]:
        from benchmarks.bench import Figure, orjson_rate

        found = [(*self._rate(events, rules, 1), orjson_rate(events)) for _ in range(self.bench.runs)]
        rate, ratio = statistics.median(f[0] for f in found), statistics.median(f[0] / f[2] for f in found)
        yield Figure("hunt windows-dev, public Windows rules", rate, "events/s", self.bench.runs, ratio, "bar >= 70,000")
        yield Figure("  peak memory", max(f[1] for f in found), "MB", self.bench.runs, note="bar <= 1,000")

    def _store(self, events: Path, rules: Path) -> Iterator[Figure]:
        from benchmarks.bench import Figure, orjson_rate, soc

        store = self.bench.work / "windows"
        soc("--data", str(store), "-q", "collect", "once", "--path", str(events))
        once = self._retro(store, rules)
        rate = self.bench.count(store) / once
        yield Figure("the same from the store", rate, "events/s", self.bench.runs, rate / orjson_rate(events), "bar >= 200,000")
        asked = self._asked(store, rules)
        yield Figure("  soc hunt --store, whole command", asked, "s", self.bench.runs, note="with its hits")
        if self.bench.full:
            yield from self._ten_times(events, rules, store, once, asked)

    def _ten_times(self, events: Path, rules: Path, store: Path, once: float, asked: float) -> Iterator[Figure]:
        """Nine more deliveries of the same events: as they come, and after the hourly compaction."""
        from benchmarks.bench import Figure, soc

        for number in range(1, TEN):
            copy = self.bench.work / f"copy-{number}.ndjson"
            shutil.copy(events, copy)
            soc("--data", str(store), "-q", "collect", "once", "--path", str(copy))
            copy.unlink()
        for what in ("ten deliveries", "compacted"):
            if what == "compacted":
                soc("--data", str(store), "-q", "store", "compact")
            yield Figure(f"  ten times the events, {what}", self._retro(store, rules) / once, "x time", self.bench.runs, note="bar <= 5")
            whole = self._asked(store, rules)
            yield Figure("    soc hunt --store", whole / asked, "x time", self.bench.runs, note=f"{whole:.2f} s")

    def _asked(self, store: Path, rules: Path) -> float:
        """Seconds of a hunt in the store by command."""
        from benchmarks.bench import soc

        asked = ("--data", str(store), "hunt", "--store", "--rules", str(rules), "-q")
        return statistics.median(soc(*asked)[0] for _ in range(self.bench.runs))

    def _retro(self, store: Path, rules: Path) -> float:
        """Seconds of the detector over all events of a store."""
        from detectors.sigma.detector import SigmaDetector
        from jobs import rulesets
        from jobs.runtime import Runtime

        runtime = Runtime.open(data=str(store))
        detector = SigmaDetector(rulesets.load(runtime, [str(rules)]), retro=True, hunt=True)

        def run() -> float:
            begin = time.perf_counter()
            detector.scan(runtime.store.events.scan(0), {}, runtime.clock.now(), runtime.store.events)
            return time.perf_counter() - begin

        run()
        seconds = statistics.median(run() for _ in range(self.bench.runs))
        runtime.store.close()
        return seconds

    def _ten_times_the_rules(self, events: Path, folder: Path) -> Iterator[Figure]:
        from benchmarks.bench import Figure
        from jobs import rulesets
        from jobs.runtime import Runtime

        runtime = Runtime.open(data=str(self.bench.work / "none"))
        rules = rulesets.load(runtime, [str(folder)])
        one, many = _matching(events, rules, self.bench.runs), _matching(events, ten_times(rules), self.bench.runs)
        yield Figure("ten times the rules", many / one, "x match", self.bench.runs, note="bar <= 2")

    def _load(self, events: Path) -> Iterator[Figure]:
        from benchmarks.bench import Figure, soc

        one = self.bench.work / "one.ndjson"
        one.write_bytes(events.open("rb").readline())
        every = self.bench.every_rule()
        cold: list[float] = []
        cached: list[float] = []
        home = os.environ.get("HOME", "")
        for number in range(self.bench.runs):
            os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = str(self.bench.work / f"home-{number}")
            for times in (cold, cached):
                times.append(soc("--data", str(self.bench.work / f"cold-{number}"), "hunt", str(one), "--rules", str(every), "-q")[0])
        os.environ["HOME"] = home
        del os.environ["XDG_CACHE_HOME"]
        yield Figure("3,780 rules to the first match, cold", statistics.median(cold), "s", self.bench.runs, note="bar <= 7")
        yield Figure("  cached", statistics.median(cached), "s", self.bench.runs, note="bar <= 0.7")

    def _evtx(self, rules: Path) -> Iterator[Figure]:
        from benchmarks.bench import DATA, Figure

        folder = self.bench.work / "evtx"
        with tarfile.open(DATA / "evtx/attack-samples-dev.tar.xz") as archive:
            members = [(Path(m.name).name, archive.extractfile(m)) for m in archive if m.isfile() and m.name.endswith(".evtx")]
            for name, inner in members:
                content = inner.read() if inner else b""
                for number in range(4 * TEN):
                    path = folder / f"{number:02}" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
        with _cores(self.cores):
            found = [self._rate(folder, rules, 0)[0] for _ in range(self.bench.runs)]
        note = f"bar >= 30,000; {self.cores} cores, {len(members) * 4 * TEN} files, half of the records hit"
        yield Figure("EVTX folder, all cores", statistics.median(found), "records/s", self.bench.runs, note=note)

    def _two(self, events: Path, rules: Path) -> Iterator[Figure]:
        from benchmarks.bench import Figure

        long = self.bench.work / "long.ndjson"
        with long.open("wb") as out:
            for _ in range(TEN // 2):
                with events.open("rb") as part:
                    shutil.copyfileobj(part, out)
        with _cores(2):
            found = [self._rate(long, rules, 2)[0] / self._rate(long, rules, 1)[0] for _ in range(self.bench.runs)]
        yield Figure("two processes on two cores", statistics.median(found), "x one", self.bench.runs, note="bar >= 1.6; 500,000 events")
        long.unlink()

    def _memory(self, events: Path, folder: Path) -> Iterator[Figure]:
        """The same file a hundred times: 10 M events."""
        from benchmarks.bench import Figure

        many = self.bench.work / "many"
        many.mkdir()
        for number in range(TEN * TEN):
            (many / f"{number:03}.ndjson").symlink_to(events)
        yield Figure("10 M events, peak memory", self._rate(many, folder, 1)[1], "MB", 1, note="bar <= 1,000, as after 100,000")


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """The processes that begin meanwhile may use so many cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(range(count)))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _matching(events: Path, rules: RuleSet, runs: int) -> float:
    """Seconds of matching alone, plans made before."""
    from jobs import hunt

    times = []
    for _ in range(runs + 1):
        result = hunt.Hunt()
        for _ in hunt.hunt([str(events)], rules, result, workers=1):
            pass
        times.append(result.seconds_match)
    return statistics.median(times[1:])


def ten_times(rules: RuleSet) -> RuleSet:
    """The rules, and nine times as many whose texts end in something random, but for a few true copies."""
    dice = random.Random(1)  # noqa: S311  no secret
    many = list(rules.rules)
    for number in range(1, TEN):
        for rule in rules.rules:
            body = rule.body if dice.random() < TRUE_COPIES else _changed(rule.body, lambda: f"{dice.getrandbits(32):x}")
            many.append(replace(rule, ref=replace(rule.ref, id=f"{rule.ref.id}-{number}"), body=body))
    return type(rules)(many)


def _changed(expr: Expr, suffix: Callable[[], str]) -> Expr:
    from domain.query import Not, Test

    if isinstance(expr, Test):
        if expr.op in ("eq", "contains", "startswith", "endswith") and expr.field != "event.code":
            return replace(expr, values=tuple(v + suffix() if isinstance(v, str) else v for v in expr.values))
        return expr
    if isinstance(expr, Not):
        return Not(_changed(expr.child, suffix))
    children: Sequence[Expr] = [_changed(child, suffix) for child in expr.children]
    return replace(expr, children=tuple(children))
