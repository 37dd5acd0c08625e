"""Playbook values and the projection of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from domain import run as runs
from domain.incident import Change
from domain.playbook import Playbook, Step, Trigger, say
from domain.run import Run

T0 = datetime(2026, 11, 17, 3, 0, tzinfo=UTC)
TEXT = {"vi": "Việc", "en": "Work"}


def step(name: str, phase: str, *needs: str, required: bool = True) -> Step:
    """A step without content."""
    return Step(name, phase, "duty", TEXT, TEXT, required=required, needs=needs)


BOOK = Playbook(
    "PB90", 1, TEXT, TEXT, ("other",), Trigger(), {},
    (step("G1", "preserve"), step("G2", "preserve", required=False), step("C1", "contain"), step("C2", "contain", "C1"), step("K1", "recover")),
    {}, (),
)  # fmt: skip


def fold(*changes: Change) -> Run:
    """A run with one change every minute."""
    items = (runs.started("SC-1", BOOK, {"ip": ["::1"]}), *changes)
    return runs.fold(SimpleNamespace(type=c[0], body=c[1], at=T0 + timedelta(minutes=n), actor="lan") for n, c in enumerate(items))


def blocked(run: Run, name: str) -> list[str]:
    """What must come before a step."""
    found = BOOK.step(name)
    assert found is not None
    return runs.blockers(BOOK, run, found)


def test_texts_fall_back_to_vietnamese() -> None:
    assert (say(TEXT, "en"), say({"vi": "Việc"}, "en"), say({}, "vi")) == ("Work", "Việc", "")


def test_evidence_comes_before_changes_and_recovery_after_them() -> None:
    assert blocked(fold(), "C1") == ["G1"]
    assert blocked(fold(), "C2") == ["C1", "G1"]
    assert blocked(fold(runs.step_done("G1")), "C1") == []
    assert blocked(fold(runs.step_skipped("G1", "no"), runs.step_done("C1")), "K1") == ["C2"]


def test_missing_are_required_steps_that_are_open() -> None:
    assert runs.missing(BOOK, fold(runs.step_done("G1"), runs.step_skipped("C1", "x"))) == ["C2", "K1"]


def test_a_step_that_is_opened_again_forgets_answer_approval_and_results() -> None:
    result = {"query": "q", "text": "*", "count": 3, "file": "f", "sha256": "0"}
    run = fold(
        runs.queried("C1", result), runs.approved("C1", "ok"), runs.step_done("C1", answer="yes"), runs.step_opened("C1", "new address")
    )
    state = run.state("C1")
    assert (state.status, state.answer, state.approvals, dict(state.results), state.rounds) == ("open", "", (), {}, 1)
    assert run.records == 5


def test_done_keeps_results_approvals_and_who() -> None:
    result = {"query": "q", "text": "*", "count": 3, "file": "f", "sha256": "0"}
    state = fold(runs.queried("C1", result), runs.approved("C1", "ok", alone=True), runs.step_done("C1", note="n", accepted=True)).state(
        "C1"
    )
    assert (state.status, state.actor, state.note, state.accepted) == ("done", "lan", "n", True)
    assert state.at == T0 + timedelta(minutes=3)
    assert state.results["q"].count == 3
    assert state.approvals[0].alone


def test_inputs_are_replaced_by_name() -> None:
    assert dict(fold(runs.inputs_set({"user": ["lan"]}), runs.inputs_set({"user": ["hoa", "an"]})).inputs) == {
        "ip": ("::1",),
        "user": ("hoa", "an"),
    }


def test_records_of_a_later_version_are_ignored() -> None:
    assert fold(("weather", {"x": 1}), ("mood", {"step": "C1"})).state("C1").status == "open"
    with pytest.raises(ValueError, match="starts with the record 'started'"):
        runs.fold([])
