"""Every line of tests/data/parsers/<parser>/<name>.log gives the event beside it in <name>.json, found by detection alone.

To add lines: write them, run with SOC_GOLDEN=write, and read the difference before committing it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from collectors import PARSERS
from domain import fields
from tests.collectors.parsers.lines import events

GOLDEN = Path(__file__).parents[2] / "data" / "parsers"
JOINED = {"linux_audit"}
"""Formats whose records are joined with their siblings in the same batch: a record alone lacks fields, it never has others."""
OVERRULED = {
    "process.executable",
    "process.args",
    "process.args_count",
    "process.command_line",
    "event.action",
    "event.type",
    "event.category",
}
LOGS = sorted(GOLDEN.glob("*/*.log"))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.parent.name}/{log.stem}")
def test_lines_give_their_golden_events(log: Path):
    lines = log.read_text(encoding="utf-8").rstrip("\n").split("\n")
    got = events(lines)
    assert {name for name, _ in got} == {log.parent.name}
    made = [event for _, event in got]
    golden = log.with_suffix(".json")
    if os.environ.get("SOC_GOLDEN") == "write":
        golden.write_text(json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert made == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.parent.name}/{log.stem}")
def test_a_line_alone_gives_the_same_event_as_among_others(log: Path):
    lines = log.read_text(encoding="utf-8").rstrip("\n").split("\n")
    alone, among = [events([line])[0] for line in lines], events(lines)
    if log.parent.name in JOINED:
        assert [(n, {k: v for k, v in e.items() if k in a}) for (n, e), (_, a) in zip(among, alone, strict=True) if set(a) <= set(e)] == [
            (n, {k: e[k] if k in OVERRULED else v for k, v in a.items()}) for (n, a), (_, e) in zip(alone, among, strict=True)
        ]
    else:
        assert alone == among


def test_every_parser_of_this_folder_has_golden_lines():
    assert set(PARSERS) - {log.parent.name for log in LOGS} <= {"windows"}


def test_every_field_is_in_the_dictionary():
    known = {name for log in LOGS for event in json.loads(log.with_suffix(".json").read_text(encoding="utf-8")) for name in event}
    assert {name for name in known if fields.lookup(name) is None} == set()


def test_lines_of_all_parsers_in_one_batch_keep_their_parsers():
    mixed = [(log.parent.name, line) for log in LOGS for line in log.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    for start in range(0, 40, 8):
        part = mixed[start::5] + mixed[:start]
        assert [name for name, _ in events([line for _, line in part])] == [name for name, _ in part]
