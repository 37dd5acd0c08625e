"""`soc search`, `soc store`, `soc audit` as users run them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from commands import event_view
from domain.query import Query
from store import open_store
from tests.store.events import T0, delivery, events, identity

HOSTILE = "\x1b[31mroot\x07\u202e"


@pytest.fixture
def data(tmp_path):
    store = open_store(f"file:{tmp_path / 'd'}")
    store.events.append(delivery(events(0, 6, step=60)))
    store.events.append(delivery(events(6, 2, at=T0 - timedelta(days=20), user__name=[HOSTILE, "=1+1"])))
    store.close()
    return "--data=d"


def lines(run):
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_search_as_json_lines(soc_here, data):
    found = lines(soc_here(data, "search", "user.name:root", "--json", "--until", "now", "--now", "2026-11-24T12:00:00Z", "--since", "24h"))
    assert [e["event.original"] for e in found] == ["record 3", "record 0"]
    assert found[0]["@timestamp"] == "2026-11-24T01:03:00.000Z"
    assert found[0]["event.id"] == identity(3).hex()


def test_search_as_table_shows_local_time_and_harmless_text(soc_here, data):
    run = soc_here(data, "search", "*")
    assert "24/11/2026 08:05:00" in run.stdout
    assert "‹U+001B›[31mroot‹U+0007›‹U+202E›" in run.stdout
    assert "\x1b" not in run.stdout
    assert run.stderr == "8 events\n"


def test_search_as_csv(soc_here, data):
    run = soc_here(data, "search", "user.name:=1+1", "--format", "csv", "--fields", "@timestamp,user.name")
    assert run.stdout.splitlines() == ["@timestamp,user.name", "2026-11-04T08:00:01.000+07:00,'=1+1"]


def test_csv_has_one_header_however_many_days_there_are(soc_here, data):
    rows = soc_here(data, "search", "--format", "csv").stdout.splitlines()
    assert [row.partition(",")[0] for row in rows].count("@timestamp") == 1
    assert len(rows) == 9


def test_search_says_that_there_is_more(soc_here, data):
    run = soc_here(data, "search", "--limit", "2")
    assert run.stderr == "The first 2 events; there may be more: --limit 2 → a higher number, 0 = all\n"
    assert soc_here(data, "search", "nothing").stderr == "No event matches\n"


def test_search_errors_point_at_the_place(soc_here, data):
    run = soc_here(data, "search", "a and usr.name:x")
    assert run.returncode == 2
    first, line, caret, hint = run.stderr.splitlines()
    assert first == "soc: query, column 7: unknown field usr.name"
    assert line.index("usr.name") == caret.index("^")
    assert "did you mean" in hint


def test_search_around_histogram_and_counts(soc_here, data):
    near = lines(soc_here(data, "search", "--around", identity(2).hex(), "1m", "--json"))
    assert [e["event.original"] for e in near] == ["record 1", "record 2", "record 3"]
    (bars,) = lines(soc_here(data, "search", "--histogram", "--json", "--since", "2026-11-24T08:00", "--until", "2026-11-24T08:10"))
    assert [(b["bucket"], b["count"]) for b in bars][:2] == [("2026-11-24T08:00:00.000+07:00", 1), ("2026-11-24T08:01:00.000+07:00", 1)]
    (by,) = lines(soc_here(data, "search", "--by", "source.ip", "--json"))
    assert [(b["source.ip"], b["count"]) for b in by] == [("10.0.0.1", 4), ("2001:db8::1", 4)]
    assert "█" in soc_here(data, "search", "--histogram").stdout


def test_store_info_and_verify(soc_here, data, tmp_path):
    (info,) = lines(soc_here(data, "store", "info", "--json"))
    assert (info["events"], info["head"], info["datasets"], info["holds"]) == (8, 8, {"test.log": 8}, [])
    assert (info["first"], info["last"]) == ("2026-11-04T08:00:00.000+07:00", "2026-11-24T08:05:00.000+07:00")
    assert lines(soc_here(data, "store", "verify", "--json")) == [{"problems": []}]
    next((tmp_path / "d").glob("events/2026-11-04/*")).unlink()
    run = soc_here(data, "store", "verify")
    assert run.returncode == 1
    assert "No such file or directory" in run.stdout
    assert soc_here(data, "search", "user.name:x").returncode == 6


def test_holds_retention_and_the_audit_log(soc_here, data):
    now = "--now=2026-11-24T12:00:00Z"
    assert soc_here(data, now, "store", "hold", "INC-1", "--since", "2026-11-01", "--until", "2026-11-10").stderr == "On hold: INC-1\n"
    run = soc_here(data, now, "store", "retain", "--before", "7d")
    assert run.stderr.splitlines()[1] == "2 events kept by hold INC-1"
    assert soc_here(data, now, "store", "hold", "INC-1", "--release").returncode == 0
    (done,) = lines(soc_here(data, now, "store", "retain", "--before", "2026-11-20", "--json"))
    assert (done["before"], done["events"], done["kept"]) == ("2026-11-20", 2, {})
    assert [e["action"] for e in lines(soc_here(data, "audit", "log", "--json"))] == [
        "store.hold",
        "store.retain",
        "store.release",
        "store.retain",
    ]
    (chain,) = lines(soc_here(data, "audit", "verify", "--json"))
    assert (chain["entries"], chain["problems"]) == (4, [])
    assert soc_here(data, "audit", "verify", "--expect", chain["head"]).returncode == 0
    assert soc_here(data, "audit", "verify", "--expect", f"9:{'0' * 64}").returncode == 1


def test_retention_refuses_today_and_nonsense(soc_here, data):
    for text in ("2030-01-01", "now", "5"):
        run = soc_here(data, "store", "retain", "--before", text)
        assert run.returncode == 2, text
    assert soc_here(data, "store", "hold", "nobody", "--release").stderr.startswith("soc: no hold named nobody; there are: none")


def test_compact(soc_here, data):
    (done,) = lines(soc_here(data, "store", "compact", "--json"))
    assert done == {"merged_away": 0}


@pytest.fixture
def long(tmp_path):
    store = open_store(f"file:{tmp_path / 'd'}")
    more = {"source__ip": "2001:db8::7", "destination__ip": "2001:db8::9", "destination__port": 443, "event__action": "logged-in"}
    store.events.append(delivery(events(0, 1, event__outcome="failure", message="word " * 60, **more)))
    store.close()
    return "--data=d"


def test_a_wide_terminal_shows_an_event_on_one_line(soc_here, long):
    out = [line for line in soc_here(long, "search").stdout.splitlines() if "logged-in ✗" in line]
    assert len(out) == 1
    assert len(out[0]) <= 200
    assert "2001:db8::7" in out[0]
    assert "→ [2001:db8::9]:443 word" in out[0]
    assert "…" in out[0]


def test_a_narrow_terminal_shows_an_event_on_two_lines(long, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(event_view, "width", lambda: 80)
    store = open_store(f"file:{tmp_path / 'd'}")
    drawn = [line for table in store.events.search(Query()) for line in event_view.draw(table)]
    store.close()
    assert len(drawn) == 2
    assert all(len(line) <= 80 for line in drawn)
    assert drawn[0].startswith("24/11/2026 08:00:00  ")
    assert drawn[1].startswith("    → [2001:db8::9]:443 word")
    assert capsys.readouterr().out == ""
