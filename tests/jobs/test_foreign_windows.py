"""Real Windows events, as four shippers would write them: the same rules fire on the same events."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from collectors import detect, evtx
from detectors.sigma.ruleset import RuleSet, cached
from domain.raw import Checkpoint, RawBatch
from jobs.rulesets import SHIPPED
from store.memory import TableChunk
from store.rows import prepare
from tests.collectors.envelopes.test_shipped import alert, escaped
from tests.collectors.foreign import NOW

Record = dict[str, Any]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return cached([SHIPPED], None)


@pytest.fixture(scope="module")
def records(shared_data: Path) -> list[Record]:
    with tarfile.open(shared_data / "evtx" / "attack-samples-dev.tar.xz") as archive:
        return [orjson.loads(raw)["Event"] for member in archive if member.name.endswith(".evtx") for raw in _raw(archive, member)]


def _raw(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(member)
    assert file is not None
    yield from (raw for _, raw in evtx.records(io.BytesIO(file.read()), evtx.Damage()))


def attribute(system: Record, element: str, name: str) -> Any:
    return ((system.get(element) or {}).get("#attributes") or {}).get(name)


def text(value: Any) -> Any:
    return value.get("#text") if isinstance(value, dict) else value


def data(event: Record) -> tuple[dict[str, str], list[str]]:
    """Named values, and those without a name."""
    named: dict[str, str] = {}
    unnamed: list[str] = []
    user = next((v for k, v in (event.get("UserData") or {}).items() if k != "#attributes" and isinstance(v, dict)), {})
    for key, value in [*(event.get("EventData") or {}).items(), *user.items()]:
        found = None if key == "#attributes" else text(value)
        if isinstance(found, list):
            unnamed = list(map(str, found))
        elif found is not None and not isinstance(found, dict):
            named[key] = str(found).lower() if isinstance(found, bool) else str(found)
    return named, unnamed


def winlogbeat(event: Record) -> Record:
    system, (named, unnamed) = event["System"], data(event)
    code = str(text(system["EventID"]))
    winlog = {
        "channel": system.get("Channel"), "provider_name": attribute(system, "Provider", "Name"), "computer_name": system.get("Computer"),
        "event_data": {**named, **{f"param{n}": value for n, value in enumerate(unnamed, 1)}},
    }  # fmt: skip
    return {"@timestamp": attribute(system, "TimeCreated", "SystemTime"), "event": {"code": code}, "winlog": winlog}


def wazuh(event: Record) -> Record:
    system, (named, unnamed) = event["System"], data(event)
    values = {**named, **({"Data": ", ".join(unnamed)} if unnamed else {})}
    header = {
        "providerName": attribute(system, "Provider", "Name"), "eventID": str(text(system["EventID"])), "channel": system.get("Channel"),
        "systemTime": attribute(system, "TimeCreated", "SystemTime"), "computer": system.get("Computer"),
    }  # fmt: skip
    lowered = {key[:1].lower() + key[1:]: escaped(value) for key, value in values.items()}
    return {**alert("windows_eventchannel", "EventChannel"), "data": {"win": {"system": header, "eventdata": lowered}}}


def otel(event: Record) -> Record:
    system, (named, unnamed) = event["System"], data(event)
    body = {
        "event_id": {"id": text(system["EventID"])}, "provider": {"name": attribute(system, "Provider", "Name")},
        "system_time": attribute(system, "TimeCreated", "SystemTime"), "computer": system.get("Computer"), "channel": system.get("Channel"),
        "event_data": {"data": [*({"": value} for value in unnamed), *({key: value} for key, value in named.items())]},
    }  # fmt: skip
    return {"@timestamp": "2026-11-24T01:15:02Z", "observedTimestamp": "2026-11-24T01:15:02Z", "severity": {"text": "Info"}, "body": body}


def firings(rules: RuleSet, documents: list[Record]) -> set[tuple[str, int]]:
    """(rule, number of the document)."""
    raw = pa.array([orjson.dumps(document) for document in documents], pa.large_binary())
    numbers = np.arange(len(documents))
    batch = RawBatch("s", "i#1/0", raw, numbers, numbers, Checkpoint("s", "i#1/0", len(documents)))
    out = set()
    for parsed in detect.parse(batch):
        assert parsed.parser == "windows"
        chunk = TableChunk(prepare([detect.complete(batch, parsed, NOW)]), parsed.parser)
        for key, rows in rules.matcher.run(chunk):
            out |= {(rules.rules[int(str(key))].ref.id, int(parsed.rows[row])) for row in rows}
    return out


@pytest.mark.parametrize("ship", [winlogbeat, wazuh, otel])
def test_the_same_rules_fire(rules: RuleSet, records: list[Record], ship: Callable[[Record], Record]) -> None:
    want = firings(rules, [{"Event": record} for record in records])
    assert len(want) > 30
    assert firings(rules, [ship(record) for record in records]) == want
