"""Which rules are noisy: every rule on ordinary days of the generator, and on attack samples. Writes `rules/precision.json`.

    python -m benchmarks.precision [--rules DIR ...] [--seeds 1,2,3] [--days 3] [--events 30000] [--out rules/precision.json]

Benign: days of the drill generator without any attack, and four days of an ordinary public web site (SOC_TEST_DATA), looked at day by
day, as a scan would: an alert is one rule about one set of entities on one day. Attack: the EVTX samples and the Windows laboratory
events of SOC_TEST_DATA. Rules are judged by benign days alone. Only ids and figures are written, no text of any rule.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import DATA, ROOT
from detectors.sigma.detector import NO_ALERT, SigmaDetector
from detectors.sigma.ruleset import RuleSet
from domain.clock import LOCAL, FixedClock, SystemClock
from domain.query import TRUE
from domain.window import TimeWindow
from jobs import drill, hunt, rulesets
from jobs.collect import collect, configured
from jobs.filter_guard import bases
from jobs.filter_impact import within
from jobs.runtime import Runtime
from match import Entry, Matcher
from playbooks.drills import setup
from playbooks.drills.generate import Drill, Plan
from store.base import Chunk

FIRST: Final = date(2026, 11, 20)
"""A Friday: three days from here hold a weekend."""
WEB: Final = DATA / "anomaly" / "web_access_semicomplete" / "lines.jsonl.gz"
WEB_DAYS: Final = (date(2015, 5, 17), 4)
FORMAT: Final = 1
COLUMNS: Final = (
    "benign alerts", "benign days with alerts", "benign days on which its log source had events", "benign hits",
    "benign events of its log source", "attack hits",
)  # fmt: skip


@dataclass
class Tally:
    """What one rule did."""

    alerts: int = 0
    days: set[str] = field(default_factory=set)
    """Benign days (seed and date) on which it fired."""
    hits: int = 0
    tried: int = 0
    """Benign days on which its log source had events."""
    events: int = 0
    """Benign events of its log source."""
    attack: int = 0


def main() -> None:
    """Measure and write."""
    wish = _arguments()
    tallies = defaultdict[str, Tally](Tally)
    with tempfile.TemporaryDirectory() as folder:
        rules = rulesets.load(Runtime.open(data=folder), [str(rulesets.SHIPPED), *wish.rules])
        sets = [(f"seed {n}", ordinary(n, wish.days, wish.events, Path(folder) / str(n)), FIRST, wish.days) for n in wish.seeds]
        if WEB.exists():
            sets.append(("web", site(Path(folder) / "web"), *WEB_DAYS))
        days = {
            f"{name}, {first + timedelta(days=day)}": benign(runtime, rules, (name, first + timedelta(days=day)), tallies)
            for name, runtime, first, count in sets
            for day in range(count)
        }
        for _, runtime, _, _ in sets:
            runtime.store.close()
    about = {
        "format": FORMAT, "measured": SystemClock().now().date().isoformat(), "generator": revision(), "benign_days": days,
        "attack_events": attacks(rules, tallies), "rules": len(rules.rules) + len(rules.correlations), "columns": COLUMNS,
    }  # fmt: skip
    write(Path(wish.out), about, tallies)
    told(rules, tallies)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--rules", action="append", default=[], help="rule folder beside the shipped rules: an unpacked public release")
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--events", type=int, default=30_000, help="per seed, about")
    parser.add_argument("--out", default=str(ROOT / "rules" / "precision.json"))
    return parser.parse_args()


def ordinary(seed: int, days: int, events: int, folder: Path) -> Runtime:
    """A store with days on which nothing happened."""
    start = datetime.combine(FIRST, datetime.min.time(), LOCAL)
    made = Drill(Plan(seed, start.timestamp(), days, events, ()), folder)
    setup.write(made.world, folder, exercise=False)
    for _ in made.stream():
        pass
    runtime = drill.open_folder(folder)
    runtime.clock = FixedClock(start + timedelta(days=days))
    for _ in collect(runtime, configured(runtime)):
        pass
    return runtime


def site(folder: Path) -> Runtime:
    """A store with the public web site."""
    folder.mkdir()
    (folder / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n', encoding="utf-8")
    with gzip.open(WEB, "rt", encoding="utf-8") as lines:
        (folder / "web.log").write_text("\n".join(json.loads(line)["line"] for line in lines) + "\n", encoding="utf-8")
    runtime = Runtime.open(config=str(folder / "soc.toml"))
    for _ in collect(runtime, configured(runtime)):
        pass
    return runtime


def benign(runtime: Runtime, rules: RuleSet, when: tuple[str, date], tallies: dict[str, Tally]) -> int:
    """One day: alerts and hits of each rule, and how many events its log source had; how many events in all."""
    label, day = f"{when[0]} {when[1]}", when[1]
    start = datetime.combine(day, datetime.min.time(), LOCAL).astimezone(UTC)
    store = runtime.store.events
    chunks: list[Chunk] = list(within(store.chunks(), TimeWindow(start, start + timedelta(days=1))))
    for finding in SigmaDetector(rules, hunt=True).scan(chunks, {}, runtime.clock.now(), store).findings:
        tally = tallies[finding.rule.id]
        tally.hits += finding.count
        if finding.rule.level != NO_ALERT:
            tally.alerts += 1
            tally.days.add(label)
    for rule_id, count in fed(rules, chunks):
        tallies[rule_id].events += count
        tallies[rule_id].tried += bool(count)
    return sum(chunk.rows for chunk in chunks)


def fed(rules: RuleSet, chunks: Iterable[Chunk]) -> Iterator[tuple[str, int]]:
    """(rule or correlation, events of its log source)."""
    routes = list(dict.fromkeys(rule.route for rule in rules.rules))
    matcher = Matcher([Entry(number, route, TRUE) for number, route in enumerate(routes)])
    counts: Counter[Any] = Counter()
    for chunk in chunks:
        for number, rows in matcher.run(chunk):
            counts[routes[int(str(number))]] += len(rows)
    own = {rule.ref.id: counts[rule.route] for rule in rules.rules}
    yield from own.items()
    for name, below in bases(rules).items():
        yield name, max((own[one] for one in below), default=0)


def attacks(rules: RuleSet, tallies: dict[str, Tally]) -> int:
    """Hits on recorded attacks, where the data is at hand; how many events that were."""
    archive, lab = DATA / "evtx" / "attack-samples-dev.tar.xz", DATA / "sigma" / "windows-dev.ndjson.xz"
    paths = [str(path) for path in (archive, lab) if path.exists()]
    result = hunt.Hunt()
    for hit in hunt.hunt(paths, rules, result, workers=1) if paths else ():
        tallies[rules.rules[hit.rule].ref.id].attack += 1
    return result.events


def write(path: Path, about: dict[str, Any], tallies: dict[str, Tally]) -> None:
    """One rule a line, sorted, so that a change can be read."""
    kept = {key: t for key, t in sorted(tallies.items()) if t.events or t.hits or t.attack}
    lines = [f"{json.dumps(key)}:{_figures(tally)}" for key, tally in kept.items()]
    head = json.dumps(about, ensure_ascii=False)
    path.write_text(f'{{"about": {head},\n"rules": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def _figures(tally: Tally) -> str:
    return json.dumps([tally.alerts, len(tally.days), tally.tried, tally.hits, tally.events, tally.attack], separators=(",", ":"))


def told(rules: RuleSet, tallies: dict[str, Tally]) -> None:
    """The noisiest, for whoever runs this."""
    titles = {rule.ref.id: rule.ref.title for rule in rules.rules}
    noisy: Sequence[tuple[str, Tally]] = sorted(tallies.items(), key=lambda item: -item[1].alerts)[:30]
    for key, tally in noisy:
        if tally.alerts:
            share = f"{tally.alerts / max(1, tally.tried):8.2f} a day on {len(tally.days)} of {tally.tried} days"
            print(f"{share}, {tally.attack} attack hits: {titles.get(key, key)}")


def revision() -> str:
    """Which generator: the newest commit of its folder."""
    command = ["git", "log", "-1", "--format=%h", "--", "playbooks/drills"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
