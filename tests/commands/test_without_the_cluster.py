"""What needs no cluster does not touch it: it works while the cluster is away, and no secret of its access is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT, Soc

COMMANDS = (
    ("--help",), ("rules", "list"), ("rules", "lint"), ("parsers",), ("parse", "auth.log"), ("hunt", "auth.log"), ("try", "auth.log"),
    ("playbook", "list"), ("playbook", "lint"), ("playbook", "show", "PB04"), ("playbook", "print", "PB04"), ("config", "show"),
    ("drill", "list"), ("report", "list"), ("register", "check"), ("store", "dashboards", "--out", "d.ndjson"),
)  # fmt: skip
SECRET = "s3cret-of-the-cluster"


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A configuration whose cluster cannot be reached."""
    text = f'[store]\nurl = "https://127.0.0.1:1"\nuser = "soc"\npassword = "{SECRET}"\n'
    (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
    (tmp_path / "auth.log").write_bytes((ROOT / "docs" / "sample" / "auth.log").read_bytes())
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_it_works_while_the_cluster_is_away(away: Path, soc_here: Soc, words: tuple[str, ...]) -> None:
    done = soc_here(*words)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_what_needs_the_cluster_says_that_it_is_away(away: Path, soc_here: Soc) -> None:
    done = soc_here("-v", "alerts", "list")
    assert done.returncode == 6
    assert "https://127.0.0.1:1: the cluster cannot be reached: connection refused" in done.stderr
    assert SECRET not in done.stdout + done.stderr
