"""The frame of the command line: exit codes, global options, languages."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli import COMMANDS
from tests.conftest import ROOT, Soc


def test_help_lists_every_command_in_both_languages(soc_here: Soc) -> None:
    english, vietnamese = soc_here("--help"), soc_here("--help", "--lang", "vi")
    assert english.returncode == vietnamese.returncode == 0
    for name in COMMANDS:
        assert f" {name} " in english.stdout
    assert "Run all detectors" in english.stdout
    assert "Quét sự kiện mới" in vietnamese.stdout


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(soc: Soc) -> None:
    done = soc("serach")
    assert done.returncode == 2
    assert "No such command 'serach'" in done.stderr
    assert done.stdout == ""


def test_no_help_page_has_english_words_of_the_library_in_vietnamese(soc: Soc) -> None:
    code = (
        "import cli\n"
        "def show(command, name, parent=None):\n"
        "    context = command.context_class(command, info_name=name, parent=parent)\n"
        "    print(command.get_help(context))\n"
        "    for name, inner in getattr(command, 'commands', {}).items():\n"
        "        show(inner, name, context)\n"
        "for name in cli.COMMANDS:\n"
        "    show(cli.load(name), name)"
    )
    env = os.environ | {"COLUMNS": "80"}
    text = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=env).stdout
    text += soc("--help", "--lang", "vi").stdout
    library = "Usage|Options|Commands|Arguments|OPTIONS|ARGS|default: |env var|required\\]|Show this|<[a-z ]+>"
    assert re.findall(library, text) == []
    for word in ("Cách dùng: soc [TÙY CHỌN] LỆNH [THAM SỐ]...", "Tùy chọn:", "Tham số:", "Lệnh:", "[mặc định: ", "[bắt buộc]", "<số>"):
        assert word in text


@pytest.mark.parametrize(
    ("args", "vi", "en"),
    [
        (["foo"], "Không có lệnh 'foo'.", "No such command 'foo'."),
        (["rules", "tst"], "Không có lệnh 'tst'. Có phải là 'test'?", "No such command 'tst'. Did you mean 'test'?"),
        (["scan", "--foo"], "Không có tùy chọn --foo", "No such option: --foo"),
        (
            ["search", "--limitt", "3"],
            "Không có tùy chọn --limitt (có thể là: --limit)",
            "No such option: --limitt (Possible options: --limit)",
        ),
        (["rules", "explain"], "Thiếu tham số 'rule'.", "Missing argument 'rule'."),
        (["rules", "sign", "x.zip"], "Thiếu tùy chọn '--key'.", "Missing option '--key'."),
        (["scan", "a", "b"], "Thừa tham số: a b", "Got unexpected extra argument(s) (a b)"),
        (["search", "--limit"], "Tùy chọn '--limit' phải có giá trị.", "Option '--limit' requires an argument."),
        (["scan", "--help=3"], "Tùy chọn '--help' không nhận giá trị.", "Option '--help' does not take a value."),
        (
            ["search", "--limit", "x: y"],
            "Giá trị của '--limit' không hợp lệ: 'x: y' không phải là số nguyên.",
            "Invalid value for '--limit': 'x: y' is not a valid int.",
        ),
        (
            ["rules", "test", "--min-tests", "0"],
            "Giá trị của '--min-tests' không hợp lệ: 0 nằm ngoài khoảng x>=1.",
            "Invalid value for '--min-tests': 0 is not in the range x>=1.",
        ),
    ],
)
def test_a_usage_error_speaks_the_language_asked_for(soc: Soc, args: list[str], vi: str, en: str) -> None:
    vietnamese, english = soc("--lang", "vi", *args), soc("--lang", "en", *args)
    assert (vietnamese.returncode, english.returncode) == (2, 2)
    assert vietnamese.stderr.splitlines()[-1] == f"Lỗi: {vi}"
    assert english.stderr.splitlines()[-1] == f"Error: {en}"
    assert not re.search("Usage|OPTIONS|for help", vietnamese.stderr)
    assert (vietnamese.stdout, english.stdout) == ("", "")


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        pytest.param(["config", "check", "--config", "nowhere.toml"], 3, "nowhere.toml: no such configuration file", id="no file"),
        pytest.param(["config", "check", "--now", "yesterday"], 2, "not an ISO 8601 time: yesterday", id="bad time"),
        pytest.param(["config", "check", "--lang", "fr"], 2, "--lang fr: vi | en", id="bad language"),
    ],
)
def test_errors_have_one_line_and_their_exit_code(soc_here: Soc, args: list[str], code: int, text: str) -> None:
    done = soc_here(*args)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "asked", "word"),
    [
        pytest.param([], "", "No log source is configured", id="soc.toml"),
        pytest.param([], "vi", "Chưa khai báo nguồn nhật ký nào", id="the environment goes before soc.toml"),
        pytest.param(["--lang", "en"], "vi", "No log source is configured", id="--lang goes before both"),
    ],
)
def test_the_language_is_that_of_the_configuration_unless_asked(
    tmp_path: Path, soc_here: Soc, args: list[str], asked: str, word: str
) -> None:
    (tmp_path / "soc.toml").write_text('lang = "en"\n', encoding="utf-8")
    assert word in soc_here("doctor", *args, env={"SOC_LANG": asked}).stdout


def test_global_options_stand_anywhere(tmp_path: Path, soc_here: Soc) -> None:
    loud = soc_here("config", "check")
    quiet = soc_here("config", "check", "-q")
    assert (loud.returncode, quiet.returncode) == (0, 0)
    assert loud.stderr != ""
    assert quiet.stderr == ""
    assert soc_here("config", "show", "--json").stdout == soc_here("--json", "config", "show").stdout


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, cli\n"
        "try:\n    cli.main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print([n for n in ('pyarrow', 'numpy', 'sigma', 'rich', 'duckdb', 'docx', 'typst') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_nothing_asks_the_network(tmp_path: Path, soc_here: Soc, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*args: object, **_: object) -> object:
        asked.append(args)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    log = str(ROOT / "docs" / "sample" / "auth.log")
    for args in (["try", log], ["collect", "once", "--path", log], ["scan"], ["rules", "check"], ["queue"], ["doctor"], ["search", "ssh*"]):
        done = soc_here(*args)
        assert done.returncode in (0, 1), f"{args}: {done.stderr}"
    assert asked == []


def test_what_is_written_is_nobody_elses_to_read(tmp_path: Path, soc: Soc) -> None:
    (tmp_path / "a.log").write_text(
        "Nov 24 08:15:03 web01 sshd[1]: Failed password for an from 203.0.113.9 port 4 ssh2\n", encoding="utf-8"
    )
    assert soc("--data", "kho", "collect", "once", "--path", "a.log").returncode == 0
    written = [path for path in (tmp_path / "kho").rglob("*") if path.is_file()]
    assert written
    assert [path for path in [tmp_path / "kho", *written] if path.stat().st_mode & 0o027] == []
