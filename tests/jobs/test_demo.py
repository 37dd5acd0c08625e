"""The demonstration: a small one, from log lines to documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import UsageError
from jobs import demo, drill
from jobs.config import load
from tests.servers.cluster import Cluster

WISH = drill.Wish(seed=2, events=12_000, days=1)
Told = tuple[demo.Story, list[drill.Moment]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    moments: list[drill.Moment] = []
    return demo.play(tmp_path_factory.mktemp("told") / "demo", WISH, moments.append), moments


def test_the_story_goes_from_logs_to_documents(told: Told) -> None:
    story, moments = told
    assert story.stored == story.records == moments[-1].stored > 10_000
    assert story.unparsed == 0
    assert len(moments) == 24
    assert story.last == datetime(2026, 11, 17, 17, tzinfo=UTC)
    assert [a.name for a in demo.attacks(story)] == sorted({"web", "sso", "silence"}, key=lambda n: _began(story, n))
    silence = next(a for a in demo.attacks(story) if a.name == "silence")
    assert silence.found >= 1
    assert silence.first is not None
    assert silence.minutes > 0
    assert story.incident is not None
    assert story.steps
    assert {p.suffix for p in story.documents} == {".docx", ".pdf"}
    assert all(p.stat().st_size > 1000 for p in story.documents)
    plain = demo.as_json(story)
    assert plain["stored"] == story.stored
    assert set(plain["check"]) == {"found", "missed", "outside"}


def test_a_cluster_tells_the_same_story(told: Told, tmp_path: Path, plain_opensearch: Cluster) -> None:
    """Down to the ids of alerts: nothing of them depends on the engine."""
    moments: list[drill.Moment] = []
    try:
        story = demo.play(tmp_path / "demo", replace(WISH, store=plain_opensearch.url), moments.append)
        config = load(str(story.folder / "soc.toml"))
        assert config.store_url == plain_opensearch.url
    finally:
        plain_opensearch.forget(load(str(tmp_path / "demo" / "soc.toml")).store["index_prefix"])
    assert moments == told[1]
    apart = ("folder", "documents", "seconds")
    ours, theirs = ({key: value for key, value in demo.as_json(s).items() if key not in apart} for s in (story, told[0]))
    assert ours == theirs
    assert [p.name for p in story.documents] == [p.name for p in told[0].documents]


def _began(story: demo.Story, name: str) -> datetime:
    assert story.result is not None
    steps = [s for s, _ in story.result.found] + list(story.result.missed)
    return min(s.start for s in steps if s.attack == name)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds something that is not a drill"):
        demo.play(tmp_path, drill.Wish(), lambda _: None)
    assert (tmp_path / "letter.txt").read_text("utf-8") == "mine"
