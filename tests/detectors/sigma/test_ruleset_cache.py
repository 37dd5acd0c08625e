"""The cache of compiled rules: whatever stands there, the rules are those of the files."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from detectors.sigma.ruleset import RuleSet, cached
from tests.jobs.hunting import rules


def _found(folder: Path) -> list[tuple[object, ...]]:
    found = _cached(folder)
    return [(r.ref, r.route, r.body) for r in found.rules]


def _cached(folder: Path) -> RuleSet:
    return cached([folder / "rules"], folder / "cache")


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "insert"])
def test_a_damaged_cache_changes_no_rule(tmp_path: Path, place: float, damage: str) -> None:
    rules(tmp_path / "rules")
    whole = _found(tmp_path)
    path = next((tmp_path / "cache").iterdir())
    content = path.read_bytes()
    at = int(len(content) * place)
    path.write_bytes({
        "flip": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], "cut": content[:at], "empty": b"", "insert": content[:at] + b" " + content[at:],
    }[damage])  # fmt: skip
    assert _found(tmp_path) == whole
    assert path.read_bytes() == content


def test_writers_at_once_leave_one_whole_cache(tmp_path: Path) -> None:
    rules(tmp_path / "rules")
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        found = list(pool.map(_found, [tmp_path] * 8))
    assert all(one == found[0] for one in found)
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".json"]
    assert _found(tmp_path) == found[0]
