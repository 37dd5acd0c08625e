"""The demonstration: a small one, from log lines to documents."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import UsageError
from jobs import demo, drill


def test_the_story_goes_from_logs_to_documents(tmp_path: Path) -> None:
    folder, moments = tmp_path / "demo", list[drill.Moment]()
    story = demo.play(folder, drill.Wish(seed=2, events=12_000, days=1), moments.append)
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
    told = demo.as_json(story)
    assert told["stored"] == story.stored
    assert set(told["check"]) == {"found", "missed", "outside"}


def _began(story: demo.Story, name: str) -> datetime:
    assert story.result is not None
    steps = [s for s, _ in story.result.found] + list(story.result.missed)
    return min(s.start for s in steps if s.attack == name)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds something that is not a drill"):
        demo.play(tmp_path, drill.Wish(), lambda _: None)
    assert (tmp_path / "letter.txt").read_text("utf-8") == "mine"
