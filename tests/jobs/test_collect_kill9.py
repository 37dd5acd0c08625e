"""The benchmark of sudden deaths, in small: five of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks import kill9


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    result = kill9.run(tmp_path / "k", kills=5, seed=3, longest=1.0)
    assert {name: result[name] for name in ("lost", "doubled", "strange", "disorder", "verify", "exit")} == {
        "lost": [], "doubled": [], "strange": [], "disorder": [], "verify": [], "exit": 0,
    }  # fmt: skip
    assert isinstance(result["given"], int)
    assert result["given"] > 1000
