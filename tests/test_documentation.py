"""What is written is true: commands and fields are documented, examples run, links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from cli import COMMANDS, load
from tests import house
from tests.conftest import Soc

PAGES = [path for path in house.tracked() if path.suffix == ".md"]
READMES = ("README.md", "README.vi.md")


@cache
def _generator() -> ModuleType:
    found = importlib.util.spec_from_file_location("docs_generate", house.ROOT / "docs" / "generate.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_what_it_does(name: str) -> None:
    for words, command in _generator().walk(load(name), (name,)):
        if len(words) > 1:
            assert (command.help or "").strip(), f"soc {' '.join(words)} has no help"


def test_generated_pages_are_up_to_date() -> None:
    """In a process of its own: help texts are in the language in which a command was first imported."""
    words = [sys.executable, str(house.ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run: python docs/generate.py"


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", (house.ROOT / path).read_text(encoding="utf-8"), flags=re.DOTALL)
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        outside = "://" in target or target.startswith("#")
        if not outside and not (house.ROOT / path).parent.joinpath(target.partition("#")[0]).exists():
            wrong.append(target)
    assert wrong == []


def _examples(page: str) -> list[str]:
    """Lines of ```sh blocks that start with `soc`."""
    blocks = re.findall(r"```sh\n(.*?)```", (house.ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("soc ")]


@pytest.mark.parametrize("page", READMES)
def test_commands_of_the_readme_exist(page: str) -> None:
    examples = _examples(page)
    assert len(examples) >= 5
    for line in examples:
        words = shlex.split(line, comments=True)
        command, known = load(words[1]), (words[1],)
        for word in words[2:]:
            inner = getattr(command, "commands", {}).get(word)
            if inner is None:
                break
            command, known = inner, (*known, word)
        options = {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)}
        options |= {"--config", "--data", "--now", "--json", "--lang", "-q", "-v", "--help"}
        used = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
        assert used <= options, f"{line}: {sorted(used - options)}"


@pytest.mark.parametrize("page", READMES)
def test_examples_of_the_readme_run(page: str, tmp_path: Path, soc: Soc) -> None:
    """Blocks marked ```sh run in order, in a folder with the sample log of the tests beside them."""
    for sample in (house.ROOT / "docs" / "sample").iterdir():
        shutil.copy(sample, tmp_path)
    for line in _examples(page):
        words = shlex.split(line, comments=True)[1:]
        done = soc(*words, cwd=tmp_path)
        assert done.returncode in (0, 1), f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@cache
def _inner(name: str) -> frozenset[str]:
    return frozenset(getattr(load(name), "commands", {}))


def _wrong_commands(text: str) -> list[str]:
    """`soc NOUN VERB` that does not exist, wherever it stands in a text."""
    wrong = []
    for noun, verb in re.findall(r"(?<![\w./-])soc ([a-z][a-z-]+)(?: ([a-z][a-z-]+)\b(?!\.))?", text):
        if noun in ("that", "reads"):
            continue
        if noun not in COMMANDS or (verb and _inner(noun) and verb not in _inner(noun)):
            wrong.append(f"soc {noun} {verb}".strip())
    return wrong


@pytest.mark.parametrize("path", [p for p in house.tracked() if p.suffix in {".md", ".yml", ".py", ".cron", ".service"}], ids=str)
def test_every_command_that_is_named_exists(path: Path) -> None:
    """In hints of errors, catalogues and documents: the next command must not be a dead end."""
    if path.parts[0] == "tests":
        return
    assert _wrong_commands((house.ROOT / path).read_text(encoding="utf-8")) == []


def test_both_readmes_show_the_same_commands() -> None:
    assert _examples("README.md") == _examples("README.vi.md")


def test_the_backup_of_the_manual_is_a_whole_store(tmp_path: Path, soc: Soc) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", (house.ROOT / "docs" / "operations.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert soc("init", "--yes").returncode == 0
    assert soc("collect", "once", "--path", str(house.ROOT / "docs" / "sample")).returncode == 0
    shim = tmp_path / "bin" / "soc"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {house.ROOT / "cli.py"} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for folder in ("backup", "restored"):
        assert json.loads(soc("collect", "status", "--data", folder, "--json").stdout)["total"]["stored"] == 125


def test_exit_codes_are_documented() -> None:
    text = (house.ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    from domain import errors

    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SocError)}
    assert codes
    assert [code for code in sorted(codes) if not re.search(rf"\b{code} ", text)] == []


def test_the_top_level_is_what_the_architecture_says() -> None:
    tops = {path.parts[0] for path in house.tracked()}
    allowed = {*house.PACKAGES, "tests", "docs", "benchmarks", "cli.py", "pyproject.toml", "Makefile", "LICENSE"}
    stray = {top for top in tops - allowed if not top.startswith((".", "README", "requirements")) and not top.endswith(".md")}
    assert stray == set()
    assert sys.version_info >= (3, 11)
