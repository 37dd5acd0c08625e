"""Every line that the generator writes is recognised and parsed by the parser of its device, with the facts it carries."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from collectors.detect import parse
from domain.clock import LOCAL
from domain.event import row
from domain.raw import Checkpoint, RawBatch
from playbooks.drills.attacks import SCENARIOS
from playbooks.drills.generate import Drill, Plan

START = datetime(2026, 11, 24, tzinfo=LOCAL).timestamp()
PARSERS = {
    "fw-thdl": {"fortigate"}, "ids-thdl": {"suricata"}, "web-dvc": {"nginx"}, "web-cong": {"nginx"}, "sso": {"keycloak"}, "lgsp": {"apigw"},
}  # fmt: skip
"""Source -> parsers; Windows sources: windows; Linux sources: those of syslog and auditd."""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, pa.Table]]]:
    """Source -> (parser, events) of one generated day."""
    folder: Path = tmp_path_factory.mktemp("formats")
    drill = Drill(Plan(3, START, 1, 12_000, tuple(SCENARIOS)), folder)
    for _ in drill.stream():
        pass
    out: dict[str, list[tuple[str, pa.Table]]] = {}
    for path in sorted(folder.glob("logs/*/*")):
        lines = path.read_bytes().split(b"\n")[:-1]
        arrivals = np.full(len(lines), int((START + 86400) * 1e6), np.int64)
        batch = RawBatch("s", "g", pa.array(lines, pa.large_binary()), np.arange(len(lines)), arrivals, Checkpoint("s", "g", 0))
        out.setdefault(path.parent.name, []).extend((p.parser, p.table) for p in parse(batch))
    return out


def test_no_line_is_a_riddle(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    for source, parts in events.items():
        for parser, table in parts:
            failed = table.filter(pc.equal(table["event.kind"].cast(pa.string()), "pipeline_error"))
            assert failed.num_rows == 0, (source, parser, failed["message"][:2].to_pylist())


def test_every_source_is_recognised(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    for source, parts in events.items():
        found = {parser for parser, _ in parts}
        wanted = PARSERS.get(source, {"windows"} if source.startswith("win-") else {"linux_auth"})
        assert wanted <= found, source
        assert "plain" not in found, source


def test_times_lie_within_the_day(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    for source, parts in events.items():
        for parser, table in parts:
            if parser == "kv":  # auditd: generic, the time stands inside the message
                continue
            low, high = pc.min_max(table["@timestamp"]).as_py().values()
            assert low.timestamp() >= START - 1, (source, parser)
            assert high.timestamp() <= START + 86400, (source, parser)


def _rows(events: dict[str, list[tuple[str, pa.Table]]], source: str, **wanted: str) -> list[dict[str, object]]:
    found = []
    for _, table in events[source]:
        for index in range(table.num_rows):
            event = row(table, index)
            if all(str(event.get(k.replace("_", "."))) == v for k, v in wanted.items()):
                found.append(event)
    return found


def test_sign_ins_tell_who_and_from_where(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    failures = _rows(events, "sso", event_outcome="failure")
    assert len(failures) > 20
    assert all(e.get("source.ip") and e.get("user.name") for e in failures)


def test_calls_tell_client_and_size(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    calls = _rows(events, "lgsp")
    assert all(e["source.ip"] and e["http.response.status_code"] and e["http.response.body.bytes"] for e in calls)
    assert {"motcua-tinh", "lgsp-portal"} <= {e.get("api.client.id") or e.get("api.client.name") for e in calls}


def test_windows_tells_process_and_logon(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    started = _rows(events, "win-may-tram", event_code="1")
    assert started
    assert all(e["process.executable"] and e["process.command_line"] and e["process.parent.executable"] for e in started)
    assert _rows(events, "win-dc01", event_code="4768")


def test_the_firewall_tells_sessions_and_refusals(events: dict[str, list[tuple[str, pa.Table]]]) -> None:
    denied = [e for e in _rows(events, "fw-thdl") if e.get("fortinet.firewall.action") == "deny" or e.get("event.action") == "deny"]
    assert denied
    assert all(e["source.ip"] and e["destination.ip"] and e["destination.port"] for e in denied)
