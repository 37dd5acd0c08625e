"""Windows events read kind by kind give what they give when they are read in full."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collectors.base import Payload
from collectors.parsers.windows import PARSER
from tests.collectors.parsers.test_windows import BEAT, EVTX, FLAT

BEAT_6 = {"@timestamp": "2026-11-14T01:02:03.456Z", "log_name": "Security", "event_id": 1, "event_data": {"Image": "cmd.exe"}}


@pytest.mark.parametrize("event", [EVTX, FLAT, BEAT, BEAT_6])
def test_the_time_is_the_same_whatever_else_is_wanted(event: dict[str, Any]) -> None:
    def parse(wanted: frozenset[str] | None) -> Any:
        return PARSER.parse(Payload(pa.array([json.dumps(event)]), np.zeros(1, np.int64), wanted=wanted))["@timestamp"][0].as_py()

    known = parse(None)
    assert known.isoformat().startswith("2026-11-14T01:02:03")
    assert parse(frozenset({"@timestamp"})) == known
    assert parse(frozenset({"@timestamp", "host.name", "winlog.event_data.Image"})) == known
