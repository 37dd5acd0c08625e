"""`soc hunt` from start to end: rules, hits, counts, files written; stopped by Ctrl-C it gives what it has."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from collectors import whole
from domain import severity
from domain.errors import SocError, UsageError
from domain.window import TimeWindow, moment
from jobs import hunt as files
from jobs import hunt_out, hunt_store, retro, rulesets
from jobs.hunt_found import FileEpisode, FileHit, episode_line, hit_line
from jobs.hunt_tally import Tally

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    paths: Sequence[str] = ()
    """Files and folders; empty = the store."""
    rules: Sequence[str] = ()
    """Rule files and folders; empty = shipped, imported and content rules."""
    outs: Sequence[str] = ()
    html: str = ""
    stats: str = ""
    parser: str = "auto"
    workers: int = 0
    since: str = ""
    until: str = ""
    min_level: str = ""
    hash: bool = False
    """SHA-256 of the input files, for the page and the figures."""


@dataclass
class Outcome:
    """What came out."""

    rules: RuleSet
    tally: Tally
    result: files.Hunt
    origins: Mapping[str, int] = field(default_factory=dict)
    """`shipped`, `content`, or the name of a pack or rule folder -> rules that ran."""
    figures: dict[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] | None = None
    stopped: bool = False
    """By the user, in the middle."""

    @property
    def only_ours(self) -> bool:
        """Whether no rule came from elsewhere."""
        return not set(self.origins) - {"shipped", "content"}


def check(asked: Asked) -> None:
    """UsageError for what cannot be hunted, before anything is opened."""
    for path in asked.paths:
        if not path or not Path(path).exists():
            raise UsageError(f"no such file or folder: {path or '(empty name)'}", hint="soc hunt . for this folder" if not path else "")


Told = Callable[[dict[str, Any]], None]


def run(runtime: Runtime, asked: Asked, tick: Callable[[float], None] | None, tell: Told | None) -> Outcome:
    """Hunt and write what was asked for; `tell` is given each line of the hits format."""
    start = time.perf_counter()
    window = _window(runtime, asked)
    rules = _from_level(rulesets.load(runtime, asked.rules), asked.min_level)
    load = time.perf_counter() - start
    out_stats, out_html = (hunt_out.create(name) if name else None for name in (asked.stats, asked.html))
    outcome = Outcome(rules, Tally(rules), files.Hunt(window), origins(runtime, rules, asked.rules))
    with hunt_out.sink(asked.outs, rules) as sink:
        with _stoppable(outcome):
            for hit in _hits(runtime, asked, outcome, tick):
                sink.hit(hit)
                outcome.tally.hit(hit)
                if tell is not None:
                    tell(hit_line(rules.rules[hit.rule].ref, hit))
        outcome.result.problems = whole.together(outcome.result.problems)
        for episode in _episodes(rules, outcome.result, asked):
            sink.episode(episode)
            outcome.tally.episode(episode)
            if tell is not None:
                tell(episode_line(episode))
        sink.logs(outcome.result.records)
    outcome.figures = files.stats(rules, outcome.result, time.perf_counter() - start, load) | {"partial": outcome.stopped}
    if asked.hash:
        outcome.hashes = {f.label: _sha256(f.path) for f in outcome.result.inputs}
        outcome.figures["sha256"] = outcome.hashes
    _write(out_stats, lambda: orjson.dumps(outcome.figures, option=orjson.OPT_INDENT_2) + b"\n")
    _write(out_html, lambda: _page(runtime, asked, outcome))
    return outcome


def _hits(runtime: Runtime, asked: Asked, outcome: Outcome, tick: Callable[[float], None] | None) -> Iterator[FileHit]:
    if not asked.paths:
        yield from hunt_store.hits(runtime, outcome.rules, outcome.result)
        return
    try:
        yield from files.hunt(asked.paths, outcome.rules, outcome.result, asked.parser, asked.workers, tick)
    except BrokenExecutor:
        seen = f"{outcome.result.events} events had been seen"
        raise SocError(f"a worker process ended abruptly, probably for want of memory; {seen}", hint="fewer of them: --workers 1") from None


def _page(runtime: Runtime, asked: Asked, outcome: Outcome) -> bytes:
    from jobs import hunt_page
    from jobs.hunt_about import about
    from reports import hunt as report

    return report.page(hunt_page.facts(outcome.rules, outcome.result, outcome.tally, about(runtime, asked, outcome)))


def _write(file: IO[bytes] | None, content: Callable[[], bytes]) -> None:
    if file is not None:
        with file:
            file.write(content())


def _window(runtime: Runtime, asked: Asked) -> TimeWindow | None:
    if not asked.since and not asked.until:
        return None
    now = runtime.clock.now()
    end = moment(asked.until, now) if asked.until else datetime.max.replace(tzinfo=UTC)
    found = TimeWindow(moment(asked.since, now) if asked.since else datetime.min.replace(tzinfo=UTC), end)
    if found.start >= found.end:
        raise UsageError(f"--since {asked.since} is not before --until {asked.until or 'now'}")
    return found


def _from_level(rules: RuleSet, level: str) -> RuleSet:
    """Without the rules below that level; those that a correlation needs stay and are not shown."""
    if not level:
        return rules
    if level not in severity.LEVELS:
        raise UsageError(f"--min-level {level}: {' | '.join(severity.LEVELS)}")
    least = severity.rank(level)
    asked = {r.ref.id for r in rules.rules if severity.rank(r.ref.level) >= least}
    asked |= {
        str(o.data.get("id") or o.data.get("name"))
        for o in rules.correlations
        if severity.rank(str(o.data.get("level") or "medium")) >= least
    }
    part = retro.subset(rules, asked)
    return replace(rules, rules=part.rules, correlations=part.correlations, bare={})


def _episodes(rules: RuleSet, result: files.Hunt, asked: Asked) -> Iterator[FileEpisode]:
    found = files.episodes(rules, result) if asked.paths else iter(result.found)
    least = severity.rank(asked.min_level) if asked.min_level else 0
    return (e for e in found if severity.rank(e.ref.level) >= least)


def origins(runtime: Runtime, rules: RuleSet, explicit: Sequence[str]) -> dict[str, int]:
    """Where the rules that run come from: `shipped`, `content`, the names of packs; or the folders that the caller named."""
    roots = {str(root): root.name.partition("@")[0] for root in rulesets.roots(runtime, explicit)}
    if not explicit:
        roots |= {str(root): "content" for root in runtime.content("rules")} | {str(rulesets.SHIPPED): "shipped"}
    longest = sorted(roots, key=len, reverse=True)
    places = [rule.file for rule in rules.rules] + [other.file for other in rules.correlations]
    counted: Counter[str] = Counter()
    for place in places:
        counted[next((roots[root] for root in longest if place.startswith(root)), "content")] += 1
    return dict(counted)


@contextmanager
def _stoppable(outcome: Outcome) -> Iterator[None]:
    """The first Ctrl-C ends the hunt after the batch at hand; the second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        if outcome.result.stopped:
            raise KeyboardInterrupt
        outcome.result.stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        outcome.stopped = outcome.result.stopped


def _sha256(path: Path) -> str:
    """Of a file; empty when it cannot be read (the hunt has told why)."""
    try:
        if not path.is_file():  # a FIFO would block
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
