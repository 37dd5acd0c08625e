"""The whole chain on both engines over the same log files: the same alerts, entities, counts, episodes, answers, documents."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from detectors.triage import AlertIndex
from domain.clock import FixedClock
from domain.grammar import parse
from domain.query import Query
from jobs import drill, respond, respond_playbook
from jobs.collect import collect, configured
from jobs.runtime import Runtime
from jobs.scan import scan
from jobs.search import histogram
from tests.conftest import Soc

WISH = drill.Wish(events=4_000, days=1)
EVERY = timedelta(hours=4)
QUERIES = (
    "event.outcome:failure", "source.ip|cidr:2001:db8::/32", "not user.name:*", "winlog.event_data.CommandLine|contains:powershell",
    "quan tri", "url.path:*.php and http.response.status_code:200", "event.code:(4625 or 4624) and source.ip:*",
)  # fmt: skip


@dataclasses.dataclass
class Played:
    """One drill, collected and scanned by two stores as time passed."""

    folder: Path
    local: Runtime
    cluster: Runtime


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, opensearch_url: str, module_prefix: str) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("chain") / "d"
    made = drill.prepare(WISH, folder)
    local = drill.open_folder(folder)
    text = (
        (folder / "soc.toml").read_text("utf-8").replace('url = "file:data"', f'url = "{opensearch_url}"\nindex_prefix = "{module_prefix}"')
    )
    (folder / "cluster.toml").write_text(text, encoding="utf-8")
    cluster = Runtime.open(config=str(folder / "cluster.toml"))
    for until in made.stream():
        into = until - made.world.last_day
        if until < made.world.last_day or into % EVERY.total_seconds():
            continue
        for runtime in (local, cluster):
            runtime.clock = FixedClock(datetime.fromtimestamp(until, UTC))
            collect(runtime, configured(runtime))
            scan(runtime)
    yield Played(folder, local, cluster)
    local.store.close()
    cluster.store.close()


def both(played: Played) -> tuple[Runtime, Runtime]:
    return played.local, played.cluster


def test_the_same_events_are_stored_and_counted(played: Played) -> None:
    local, cluster = both(played)
    assert cluster.store.events.verify() == local.store.events.verify() == []
    assert cluster.store.events.coverage() == local.store.events.coverage()
    assert list(cluster.store.events.ledger()) == list(local.store.events.ledger())
    assert cluster.store.events.head() == local.store.events.head()


def test_the_same_alerts_to_the_last_value(played: Played) -> None:
    mine, theirs = (
        {a.id: dataclasses.asdict(a) for a in AlertIndex.load(runtime.store.records).alerts.values()} for runtime in both(played)
    )
    assert len(mine) > 10
    assert mine == theirs


def test_the_same_answer_key(played: Played) -> None:
    mine, theirs = (drill.check(runtime, played.folder / drill.KEY) for runtime in both(played))
    assert mine == theirs
    assert len(mine.found) > 15


@pytest.mark.parametrize("text", QUERIES)
def test_the_same_search_results(played: Played, text: str) -> None:
    local, cluster = both(played)
    where = parse(text)
    asked = Query(where, limit=500)
    mine, theirs = ([i for t in r.store.events.search(asked) for i in t["event.id"].to_pylist()] for r in (cluster, local))
    assert mine == theirs
    assert cluster.store.events.count(Query(where)) == local.store.events.count(Query(where))


def test_the_same_groups_and_bars(played: Played) -> None:
    local, cluster = both(played)
    for by, every in ((["thapcanh.source"], ""), (["host.name", "event.outcome"], "1h"), (["host.ip"], "1d"), ([], "5m")):
        mine, theirs = (sorted(map(str, r.store.events.aggregate(Query(), by, every).to_pylist())) for r in (cluster, local))
        assert mine == theirs
    bars = [histogram(r.store.events, Query(parse("event.outcome:failure")), ["user.name"]) for r in both(played)]
    (step, mine), (other, theirs) = bars
    assert step == other
    assert sorted(map(str, mine.to_pylist())) == sorted(map(str, theirs.to_pylist()))
    assert mine.num_rows > 1


def test_the_same_incident_and_playbook_answers(played: Played) -> None:
    told = []
    for runtime in both(played):
        cases = respond.incidents(runtime)
        largest = max(cases, key=lambda i: (len(i.alerts), i.id))
        view, _ = respond_playbook.start(runtime, largest.id, "PB04", {})
        deeds = [respond_playbook.next_step(runtime, view.run.id, step.id) for step in view.book.steps[:8]]
        told.append((sorted(map(str, cases)), [str(d) for d in deeds]))
    assert told[0] == told[1]
    assert "Answer(" in str(told[0][1])


def test_the_same_documents(played: Played, soc: Soc) -> None:
    texts = []
    for name in ("soc.toml", "cluster.toml"):
        config = ("--config", str(played.folder / name), "--now", "2026-11-25T01:00:00+07:00")
        done = soc(*config, "report", "weekly", "--period", "2026-W48", "--format", "html", "--out", str(played.folder / f"out-{name}"))
        assert done.returncode == 0, done.stderr
        texts.append(next((played.folder / f"out-{name}").glob("*.html")).read_text("utf-8"))
    assert texts[0] == texts[1]


def test_the_same_lists_on_the_command_line(played: Played, soc: Soc) -> None:
    for words in (
        ("alerts", "list"),
        ("queue",),
        ("collect", "status"),
        ("rules", "check"),
        ("search", "event.outcome:failure", "--limit", "9"),
    ):
        told = []
        for name in ("soc.toml", "cluster.toml"):
            done = soc("--config", str(played.folder / name), "--now", "2026-11-25T01:00:00+07:00", *words, "--json")
            assert done.returncode == 0, (words, done.stderr)
            told.append(
                [json.loads(line) for line in done.stdout.splitlines() if line.strip()] if words[0] == "search" else json.loads(done.stdout)
            )
        assert told[0] == told[1], words
