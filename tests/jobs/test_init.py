"""`soc init`: what it makes is valid as it stands, and nothing that is there is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.config import load
from jobs.init import KINDS, REGISTERS, carry_out, plan, settings
from jobs.registers import read
from tests.conftest import Soc


def test_a_fresh_folder_is_valid_as_it_stands(tmp_path: Path, soc_here: Soc) -> None:
    done = soc_here("init", "here", "--yes")
    assert done.returncode == 0, done.stderr
    assert "soc collect once" in done.stderr
    folder = tmp_path / "here"
    assert {path.name for path in (folder / "content").iterdir()} == set(KINDS)
    checked = soc_here("config", "check", cwd=folder)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("language", ["vi", "en"])
def test_it_is_commented_in_the_language_asked_for(tmp_path: Path, soc_here: Soc, language: str) -> None:
    assert soc_here("init", ".", "--yes", "--lang", language).returncode == 0
    text = (tmp_path / "soc.toml").read_text(encoding="utf-8")
    assert ("Kho dữ liệu" in text) == (language == "vi")
    assert load(str(tmp_path / "soc.toml")).lang == language


def test_a_second_time_keeps_everything(tmp_path: Path, soc_here: Soc) -> None:
    soc_here("init", "--yes")
    (tmp_path / "soc.toml").write_text("# mine\n", encoding="utf-8")
    again = json.loads(soc_here("init", "--yes", "--json").stdout)
    assert again["made"] == []
    assert len(again["kept"]) == len(plan())
    assert (tmp_path / "soc.toml").read_text(encoding="utf-8") == "# mine\n"


def test_log_files_of_this_machine_become_sources(tmp_path: Path) -> None:
    (tmp_path / "var" / "log" / "nginx").mkdir(parents=True)
    (tmp_path / "var" / "log" / "nginx" / "access.log.1").touch()
    (tmp_path / "var" / "log" / "auth.log").touch()
    list(carry_out(tmp_path / "out", plan(str(tmp_path))))
    config = load(str(tmp_path / "out" / "soc.toml"))
    assert [(source.id, source.type, source.path) for source in config.sources] == [
        ("linux-auth", "file", f"{tmp_path}/var/log/auth.log*"),
        ("nginx", "file", f"{tmp_path}/var/log/nginx/*access.log*"),
    ]


def test_what_is_commented_out_is_valid_when_switched_on(tmp_path: Path) -> None:
    lines = settings({}).splitlines()
    on = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in lines]
    (tmp_path / "soc.toml").write_text("\n".join(on), encoding="utf-8")
    config = load(str(tmp_path / "soc.toml"))
    assert [(source.id, source.type) for source in config.sources] == [("syslog", "syslog"), ("windows", "evtx")]
    assert config.spool_quota == 10 * 2**30


def test_example_registers_are_valid_when_switched_on(tmp_path: Path) -> None:
    list(carry_out(tmp_path, plan()))
    folder = tmp_path / "content" / "registers"
    assert read([folder]).problems == []
    for name in REGISTERS:
        path = folder / f"{name}.yml"
        lines = path.read_text(encoding="utf-8").splitlines()
        on = [line[1:] for line in lines if line.startswith("#") and (not line.startswith("# ") or line.startswith("#  "))]
        assert on, f"{name} has no example"
        path.write_text("\n".join(on) + "\n", encoding="utf-8")
    loaded = read([folder])
    assert loaded.problems == []
    assert loaded.registers.organisations
    assert loaded.registers.assets


def test_without_a_terminal_it_wants_to_be_told(tmp_path: Path, soc: Soc) -> None:
    done = soc("init")
    assert done.returncode == 2
    assert "soc init --yes" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_refuses_is_a_clear_error(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = soc_here("init", "file", "--yes")
    assert done.returncode == 3
    assert "file: cannot be written: File exists" in done.stderr
