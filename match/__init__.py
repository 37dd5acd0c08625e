"""The one evaluator: Expr over an EventBatch -> row numbers. Rules, `soc search` and playbook queries all come here."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from domain.event import EventBatch, Rows
from domain.query import TRUE, Expr, Test
from match.evaluate import Evaluation
from match.needs import Needs
from match.plan import KEYWORD, Entry, Plan

__all__ = ["Entry", "Matcher", "rows"]


class Matcher:
    """Many rules, compiled once, over many batches. Each rule's answer depends on that rule alone."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        groups: dict[Expr, list[Entry]] = {}
        for entry in entries:
            groups.setdefault(entry.route, []).append(entry)
        self._routes = Plan(TRUE, [Entry(number, TRUE, route) for number, route in enumerate(groups)])
        self._groups = list(groups.items())
        self._seconds = 0.0
        self.needs = Needs(entries)
        """Which fields can be asked of an event of which some are known."""
        self._plans: dict[int, Plan] = {}
        self._words: dict[str, None] = {}
        """Of the keywords of all plans: a batch is searched for all of them at once."""
        self._last: tuple[Evaluation, int] | None = None

    @property
    def seconds_compiling(self) -> float:
        """Time that went into preparing rules so far: plans, automata and needs are made when the first event of their kind comes."""
        automata = sum(tests.seconds for plan in self._plans.values() for tests in plan.by_field.values())
        return self._seconds + automata + self.needs.seconds

    def run(self, batch: EventBatch) -> Iterator[tuple[Hashable, Rows]]:
        """(rule key, matching rows) for every rule that matches; rows sorted."""
        if not batch.rows:
            return
        everything = np.arange(batch.rows, dtype=np.int32)
        routed = [(self._plan(number), fed) for number, fed in Evaluation(self._routes, batch, everything).run()]
        words = tuple(self._words)
        for plan, fed in routed:
            evaluation = Evaluation(plan, batch, fed, words)
            for rule, found in evaluation.run():
                self._last = evaluation, rule
                yield plan.keys[rule], found

    def held(self, row: int) -> Iterator[Test]:
        """The positive tests that made the rule that `run` has just told of match in this row."""
        assert self._last is not None  # noqa: S101  asked while `run` goes on
        evaluation, rule = self._last
        return evaluation.held(evaluation.plan.bodies[rule], np.searchsorted(evaluation.rows, [row]).astype(np.int32))

    def _plan(self, number: int) -> Plan:
        if number not in self._plans:
            start = time.perf_counter()
            plan = self._plans[number] = Plan(*self._groups[number])
            keywords = plan.by_field.get(KEYWORD)
            if keywords is not None and keywords.common:
                self._words |= dict.fromkeys(keywords.words)
            self._seconds += time.perf_counter() - start
        return self._plans[number]


def rows(expr: Expr, batch: EventBatch) -> Rows:
    """The rows of a batch for which one expression holds, sorted."""
    for _, found in Matcher([Entry(0, TRUE, expr)]).run(batch):
        return found
    return np.zeros(0, np.int32)
