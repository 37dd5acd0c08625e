"""The demonstration: a small one, from log lines to documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import UsageError
from jobs import demo, drill
from jobs.config import load
from tests.servers.cluster import Cluster

WISH = drill.Wish(seed=2, events=12_000, days=1)


def test_the_story_goes_from_logs_to_documents(tmp_path: Path) -> None:
    folder, moments = tmp_path / "demo", list[drill.Moment]()
    story = demo.play(folder, WISH, moments.append)
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


def test_a_cluster_tells_the_same_story(tmp_path: Path, plain_opensearch: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to the ids of alerts: nothing of them depends on the engine. Few scans: it is long enough as it is."""
    monkeypatch.setattr(demo, "EVERY", timedelta(hours=8))
    told: list[dict[str, object]] = []
    for store in ("", plain_opensearch.url):
        folder, moments = tmp_path / f"demo{len(told)}", list[drill.Moment]()
        try:
            story = demo.play(folder, replace(WISH, store=store), moments.append)
            assert load(str(folder / "soc.toml")).store_url == (store or "file:data")
        finally:
            if store:
                plain_opensearch.forget(load(str(folder / "soc.toml")).store["index_prefix"])
        apart = ("folder", "documents", "seconds")
        plain = {key: value for key, value in demo.as_json(story).items() if key not in apart}
        told.append({**plain, "moments": moments, "documents": [p.name for p in story.documents]})
    assert told[1] == told[0]
    assert told[0]["alerts"]


def _began(story: demo.Story, name: str) -> datetime:
    assert story.result is not None
    steps = [s for s, _ in story.result.found] + list(story.result.missed)
    return min(s.start for s in steps if s.attack == name)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds something that is not a drill"):
        demo.play(tmp_path, drill.Wish(), lambda _: None)
    assert (tmp_path / "letter.txt").read_text("utf-8") == "mine"
