"""What must be read of an event of which some is known."""

from __future__ import annotations

import pytest

from domain.query import TRUE, Test, all_of
from match import Entry, needs

_LOGON = Entry(0, TRUE, all_of(Test("event.code", "eq", ("4624",)), Test("user.name", "eq", ("an",))))
_ANY = Entry(1, TRUE, Test("source.ip", "eq", ("10.0.0.1",)))


def test_rules_about_other_events_ask_for_nothing() -> None:
    asked = needs.Needs([_LOGON, _ANY])
    assert asked({"event.code": "4624"}) == {"event.code", "user.name", "source.ip"}
    assert asked({"event.code": "1"}) == {"source.ip"}


def test_of_kinds_without_end_everything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "MOST", 1)
    asked = needs.Needs([_LOGON, _ANY])
    assert asked({"event.code": "1"}) == {"source.ip"}
    assert asked({"event.code": "2"}) == {"event.code", "user.name", "source.ip"}
    assert asked({"event.code": "1"}) == {"source.ip"}
