"""Percentiles over values that come and go are those of numpy over the values that are there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.ranks import Counted, Listed, percentile

NUMBERS = [-3.5, -1.0, 0.0, 0.1, 0.2, 2.0, 7.25, 1e9]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NUMBERS), st.booleans()), max_size=40), st.sampled_from([0, 10, 25, 50, 90, 99.9, 100]))
def test_both_kinds_give_what_numpy_gives(moves: list[tuple[float, bool]], wanted: float) -> None:
    held: list[float] = []
    kinds = (Listed(), Counted(NUMBERS))
    for value, away in moves:
        if away and value in held:
            held.remove(value)
            for kind in kinds:
                kind.remove(value)
        else:
            held.append(value)
            for kind in kinds:
                kind.add(value)
        if held:
            assert [percentile(kind, wanted) for kind in kinds] == [pytest.approx(float(np.percentile(held, wanted)), rel=1e-12)] * 2


def test_one_value_is_every_percentile() -> None:
    for kind in (Listed(), Counted([4.0])):
        kind.add(4.0)
        assert (percentile(kind, 0), percentile(kind, 50), percentile(kind, 100)) == (4.0, 4.0, 4.0)
