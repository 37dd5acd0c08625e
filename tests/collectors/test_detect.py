"""Which parser a record belongs to, what the envelope adds, and what a complete event carries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from collectors import detect
from collectors.parsers import nginx
from domain.errors import ConfigError
from domain.event import row
from domain.raw import event_ids
from tests.collectors.parsers.lines import ARRIVAL, batch, event, events

ACCESS = '203.0.113.5 - - [24/Nov/2026:08:15:03 +0700] "GET / HTTP/1.1" 200 1 "-" "curl"'
LOGIN = "Nov 24 08:15:03 web01 sshd[7]: Accepted password for lan from 10.0.0.1 port 5 ssh2"


def complete(lines, **changes):
    made = replace(batch(lines), **changes)
    return made, [detect.complete(made, part, ARRIVAL) for part in detect.parse(made)]


def test_records_of_one_batch_go_to_their_own_parsers_and_keep_their_rows():
    found = {part.parser: part.rows.tolist() for part in detect.parse(batch([ACCESS, LOGIN, "junk", ACCESS]))}
    assert found == {"nginx": [0, 3], "linux_auth": [1], "plain": [2]}


def test_an_unknown_line_is_an_unparsed_event_with_its_text():
    found = event("no format at all")
    assert (found["event.kind"], found["message"]) == ("pipeline_error", "no format at all")
    assert found["error.message"] == "no parser recognises this record"


def test_a_wrapped_message_of_no_format_is_an_event():
    found = event("<134>Nov 24 08:15:03 sw01 %LINK-3-UPDOWN: Interface down")
    assert (found["event.kind"], found["host.name"], found["message"]) == ("event", "sw01", "%LINK-3-UPDOWN: Interface down")


def test_a_parser_of_the_source_reads_every_record():
    found = events([ACCESS, "junk"], "apache")
    assert [name for name, _ in found] == ["apache", "apache"]
    assert found[1][1]["error.message"] == "not an access log line of apache"


def test_an_unknown_parser_names_those_there_are():
    with pytest.raises(ConfigError, match="no such parser: ngnix") as caught:
        detect.parse(batch([ACCESS], "ngnix"))
    assert "nginx | apache" in caught.value.hint


def test_an_unknown_encoding_and_zone_are_told():
    with pytest.raises(ConfigError, match="no such text encoding: tcvn3"):
        detect.parse(batch([ACCESS], encoding="tcvn3"))
    with pytest.raises(ConfigError, match="no such time zone: CEST"):
        detect.parse(batch([ACCESS], tz="CEST"))


def test_the_result_does_not_depend_on_what_else_is_in_the_batch():
    alone = events([LOGIN])[0]
    assert events([ACCESS] * 300 + [LOGIN])[-1] == alone
    assert events([LOGIN] * 300 + [ACCESS])[0] == alone


def test_a_syslog_envelope_gives_host_program_priority_and_time():
    found = event('<86>1 2026-11-24T01:15:03.5Z web01 sshd 77 ID1 [x@1 a="b\\"c"] Accepted password for lan from 2001:db8::1 port 5 ssh2')
    assert found["@timestamp"] == "2026-11-24T01:15:03.500Z"
    assert (found["host.name"], found["process.name"], found["process.pid"]) == ("web01", "sshd", 77)
    assert (found["log.syslog.priority"], found["log.syslog.facility.code"], found["log.syslog.severity.code"]) == (86, 10, 6)
    assert found["log.syslog.structured_data.x@1.a"] == 'b"c'
    assert found["source.ip"] == "2001:db8::1"


def test_the_log_line_knows_its_time_better_than_its_envelope():
    assert event(f"<134>Nov 24 09:00:00 web01 nginx: {ACCESS}")["@timestamp"] == "2026-11-24T01:15:03.000Z"


@pytest.mark.parametrize(
    ("arrival", "stamp", "expected"),
    [
        pytest.param(datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), "Dec 31 23:59:59", "2026-12-31T16:59:59.000Z", id="sent in the old year"),
        pytest.param(datetime(2026, 12, 31, 16, 59, 55, tzinfo=UTC), "Jan  1 00:00:01", "2026-12-31T17:00:01.000Z", id="device ahead"),
        pytest.param(datetime(2026, 3, 1, tzinfo=UTC), "Feb 29 12:00:00", "2024-02-29T05:00:00.000Z", id="leap day"),
        pytest.param(datetime(2026, 11, 24, tzinfo=UTC), "Nov 24 2019 08:15:03", "2019-11-24T01:15:03.000Z", id="year given"),
    ],
)
def test_a_stamp_without_a_year_lies_nearest_to_its_arrival(arrival: datetime, stamp: str, expected: str):
    assert event(f"<13>{stamp} h app: x", at=arrival)["@timestamp"] == expected


def test_a_stamp_without_a_zone_is_read_in_the_zone_of_the_source():
    line = "2026/11/24 08:15:03 [error] 1#1: x"
    assert event(line)["@timestamp"] == "2026-11-24T01:15:03.000Z"
    assert event(line, tz="-02:00")["@timestamp"] == "2026-11-24T10:15:03.000Z"
    assert event(line, tz="America/New_York")["@timestamp"] == "2026-11-24T13:15:03.000Z"


def test_invalid_bytes_become_replacement_characters_and_the_record_stays():
    found = event(b"Nov 24 08:15:03 web01 sshd[7]: Invalid user \xff\xfe from 10.0.0.1 port 5")
    assert found["user.name"] == "\ufffd\ufffd"
    assert len(events([b"\xff\n\xfe", ACCESS])) == 2


def test_other_encodings_are_decoded():
    line = "Nov 24 08:15:03 web01 sshd[7]: Invalid user Nguyễn from 10.0.0.1 port 5"
    made = batch([line.encode("utf-16-le")], encoding="utf-16-le")
    assert row(detect.parse(made)[0].table, 0)["user.name"] == "Nguyễn"


def test_a_byte_order_mark_and_a_carriage_return_are_no_part_of_the_text():
    assert events([b"\xef\xbb\xbf" + ACCESS.encode() + b"\r"])[0][0] == "nginx"


def test_a_complete_event_carries_id_bytes_place_and_arrival():
    made, (table,) = complete([ACCESS + "\r"], peers=pa.array(["10.9.9.9"]))
    found = table.to_pylist()[0]
    assert found["event.original"] == ACCESS.encode() + b"\r"
    assert found["event.ingested"] == ARRIVAL
    assert (found["thapcanh.source"], found["thapcanh.stream"], found["thapcanh.position"]) == ("test", "g1", 0)
    assert (found["thapcanh.parser"], found["thapcanh.relay"]) == ("nginx", "10.9.9.9")
    assert found["event.id"] == event_ids("test", "g1", made.positions, made.records)[0].as_py()


def test_ids_do_not_depend_on_the_batch():
    _, tables = complete([ACCESS, "junk", LOGIN])
    together = {r["thapcanh.position"]: r["event.id"] for t in tables for r in t.select(["thapcanh.position", "event.id"]).to_pylist()}
    _, (alone,) = complete([LOGIN], positions=np.array([2]))
    assert alone["event.id"][0].as_py() == together[2]


def test_an_event_without_a_time_gets_its_arrival_and_a_tag():
    _, (table,) = complete(["junk"])
    found = row(table, 0)
    assert (found["@timestamp"], found["tags"]) == ("2026-11-24T02:00:00.000Z", ["no_timestamp"])
    _, (known,) = complete([ACCESS])
    assert "tags" not in known.column_names


def test_constant_columns_are_added():
    made = batch([ACCESS, ACCESS])
    table = detect.complete(made, detect.parse(made)[0], ARRIVAL, {"thapcanh.exercise": True, "thapcanh.incident": "SC-1"})
    assert table["thapcanh.exercise"].to_pylist() == [True, True]
    assert table["thapcanh.incident"].to_pylist() == ["SC-1", "SC-1"]


def test_only_wanted_fields_may_be_asked_for():
    (part,) = detect.parse(batch([ACCESS]), frozenset(("source.ip",)))
    assert part.table["source.ip"].to_pylist() == ["203.0.113.5"]
    assert "user_agent.original" not in part.table.column_names


def test_an_empty_batch_gives_nothing():
    assert detect.parse(batch([])) == []


def test_a_defect_of_a_parser_costs_only_the_records_that_trip_it(monkeypatch: pytest.MonkeyPatch):
    sound = nginx.Nginx.parse

    def trips(self, payload):
        if "boom" in "".join(payload.records.to_pylist()):
            raise KeyError("boom")
        return sound(self, payload)

    monkeypatch.setattr(nginx.Nginx, "parse", trips)
    found = events([ACCESS] * 9 + [ACCESS.replace("curl", "boom")] + [ACCESS] * 9)
    assert [e["event.kind"] for _, e in found].count("pipeline_error") == 1
    assert found[9][1]["error.message"] == "parser nginx: KeyError"
