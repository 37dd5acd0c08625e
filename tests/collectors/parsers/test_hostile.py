"""Log content is hostile: no parser raises, loses a record, or takes long, whatever stands in one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors import ENVELOPES, PARSERS, detect
from collectors.base import Payload
from tests.collectors.parsers.lines import ARRIVAL, batch, events

GOLDEN = Path(__file__).parents[2] / "data" / "parsers"
OURS = [name for name in PARSERS if name != "windows"]
LINES = {
    folder.name: [line for log in sorted(folder.glob("*.log")) for line in log.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    for folder in sorted(GOLDEN.iterdir())
}
EVERY = [line for lines in LINES.values() for line in lines]
ODD = [
    "", " ", '"', '""', "\x00", "a\x00b=\x00", "\x1b[31mred\x1b[0m", "\x1e\x1e", "\u202eabc", "=", "= = =", "{", "{}", "[]", "null", "<", "<1>", "<999>",
    '{"a":' * 500 + "1" + "}" * 500, '{"realmId":"x","type":' + "[" * 900 + "]" * 900 + "}", '{"": {"": 1}}', '{"a": 1, "A": 2, "a": 3}', '{"event_type":"alert","timestamp":1}', "a=" * 300,
    '{"timestamp":"2026-11-24T08:15:03","event_type":"dns","dns":"{no object","flow":[1],"alert":5,"src_ip":{"a":1},"dest_port":-1}',
    '{"timestamp":"9999-12-31T23:59:59.999999-23:59","event_type":"flow","flow":{"bytes_toserver":1e400,"start":"x","end":""}}',
    'date=9999-99-99 time=99:99:99 logid=1 type="traffic" tz="+99:99" proto=99999999999999999999 duration=99999999999 eventtime=1e99 srcport=-1',
    'date=2026-11-24 time=08:15:03 logid=1 type="event" subtype="vpn" remip=:: locip=300.1.1.1 user="" msg="Administrator  login  from (()"',
    "Feb 29 00:00:00 h sshd[99999999999999999999]: Failed password for  from  port  ssh2",
    '<34>1 0000-00-00T00:00:00Z - - - - [a b="c]', '<34>1 2026-11-24T08:15:03Z h a p m [x@1 y="\\"\\]"] \ufeffm',
    '1.2.3.4 - - [99/Xxx/0000:99:99:99 +9999] "GET / HTTP/1.1" 200 1 "-" "-"', '1.2.3.4 - - [24/Nov/2026:08:15:03 +0700] "' + '\\"' * 50 + '" 200 1 "-" "-"',
    "[Tue Nov 24 08:15:03 2026] [x:error] [client ::1] " + "[client " * 20, '{"__REALTIME_TIMESTAMP":"99999999999999999999","MESSAGE":[300,-1]}',
    '{"log":"\\n","stream":"stdout","time":""}', '{"@timestamp":5,"agent":{"a":1},"message":{"x":1}}', '{"realmId": "x", "type": "LOGIN", "time": 1e300}',
]  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_a_parser_gives_one_row_for_each_record_whatever_it_holds(name: str):
    lines = [*ODD, *EVERY]
    payload = Payload(pa.array(lines), np.full(len(lines), 1_795_485_600_000_000, np.int64))
    assert detect.parser_named(name).parse(payload).num_rows == len(lines)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("tail", [" ", "  ", "\t", "=", '"', "\\", ","], ids=repr)
def test_a_record_may_end_with_anything(name: str, tail: str):
    """Each golden line alone, as the last record of its batch."""
    for line in [" ", *LINES.get(name, ["a b"])]:
        assert len(events([(line + tail).encode()], name)) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_lines_still_give_one_event_each(data: st.DataObject):
    """Golden lines with a piece cut out, doubled or replaced by anything."""
    lines = data.draw(st.lists(st.sampled_from(EVERY), min_size=1, max_size=6))
    damaged = []
    for line in lines:
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 40)))
        damaged.append(line[:start] + data.draw(st.text(max_size=8)) + line[end:])
    name = data.draw(st.sampled_from(["auto", *OURS]))
    assert len(events([line.encode("utf-8", "surrogatepass") for line in damaged], name)) == len(lines)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=8), st.sampled_from(["auto", *OURS]))
def test_any_bytes_are_kept(records: list[bytes], name: str):
    made = batch(records, name)
    parts = detect.parse(made)
    table = pa.concat_tables([detect.complete(made, p, ARRIVAL).select(["thapcanh.position", "event.original"]) for p in parts])
    kept = dict(zip(table["thapcanh.position"].to_pylist(), table["event.original"].to_pylist(), strict=True))
    assert [kept[n] for n in range(len(records))] == records


@pytest.mark.parametrize("name", sorted(LINES))
@pytest.mark.parametrize("filler", ["a", " ", '"', "=", "{", "[", "\\", ", ", ":", "\x00", "é", '" "', "a=b "], ids=repr)
def test_a_megabyte_in_a_line_costs_no_more_than_a_few_seconds(name: str, filler: str):
    line = LINES[name][0]
    long = line[: len(line) // 2] + filler * (1_000_000 // len(filler)) + line[len(line) // 2 :]
    began = time.process_time()
    found = events([line, long, line], name if name != "plain" else "auto")
    assert time.process_time() - began < 5
    assert found[0] == found[2]


@pytest.mark.parametrize("name", ["fortigate", "linux_audit", "apigw"])
def test_long_words_and_quotes_cost_no_more_than_their_length(name: str):
    """The readers that go through a record pair by pair."""
    for line in LINES[name]:
        for filler in ("a", '="', '\\" ', "a=b "):
            long = line[:-5] + filler * (100_000 // len(filler)) + line[-5:]
            began = time.process_time()
            events([long], name)
            assert time.process_time() - began < 3, (line, filler)


def test_envelopes_leave_what_they_cannot_open():
    lines = ['{"@timestamp":1,"agent":{},"message":', '{"log":"x","stream":"stdout","time":"', '{"__REALTIME_TIMESTAMP":1,"MESSAGE":{}}']
    for name in ENVELOPES:
        payload = Payload(pa.array(lines), np.zeros(len(lines), np.int64))
        assert detect.unwrap(payload, np.full(len(lines), -1, np.int32))[0].records.to_pylist() == lines, name


def test_one_quote_of_an_attacker_does_not_move_other_lines():
    plain = LINES["fortigate"][0]
    hostile = plain.replace('msg="', 'msg="x\\').replace('policyname="Noi bo ra Internet"', 'policyname="a" b"')
    alone = events([plain])[0]
    assert [events([plain, hostile, plain], "fortigate")[n] for n in (0, 2)] == [alone, alone]
    access = LINES["nginx"][0]
    broken = access.replace("/dich-vu-cong", '/" 200 1 "x" "y\n')
    got = events([access, broken, access])
    assert got[0] == got[2] == events([access])[0]
    assert got[1][1]["event.kind"] == "event"


@pytest.mark.parametrize("character", ["\x1b]0;title\x07", "\x00", "\u202e", "\ufeff"])
def test_control_characters_are_kept_as_they_are(character: str):
    line = f"Nov 24 08:15:03 web01 sshd[1]: Failed password for invalid user a{character}b from 2001:db8::1 port 1 ssh2"
    assert events([line])[0][1]["user.name"] == f"a{character}b"


def test_many_keys_do_not_make_many_columns():
    line = 'date=2026-11-24 time=08:15:03 devid="F" logid="1" type="traffic" ' + " ".join(f"k{n}=1" for n in range(5000))
    table = detect.parse(batch([line]))[0].table
    assert table.num_columns < 1200
    assert table["fortinet.firewall.k1"][0].as_py() == "1"
    eve = '{"timestamp":"2026-11-24T08:15:03+0700","event_type":"x",' + ",".join(f'"k{n}":1' for n in range(5000)) + "}"
    assert detect.parse(batch([eve]))[0].table.num_columns < 1200


ALONE = {
    "suricata": (r'{"timestamp":"2026-11-24T08:15:03.000000+0700","event_type":"http","src_ip":"::1","http":{"url":"%s"}}', "url.original"),
    "windows": (
        r'{"EventTime":"2026-11-24T08:15:03+07:00","EventID":1,"Channel":"S","Hostname":"h","CommandLine":"%s"}',
        "process.command_line",
    ),
    "keycloak": (r'{"realmId":"x","type":"LOGIN","time":1795485600000,"userId":"u","details":{"username":"%s"}}', "user.name"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_surrogate_that_stands_alone_hides_nothing(name: str):
    """`\\ud800` is no character and decoders refuse it; pairs and escaped backslashes are left as they are."""
    line, field = ALONE[name]
    (_, plain), (_, odd) = events([(line % r"q").encode(), (line % r"a\uD800b\ud83d\ude00\\ud800").encode()], name)
    assert (plain["event.kind"], odd["event.kind"], plain[field]) == ("event", "event", "q")
    assert odd[field] == "a\ufffdb\U0001f600\\ud800"
