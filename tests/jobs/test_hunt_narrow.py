"""A hunt decodes only what rules can ask of each kind of event: the hits are those of events parsed whole and matched."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.detect import parse
from detectors.sigma.model import LogSource, Rule
from detectors.sigma.ruleset import RuleSet
from domain.alert import RuleRef
from domain.event import TableBatch
from domain.query import TRUE, And, Expr, Not, Or, Test
from domain.raw import Checkpoint, RawBatch
from jobs.hunt import Hunter
from jobs.hunt_tasks import lot

DATA = "winlog.event_data."
NAMES = ("CommandLine", "Image", "User", "ScriptBlockText", "TargetUserName", "Data", "param1", "ProcessId", "SourceIp", "NewProcessName")
CHANNELS = ("Security", "security", "System", "Microsoft-Windows-Sysmon/Operational", "Windows PowerShell", "", "Đặc biệt")
CODES = (1, "1", 4688, "4688", 4104, 7045, "4624", 3)
VALUES = st.sampled_from([
    "cmd.exe /c whoami", "", "-", None, 1, 0, True, 1.5, "WHOAMI", "who", "\u212aey mimikatz", "m\u0130m\u0130katz", "ſvc mimiKATZ", "Đỗ Văn",
    "a\nb", "a\x00b", "10.0.0.1", "0x1f4", "99999999999999999999", 12345678901234567890123, 1 << 64, -5, 1e22, float("nan"), ["a", "mimikatz"],
    {"x": "mimikatz"}, {"#text": "mimikatz"}, {"deep": {"CommandLine": "mimikatz"}}, "a\x1emimikatz", "\ud800x", "tor",
    "AAAABBBB-1111-2222-3333-ABCDEFABCDEF",
])  # fmt: skip
FIELDS = st.sampled_from([
    *(DATA + name for name in NAMES), "winlog.channel", "event.code", "event.dataset", "message", "winlog.provider_name", "host.name",
    "winlog.computer_name", "user.name", "process.executable", "process.name", "process.pid", "source.ip", "winlog.opcode", "winlog.user.name",
    "event.action", "event.category",
])  # fmt: skip
TEXTS: st.SearchStrategy[Any] = st.sampled_from(
    ["whoami", "mimikatz", "MIMIKATZ", "who", "", "-", "1", "true", "đỗ", "tor", "h1", "h2", "4688", 4688, 1, "500", "1e+22"]
)
WORDS = st.sampled_from(["mimikatz", "tor", "who", "whoami", "deep", "1", "Đỗ", "true", "cmd.exe /c", "imimikatz"])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    data = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
    channel, code = draw(st.sampled_from(CHANNELS)), draw(st.sampled_from(CODES))
    event = draw(st.sampled_from([_flat, _beat, _beat_6, _evtx]))(draw, channel, code, data)
    text = json.dumps(event, ensure_ascii=draw(st.booleans()))
    for old, new in (('"EventID"', '"Event\\u0049D"'), ("mimikatz", "mimi\\u006batz"), ("mimikatz", "mimi\\u212Aatz"), (":{", " : { ")):
        text = text.replace(old, new) if draw(st.integers(0, 15)) == 0 else text
    ends = ['"CommandLine":"mimikatz"', '"Channel":"System"', '"x":1e999', '"x":' + "[" * 3000, '"x":' + "[" * 600 + "]" * 600]
    text = f"{text[:-1]},{draw(st.sampled_from(ends))}}}" if draw(st.integers(0, 9)) == 0 else text
    return text.encode("utf-8", "surrogatepass")


def _flat(draw: st.DrawFn, channel: str, code: object, data: dict[str, Any]) -> dict[str, Any]:
    event = {"EventID": code, "Channel": channel, "EventTime": "2026-11-24 03:04:05", **data}
    odd = {"Hostname": "h1", "Computer": "h2", "Message": "mimikatz", "Opcode": "who", "OpcodeValue": 0, "log_name": None, "winlog": "x",
           "Event": "System", "EventID": 10**30, "Channel": None}  # fmt: skip
    return event | {name: odd[name] for name in draw(st.lists(st.sampled_from(list(odd)), max_size=2))}


def _beat(draw: st.DrawFn, channel: str, code: object, data: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = {"winlog": {"channel": channel, "event_id": code, "computer_name": "h1", "event_data": data}}
    return event | draw(st.sampled_from([{}, {"event": {"code": 4688}}, {"message": "mimikatz"}, {"event": "x"}]))


def _beat_6(draw: st.DrawFn, channel: str, code: object, data: dict[str, Any]) -> dict[str, Any]:
    event = {"log_name": channel, "event_id": code, "computer_name": "h1", "event_data": data}
    return event | draw(st.sampled_from([{}, {"user_data": data}, {"user": "x"}, {"user": {"name": "who"}}, {"event_data": ["mimikatz"]}]))


def _evtx(draw: st.DrawFn, channel: str, code: object, data: dict[str, Any]) -> dict[str, Any]:
    system = {"EventID": draw(st.sampled_from([code, {"#attributes": {"Qualifiers": 3}, "#text": code}])), "Channel": channel,
              "Computer": "h1", "Provider": draw(st.sampled_from([{"#attributes": {"Name": "who"}}, "x", None]))}  # fmt: skip
    bodies = [
        {"EventData": data},
        {"UserData": {"X": data}},
        {"EventData": None, "UserData": data},
        {"EventData": {"Data": {"#text": ["tor"]}}},
    ]
    return {"Event": {"System": system, **draw(st.sampled_from(bodies))}}


@st.composite
def terms(draw: st.DrawFn) -> Test:
    op: Any = draw(
        st.sampled_from(["eq", "contains", "startswith", "endswith", "cased", "re", "like", "null", "exists", "gt", "fieldref", "word"])
    )
    if op == "word":
        return Test(None, draw(st.sampled_from(["contains", "like", "re"])), (draw(WORDS),))
    name = draw(FIELDS)
    odd: dict[str, Any] = {
        "re": draw(st.sampled_from(["(?i)mimikatz", "(?i)svc", "w.oami", "^cmd"])), "like": draw(st.sampled_from(["mimi*", "*who?mi*", "?"])),
        "null": True, "exists": draw(st.booleans()), "gt": draw(st.sampled_from([0, 4000])), "fieldref": draw(FIELDS),
    }  # fmt: skip
    if op in odd:
        return Test(name, op, (odd[op],))
    return Test(name, "contains" if op == "cased" else op, tuple(draw(st.lists(TEXTS, min_size=1, max_size=2))), cased=op == "cased")


def _node(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(inner.map(Not), several.map(And), several.map(Or))


CHANNEL = st.sampled_from(["Security", "System", "Microsoft-Windows-Sysmon/Operational"]).map(lambda c: Test("winlog.channel", "eq", (c,)))
CODES_OF_RULES: tuple[Any, ...] = (1, 4688, "4104", 3)
CODE = st.sampled_from(CODES_OF_RULES).map(lambda c: Test("event.code", "eq", (c,)))
KIND: st.SearchStrategy[Expr] = st.one_of(CHANNEL, st.tuples(CHANNEL, CODE).map(And))
ROUTE: st.SearchStrategy[Expr] = st.one_of(st.just(TRUE), KIND, st.tuples(KIND, KIND).map(Or))
BODY: st.SearchStrategy[Expr] = st.recursive(terms(), _node, max_leaves=4)
RULES = st.lists(st.tuples(ROUTE, st.one_of(BODY, st.tuples(CODE, BODY).map(And))), min_size=1, max_size=6)


@settings(max_examples=250, deadline=None)
@given(st.lists(records(), min_size=1, max_size=12), RULES)
def test_a_hunt_finds_what_whole_events_hold(lines: list[bytes], exprs: list[tuple[Expr, Expr]]) -> None:
    rules = [Rule(RuleRef(str(n), str(n), "high", ""), *pair, "", LogSource("windows")) for n, pair in enumerate(exprs)]
    numbers = np.arange(len(lines), dtype=np.int64)
    batch = RawBatch("s", "", pa.array(lines, pa.large_binary()), numbers, np.zeros(len(lines), np.int64), Checkpoint("s", "", len(lines)))
    found = {(hit.rule, hit.record) for hit in Hunter(RuleSet(rules)).step(lot([batch])).hits}
    whole = {
        (int(str(key)), int(group.rows[row]))
        for group in parse(batch)
        for key, rows in RuleSet(rules).matcher.run(TableBatch(group.table))
        for row in rows
    }
    assert found == whole
