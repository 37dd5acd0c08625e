"""Any subset of rules gives the same hits for each of them; a broken rule anywhere changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.build import build
from detectors.sigma.model import Rule
from detectors.sigma.ruleset import read
from domain import fields
from domain.event import TableBatch, table_of
from domain.query import Test
from domain.query import tests as terms
from jobs.rulesets import SHIPPED
from match import Entry, Matcher

BROKEN = (
    b"\t- [", b"- 1\n- 2", b"", b"\xff\xfe\x00", b"title: x\ndetection: {s: {f: x}, condition: s}", b"title: x\nlogsource: {product: windows}",
    b"title: x\nlogsource: {product: windows}\ndetection: {s: {f|re: '('}, condition: s}",
    b"title: x\nlogsource: {product: windows}\ndetection: {s: {f|nosuch: x}, condition: t}",
    b"title: x\nlogsource: {product: windows}\ndetection: {s: {f|re: '(?=x)'}, condition: s}",
    b"title: x\nfilter: 5\nlogsource: {product: windows}",
    b"title: x\ncorrelation: {type: event_count, rules: [nosuch], timespan: 1x, condition: {gte: 1}}",
)  # fmt: skip
WORDS = (
    "whoami",
    "WhoAmI",
    "C:\\Windows\\cmd.exe",
    "\\cmd.exe",
    "đăng nhập",
    "ĐĂNG",
    "1",
    "true",
    "4688",
    "10.0.0.9",
    "::1",
    "",
    "a*b",
    "x -enc y",
    "x /enc y",
)
NAMES = ("CommandLine", "Image", "User", "IntegrityLevel", "ProcessId", "nosuch")
words = st.sampled_from(WORDS)
numbers = st.sampled_from((1, 4688, 0, 1.5))
items = st.one_of(
    st.tuples(st.sampled_from(("", "|contains", "|startswith", "|endswith", "|cased", "|windash|contains", "|neq")), words | st.lists(words, min_size=1, max_size=3)),
    st.tuples(st.just(""), numbers | st.booleans() | st.none()),
    st.tuples(st.just("|contains|all"), st.lists(words, min_size=2, max_size=3)),
    st.tuples(st.just("|re"), st.sampled_from(("^.{3}$", "(?i)who", "cmd", "^$", "[0-9]+"))),
    st.tuples(st.sampled_from(("|gt", "|lte")), numbers),
    st.tuples(st.just("|exists"), st.booleans()),
    st.tuples(st.just("|fieldref"), st.sampled_from(NAMES)),
    st.tuples(st.just("|cidr"), st.just("10.0.0.0/8")),
)  # fmt: skip
maps = st.dictionaries(st.sampled_from(NAMES), items, min_size=1, max_size=3).map(
    lambda d: {f"{name}{mod}": value for name, (mod, value) in d.items()}
)
selections = maps | st.lists(maps, min_size=1, max_size=2) | st.lists(words.filter(bool), min_size=1, max_size=2)
conditions = st.sampled_from(("a", "not a", "a and b", "a or b", "a and not b", "1 of them", "all of them", "not 1 of them"))
sources = st.sampled_from(
    (
        {"product": "windows", "category": "process_creation"},
        {"product": "windows", "service": "security"},
        {"product": "linux", "service": "auth"},
    )
)
documents = st.tuples(selections, selections, conditions, sources).map(
    lambda made: {"title": "Made", "logsource": made[3], "detection": {"a": made[0], "b": made[1], "condition": made[2]}}
)


@cache
def shipped() -> tuple[tuple[str, bytes], ...]:
    return tuple(read([SHIPPED]))


@cache
def ours() -> tuple[Rule, ...]:
    return tuple(build(shipped()).rules)


def files(made: Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    return [
        (f"made{number}.yml", yaml.safe_dump({**document, "id": f"made-{number}"}, allow_unicode=True).encode())
        for number, document in enumerate(made)
    ]


def likely(rule: Rule, draw: Any) -> dict[str, Any]:
    """An event that fulfils many of the tests of a rule, as chance will have it."""
    event: dict[str, Any] = {}
    for test in (*terms(rule.route), *terms(rule.body)):
        if test.field and test.values and test.op not in ("exists", "re", "cidr", "fieldref") and draw(st.integers(0, 4)):
            value = _fitting(test, draw(st.sampled_from(test.values)))
            if value is not None:
                event[test.field] = value
    return event


def _fitting(test: Test, value: Any) -> Any:
    kind = fields.arrow_type(str(test.field))
    text = str(value).replace("*", "x").replace("\\\\", "\\")
    if pa.types.is_integer(kind):
        return int(text) if text.isdigit() else None
    if pa.types.is_string(kind):
        return text if test.op == "eq" else f"{text}z" if test.op == "startswith" else f"z{text}"
    return None


@st.composite
def situations(draw: Any) -> tuple[list[Rule], list[dict[str, Any]]]:
    """Some rules of ours and some made up, with events near to them."""
    made = build(files(draw(st.lists(documents, max_size=5)))).rules
    rules = [*draw(st.lists(st.sampled_from(ours()), max_size=8, unique_by=lambda r: r.ref.id)), *made]
    events = [likely(rule, draw) for rule in rules for _ in range(draw(st.integers(0, 2)))]
    return rules, [*events, {"message": "whoami", "user.name": "x"}]


def hits(rules: Sequence[Rule], events: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Hits by rule id."""
    found = Matcher([Entry(rule.ref.id, rule.route, rule.body) for rule in rules]).run(TableBatch(table_of(events)))
    return {str(key): rows.tolist() for key, rows in found}


@settings(max_examples=60)
@given(situations(), st.data())
def test_any_subset_gives_the_same_hits_for_each_rule(situation: tuple[list[Rule], list[dict[str, Any]]], data: st.DataObject) -> None:
    rules, events = situation
    together = hits(rules, events)
    chosen = data.draw(st.lists(st.sampled_from(rules), unique_by=lambda r: r.ref.id)) if rules else []
    assert hits(chosen, events) == {rule.ref.id: together[rule.ref.id] for rule in chosen if rule.ref.id in together}
    for rule in rules:
        assert hits([rule], events).get(rule.ref.id) == together.get(rule.ref.id)


@settings(max_examples=25)
@given(st.lists(documents, min_size=1, max_size=5), st.lists(st.tuples(st.integers(0, 5), st.sampled_from(BROKEN)), min_size=1, max_size=4))
def test_a_broken_rule_anywhere_changes_nothing(made: list[dict[str, Any]], broken: list[tuple[int, bytes]]) -> None:
    good = files(made)
    mixed = list(good)
    for number, (place, content) in enumerate(broken):
        mixed.insert(min(place, len(mixed)), (f"broken{number}.yml", content))
    alone, among = build(good), build(mixed)
    assert among.rules == alone.rules
    assert among.blind == alone.blind
    assert {b.file for b in among.broken} >= {f"broken{n}.yml" for n, (_, content) in enumerate(broken) if b"correlation" not in content}
    assert all(b.reason for b in among.broken)


def test_rules_of_ours_hit_something_in_this_test() -> None:
    """Otherwise the property would say little: each event is made from the tests of one rule, all of them fulfilled."""

    def always(strategy: Any) -> Any:
        return 1 if strategy is not None and "integers" in repr(strategy) else strategy.elements[0]

    found = 0
    for rule in ours():
        found += rule.ref.id in hits([rule], [likely(rule, always), {"message": "x"}])
    assert found > len(ours()) // 4


def test_one_and_true_are_two_rules() -> None:
    """To Python 1 equals True: tests that look equal must not share their answer."""
    made = [
        {
            "title": "Made",
            "logsource": {"product": "windows", "category": "process_creation"},
            "detection": {"a": {"nosuch": v}, "condition": "a"},
        }
        for v in (1, True, "1")
    ]
    rules = build(files(made)).rules
    field = next(t.field for t in terms(rules[0].body))
    route = {str(t.field): t.values[0] for t in terms(rules[0].route)}
    assert hits(rules, [{**route, str(field): "1"}, {**route, str(field): "true"}]) == {"made-0": [0], "made-1": [1], "made-2": [0]}
