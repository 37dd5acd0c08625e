"""How far a shard was read: missing numbers are remembered, found once, and grow old; what an index became is judged."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.continuity import RECREATED, RESTORED, REWOUND, SAME, WAIT, Seen, judge
from collectors.sequence import MAX_HOLES, OLD, Anchor, Document, Progress, thinned

NOW = 1_800_000_000_000_000


def documents(*numbers: int) -> list[Document]:
    return [Document(n, f"d{n}", b"%d" % n) for n in numbers]


def ranges(progress: Progress) -> list[tuple[int, int]]:
    return [(h.start, h.stop) for h in progress.holes]


def test_missing_numbers_are_remembered_and_filled() -> None:
    progress = Progress("i", 0)
    progress.take(documents(1, 2, 5, 9), NOW)
    assert (progress.next, progress.read, ranges(progress)) == (10, 4, [(0, 1), (3, 5), (6, 9)])
    progress.take(documents(0, 4, 7, 10), NOW)
    assert (progress.next, progress.read, ranges(progress)) == (11, 8, [(3, 4), (6, 7), (8, 9)])


def test_a_hole_is_given_up_once_newer_documents_came_ten_minutes_later() -> None:
    progress = Progress("i", 0)
    progress.take(documents(1), NOW)
    progress.take(documents(2), NOW + OLD - 1)
    assert ranges(progress) == [(0, 1)]
    progress.take(documents(3), NOW + OLD)
    assert ranges(progress) == []


def test_a_quiet_index_gives_nothing_up() -> None:
    """Its next refresh may be an hour away: what it hides now may come then."""
    progress = Progress("i", 0)
    progress.take(documents(1), NOW)
    progress.take([], NOW + 10 * OLD)
    assert ranges(progress) == [(0, 1)]


def test_too_many_holes_are_shed_the_lowest_first_and_counted() -> None:
    progress = Progress("i", 0)
    lost = progress.take(documents(*range(1, 2 * MAX_HOLES + 41, 2)), NOW)
    assert (lost, progress.shed, len(progress.holes)) == (20, 20, MAX_HOLES)
    assert ranges(progress)[0] == (40, 41)


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_in_whatever_order_documents_appear_each_is_asked_for_until_it_is_read(seed: int, size: int) -> None:
    chance = random.Random(seed)
    progress, visible, read = Progress("i", 0), set[int](), []
    waiting = list(range(size))
    while waiting:
        for _ in range(chance.randint(1, 8)):
            if waiting:
                visible.add(waiting.pop(chance.randrange(min(len(waiting), 10))))
        asked = [n for n in sorted(visible) if n >= progress.next or any(h.start <= n < h.stop for h in progress.holes)]
        page = asked[: chance.randint(1, 20)]  # a page may end anywhere
        progress.take(documents(*page), NOW)
        read += page
    rest = [n for n in sorted(visible) if n >= progress.next or any(h.start <= n < h.stop for h in progress.holes)]
    assert sorted(read + rest) == list(range(size))


def test_it_survives_its_checkpoint() -> None:
    progress = Progress("idx-1", 2, 3, shards=4, uuid="u", overlap=5, behind=6, shed=7)
    progress.take(documents(1, 4), NOW)
    progress.note("restored", NOW, position=3)
    saved = progress.save("s")
    assert (saved.stream, saved.position) == ("idx-1#3/2", 2)
    assert Progress.load(saved) == progress


def test_anchors_are_dense_near_the_end_and_few_for_ever() -> None:
    anchors: list[Anchor] = []
    for n in range(200_000):
        if n % 37 == 0:
            anchors = thinned([Anchor(n, "", ""), *anchors])
    assert [a.seq for a in anchors[:4]] == [199_985, 199_948, 199_911, 199_874]
    assert len(anchors) < 30
    assert anchors[-1].seq < 150_000


def grown() -> Progress:
    progress = Progress("i", 0, uuid="a")
    for start in range(0, 40, 10):
        progress.take(documents(*range(start, start + 10)), NOW)
    return progress


def held(progress: Progress, below: int) -> dict[int, Anchor]:
    return {a.seq: a for a in progress.anchors if a.seq < below}


@pytest.mark.parametrize(
    ("uuid", "below", "newest", "verdict", "goes_on"),
    [
        pytest.param("a", 30, 50, SAME, 40, id="the last documents were deleted or updated"),
        pytest.param("a", 0, 50, SAME, 40, id="all of them"),
        pytest.param("a", 30, 29, WAIT, 40, id="less is shown than was read"),
        pytest.param("b", 40, 39, RESTORED, 40, id="another index with the same documents"),
        pytest.param("b", 30, 29, RESTORED, 30, id="an older snapshot"),
        pytest.param("b", 0, 3, RECREATED, 40, id="another index with other documents"),
        pytest.param("", 0, 3, RECREATED, 40, id="the cluster does not tell, and nothing matches"),
        pytest.param("", 30, 50, SAME, 40, id="the cluster does not tell, and older ones match"),
    ],
)
def test_verdicts(uuid: str, below: int, newest: int, verdict: str, goes_on: int) -> None:
    progress = grown()
    assert judge(progress, Seen(uuid, held(progress, below), newest), NOW) == verdict
    assert progress.next == goes_on


def test_what_was_read_in_another_history_is_read_again_from_the_newest_that_both_share() -> None:
    progress = grown()
    now_there = {**held(progress, 30), 39: Anchor(39, "other", "x")}
    assert judge(progress, Seen("a", now_there, 60), NOW) == REWOUND
    assert (progress.next, progress.overlap, progress.anchors[0].seq) == (30, 40, 29)


def test_what_stays_away_for_ten_minutes_is_not_waited_for() -> None:
    progress = grown()
    there = Seen("a", held(progress, 30), 29)
    assert [judge(progress, there, NOW), judge(progress, there, NOW + OLD - 1), judge(progress, there, NOW + OLD)] == [WAIT, WAIT, REWOUND]
    assert (progress.next, progress.overlap, progress.behind) == (30, 40, 0)
