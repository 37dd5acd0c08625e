"""Terminals, locales, disks and folders that are not as they should be: a clear line and the documented exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import StoreError
from store import open_store
from tests.conftest import ROOT, Soc, environment


@pytest.mark.parametrize("more", [
    {"COLUMNS": "abc"}, {"COLUMNS": "-5"}, {"COLUMNS": "20"}, {"TERM": ""}, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
])  # fmt: skip
def test_any_terminal_and_locale(soc: Soc, more: dict[str, str]) -> None:
    done = soc("playbook", "list", "--lang", "vi", env=more)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Tấn công" in done.stdout


def shell(command: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    script = command.replace("soc ", f"'{sys.executable}' '{ROOT / 'cli.py'}' ")
    return subprocess.run(["sh", "-c", script], cwd=home, env=environment(home), capture_output=True, check=False, stdin=subprocess.DEVNULL)


def test_a_closed_stdout_is_no_error(tmp_path: Path) -> None:
    done = shell("soc playbook list >&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")  # noqa: PTH110
@pytest.mark.parametrize("command", ["soc playbook list", "soc alerts list --json"])
def test_a_full_disk_under_stdout_is_told(tmp_path: Path, command: str) -> None:
    done = shell(f"{command} > /dev/full", tmp_path)
    assert done.returncode == 6
    assert done.stderr.decode().startswith("soc: stdout: cannot be written: No space left on device\n  → ")


@pytest.mark.parametrize("left", [b"", None])
def test_a_store_that_lost_its_catalog_is_refused_and_kept(tmp_path: Path, soc: Soc, left: bytes | None) -> None:
    log = tmp_path / "a.log"
    log.write_text("Nov 24 08:15:03 web01 sshd[1]: Failed password for root from 198.51.100.40 port 1 ssh2\n")
    assert soc("collect", "once", "--path", str(log), "--data", "data").returncode == 0
    for file in (tmp_path / "data").glob("catalog.sqlite*"):
        file.unlink()
    if left is not None:
        (tmp_path / "data" / "catalog.sqlite").write_bytes(left)
    with pytest.raises(StoreError, match="the catalog is gone, but events are there; nothing was changed"):
        open_store(f"file:{tmp_path / 'data'}", {})
    assert soc("alerts", "list", "--data", "data").returncode == 6
    assert len(list((tmp_path / "data").glob("events/*/*.parquet"))) == 1


@pytest.mark.parametrize("now", ["0001-01-01", "1970-01-01T00:00:00Z", "2200-01-01", "9999-12-31T23:59:59+00:00"])
def test_a_clock_out_of_this_world_is_refused(soc_here: Soc, now: str) -> None:
    done = soc_here("scan", "--now", now)
    assert (done.returncode, done.stderr) == (2, f"soc: not a time of a log: {now}\n  → between 1971 and 2199\n")
