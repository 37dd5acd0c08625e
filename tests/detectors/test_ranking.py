"""The queue: what comes first, and the reasons that add up to the score."""

from __future__ import annotations

from detectors import ranking
from detectors.ranking import Item, queue
from store.base import NewRecord
from tests.detectors.chunks import at
from tests.detectors.findings import Book, finding, rule

DAY = 86_400


def ranked(book: Book, seconds: float = 0) -> list[Item]:
    """The queue at that time."""
    index = book.index()
    return queue(index.alerts, index.cases, at(seconds))


def judge(book: Book, key: str, verdict: str) -> None:
    """Close an alert."""
    book.add(NewRecord("alert", key, "verdict", {"verdict": verdict, "reason": "test"}), at(1))


def keys(item: Item) -> set[str]:
    """Names of the reasons."""
    return {p.key for p in item.why}


def test_the_graver_level_comes_first_and_the_score_is_the_sum_of_its_reasons() -> None:
    book = Book()
    book.take([finding(0, "a", of=rule("r1", "low")), finding(1, "b", of=rule("r2", "critical"), about={"ip": "198.51.100.9"})])
    items = ranked(book)
    assert [(i.kind, i.level) for i in items] == [("incident", "critical"), ("alert", "low")]
    assert all(i.score == sum(p.points for p in i.why) for i in items)


def test_more_rules_stages_and_kinds_about_one_entity_weigh_more() -> None:
    book = Book()
    book.take([finding(0, "z", of=rule("r0", "high"), about={"ip": "198.51.100.9"})])
    book.take([
        finding(0, "a", of=rule("r1", "high", tags=["attack.initial_access"])),
        finding(60, "b", of=rule("anomaly.x", "medium", "anomaly", ["attack.exfiltration"])),
    ])  # fmt: skip
    first, second = ranked(book)
    assert {"rules", "tactics", "kinds"} <= keys(first)
    assert first.score > second.score
    assert not {"rules", "tactics", "kinds"} & keys(second)


def test_a_rule_that_is_often_wrong_sinks_and_one_that_was_right_rises() -> None:
    book = Book()
    for n in range(4):
        [key] = book.take([finding(n * 3 * DAY, f"f{n}", of=rule("wrong"), about={"ip": f"198.51.100.{n}"})]).opened
        judge(book, key, "false_positive")
        [key] = book.take([finding(n * 3 * DAY, f"t{n}", of=rule("right"), about={"ip": f"192.0.2.{n}"})]).opened
        judge(book, key, "true_positive")
    book.take(
        [finding(30 * DAY, "x", of=rule("wrong"), about={"user": "an"}), finding(30 * DAY, "y", of=rule("right"), about={"user": "binh"})]
    )
    first, second = ranked(book)
    assert (first.alerts[0].rule.id, second.alerts[0].rule.id) == ("right", "wrong")
    assert "true_before" in keys(first)
    assert "often_false" in keys(second)


def test_what_was_judged_harmless_before_about_the_same_entity_sinks() -> None:
    book = Book()
    [key] = book.take([finding(0, "a")]).opened
    judge(book, key, "benign")
    book.take([finding(3 * DAY, "b"), finding(3 * DAY, "c", about={"ip": "198.51.100.9"})])
    assert [i.entities[0].value for i in ranked(book)] == ["198.51.100.9", "203.0.113.5"]


def test_closed_silenced_and_informational_alerts_are_no_work() -> None:
    book = Book()
    [key] = book.take([finding(0, "a")]).opened
    judge(book, key, "benign")
    [quiet] = book.take([finding(0, "b", about={"ip": "198.51.100.9"})]).opened
    book.add(NewRecord("alert", quiet, "silenced", {"silence": "s"}), at(1))
    book.take([finding(0, "c", of=rule("r3", "informational"), about={"user": "an"})])
    assert ranked(book) == []


def test_what_waits_for_a_day_rises_until_somebody_takes_it() -> None:
    book = Book()
    [key] = book.take([finding(0, "a")]).opened
    before = ranked(book)[0].score
    assert ranked(book, 2 * DAY)[0].score > before
    book.add(NewRecord("alert", key, "ack", {}), at(60))
    [item] = ranked(book, 2 * DAY)
    assert (item.score, item.status) == (before, "taken")


def test_no_score_exceeds_a_hundred() -> None:
    most = max(ranking.POINTS.values()) + ranking.AT_MOST * (ranking.RULE + ranking.TACTIC)
    assert most + ranking.BOTH_KINDS + max(ranking.RARE_RULE, ranking.NEW_PAIR) + ranking.TRUE_BEFORE + ranking.LATE == 100
