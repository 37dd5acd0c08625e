"""Values from logs inside queries, commands and letters: hostile, and never more than a value."""

from __future__ import annotations

import shlex
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Entity
from domain.errors import UsageError
from domain.grammar import parse
from domain.incident import Incident
from domain.playbook import Command
from domain.query import Test as Term
from domain.registers import Asset, Registers
from domain.run import Run, StepState
from playbooks import load
from playbooks.values import QUOTES, absent, checked, fill_commands, fill_letter, fill_query, from_entities, undo_commands, window
from tests.playbooks.scene import ATTACKER, ATTACKER6, CASE, NOW, SERVER, T0, entities

BOOK = load.load_all()[0]["PB04"]


def incident(*more: Entity) -> Incident:
    """The case, with more entities."""
    return Incident(CASE, "t", T0, "sigma", T0, "system", entities=(*entities(), *more))


def run(**steps: StepState) -> Run:
    """A run with these step states."""
    return Run("r", CASE, "PB04", 1, "", T0, "lan", steps=steps)


@given(st.text(min_size=1, max_size=40))
def test_a_value_is_a_literal_of_the_grammar_whatever_it_holds(value: str) -> None:
    expr = parse(fill_query("user.name:{user}", {"user": [value]}))
    assert isinstance(expr, Term)
    assert (expr.field, expr.op) == ("user.name", "eq")
    assert [str(v) for v in expr.values] == [value]


@pytest.mark.parametrize("value", ['x" or *:"', "*", "a) or (user.name:*", "\\", '\\"', "?", "a\nb", "not *"])
def test_injection_finds_nothing_but_itself(value: str) -> None:
    expr = parse(fill_query("source.ip:::1 and user.name|contains:{user}", {"user": [value]}))
    assert "user.name" in repr(expr)
    assert repr(expr).count("Test(") == 2


def test_several_values_are_any_of_them_in_both_families() -> None:
    text = fill_query("source.ip:{source_ip}", {"source_ip": [ATTACKER, ATTACKER6]})
    assert text == f"source.ip:({ATTACKER} or {ATTACKER6})"
    assert parse(text) == Term("source.ip", "eq", (ATTACKER, ATTACKER6))


def test_optional_inputs() -> None:
    template = "(host.name:{host?} or url.domain:{host?} or thapcanh.source:{web_source?}) and url.path:*"
    assert absent(template, {"web_source": ["w"]}) == ""
    assert fill_query(template, {"web_source": ["w"]}) == '(not * or not * or thapcanh.source:"w") and url.path:*'
    assert absent(template, {}) == "host, web_source"
    assert absent("source.ip:{a} and user.name:{b}", {"a": ["1"]}) == "b"


def test_own_addresses_never_reach_a_block_list() -> None:
    own = Registers(assets=(Asset(id="a", name="DVC", addresses=("198.51.100.0/24",)),)).is_own
    values = from_entities(
        BOOK, [(), incident(Entity("ip", "198.51.100.10"), Entity("ip", "fd00::1"), Entity("ip", "no address")).entities], own
    )
    assert values["source_ip"] == (ATTACKER, ATTACKER6)
    assert values["server_ip"] == (SERVER, "198.51.100.10", "fd00::1")


def test_what_the_alerts_are_about_comes_before_what_was_seen_beside_it() -> None:
    sprayed = [Entity("user", f"u{n}") for n in range(500)]
    values = from_entities(BOOK, [(Entity("user", "lan"),), [Entity("user", "lan"), *sprayed, Entity("host", "web1")]])
    assert values["user"] == ("lan",), "only the account that was entered is to be locked"
    assert values["host"] == ("web1",)


def test_values_that_people_type_are_checked() -> None:
    assert checked(BOOK, {"source_ip": ["2001:db8::1"]}) == {"source_ip": ("2001:db8::1",)}
    with pytest.raises(UsageError, match=r"source_ip: not an IP address: 1\.2\.3\.4; reboot"):
        checked(BOOK, {"source_ip": ["1.2.3.4; reboot"]})
    with pytest.raises(UsageError, match="PB04 has no input sorce_ip"):
        checked(BOOK, {"sorce_ip": ["1.2.3.4"]})


@given(st.text(min_size=1, max_size=30))
def test_a_value_is_one_word_of_the_shell(value: str) -> None:
    line = f"usermod --lock -- {QUOTES['linux'](value)}"
    assert len(shlex.split(line)) == 4


@pytest.mark.parametrize(
    ("system", "value", "word"),
    [
        ("ad", "lan'; Remove-Item C:\\ -Recurse #", "'lan''; Remove-Item C:\\ -Recurse #'"),
        ("ad", "lan\u2019; calc", "'lan\u2019\u2019; calc'"),
        ("fortigate", 'x"\nend\nconfig system admin', '"x\\" end config system admin"'),
        ("nginx", "1.2.3.4; } location / { return 200", '"1.2.3.4; } location / { return 200"'),
        ("linux", "lan; rm -rf /", "'lan; rm -rf /'"),
        ("fortigate", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_quoting_by_system(system: str, value: str, word: str) -> None:
    assert QUOTES[system](value) == word


def test_commands_repeat_per_value_and_keep_to_their_family() -> None:
    values = {"source_ip": [ATTACKER, ATTACKER6], "incident": [CASE]}
    assert fill_commands(Command("nginx", "deny {source_ip};"), values) == [f"deny {ATTACKER};", f"deny {ATTACKER6};"]
    assert fill_commands(Command("nginx", "deny {source_ip};", family=6), values) == [f"deny {ATTACKER6};"]
    assert fill_commands(Command("nginx", "deny {source_ip};", family=6), {"source_ip": [ATTACKER]}) == []
    assert fill_commands(Command("nginx", "deny {source_ip}; # {incident}"), {"incident": [CASE]}) == [f"deny <source_ip>; # {CASE}"]
    assert undo_commands(Command("ad", "x {user}", undo="Enable-ADAccount -Identity {user}"), {"user": ["lan"]}) == [
        "Enable-ADAccount -Identity 'lan'"
    ]


def test_letters_join_values_and_leave_blanks() -> None:
    assert fill_letter("{source_ip} / {user}", {"source_ip": [ATTACKER, "x\x1b[31m"]}) == f"{ATTACKER}, x‹U+001B›[31m / ……………"


def test_windows() -> None:
    found = window("t0-24h", "now", incident(), run(), NOW)
    assert found is not None
    assert (found.start, found.end) == (T0 - timedelta(hours=24), NOW)
    assert window("step:C1+5m", "now", incident(), run(), NOW) is None, "the step is not done"
    done = run(C1=StepState("done", NOW - timedelta(minutes=3)))
    assert window("step:C1+5m", "now", incident(), done, NOW) is None, "it begins in two minutes"
    later = window("step:C1+5m", "now", incident(), done, NOW + timedelta(minutes=10))
    assert later is not None
    assert later.start == NOW + timedelta(minutes=2)
