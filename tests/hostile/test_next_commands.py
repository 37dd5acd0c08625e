"""The commands that `soc` proposes work when pasted, and carry nothing but their own words, whatever a log says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from detectors.anomaly import detectors
from detectors.triage import AlertIndex, triage
from domain.event import table_of
from store import open_store
from store.base import Delivery
from tests.conftest import Soc
from tests.detectors.chunks import at, login

NOW = "2026-11-02T10:00:00+07:00"
HOST = "h'; touch owned #`touch owned`$(touch owned)"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store where accounts were guessed at a host with a hostile name."""
    events = [{**login(i * 5, "", f"u{i % 12}"), "host.name": HOST} for i in range(40)]
    for n, event in enumerate(events):
        del event["source.ip"]
        event |= {"event.id": n.to_bytes(16, "big"), "event.ingested": at(2000), "event.original": b"x"}
    folder = tmp_path / "data"
    store = open_store(f"file:{folder}", {})
    store.events.append(Delivery({"test": [table_of(events)]}))
    for detector in detectors({}):
        head = store.events.head()
        done = detector.scan(store.events.scan(0, head), {}, at(3600), store.events)
        new = triage(done.findings, AlertIndex.load(store.records), at(3600))
        assert store.coordination.commit_scan(detector.name, 0, head, new.records, at(3600), done.state, new.expect)
    store.close()
    return folder


def test_a_hostile_host_name_stays_one_word_of_the_proposed_search(soc_here: Soc, data: Path) -> None:
    always = ("--data", str(data), "--now", NOW)
    [alert] = json.loads(soc_here("alerts", "list", "--json", *always).stdout)
    shown = json.loads(soc_here("alerts", "show", alert["id"], "--json", *always).stdout)
    [search] = [shlex.split(line) for line in shown["next"] if line.startswith("soc search")]
    assert [search[0], search[1], search[3], search[5]] == ["soc", "search", "--since", "--until"]
    assert len(search) == 7
    assert json.loads(soc_here(*search[1:], "--limit", "1", "--json", *always).stdout)["host.name"] == HOST


def test_every_proposed_command_is_accepted(soc_here: Soc, data: Path) -> None:
    always = ("--data", str(data), "--now", NOW)
    [alert] = json.loads(soc_here("alerts", "list", "--json", *always).stdout)
    assert soc_here("incident", "open", "--alert", alert["id"], *always).returncode == 0
    shown = json.loads(soc_here("alerts", "show", alert["id"], "--json", *always).stdout)
    commands = [shlex.split(line)[1:] for line in shown["next"] if "|" not in line]
    assert ["playbook", "start"] in [words[:2] for words in commands]
    for words in commands:
        done = soc_here(*words, *always)
        assert done.returncode == 0, (words, done.stderr)
