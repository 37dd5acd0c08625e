"""Registers from files: overlay, every problem with its place, imports from spreadsheets, the shipped example."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from jobs.registers import EXAMPLE, read
from tests.conftest import Soc


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def _problems(folder: Path) -> list[str]:
    return [f"{Path(p.file).name}:{p.line}: {p.text}" for p in read([folder]).problems]


def test_the_example_province_is_valid_fictitious_and_says_so() -> None:
    loaded = read([EXAMPLE])
    assert loaded.problems == []
    assert all(o.example for o in loaded.registers.organisations)
    assert [len(v) > 0 for v in loaded.entries.values()] == [True] * 4
    dvc = loaded.registers.asset_of("2001:db8:20:10::10", date(2026, 11, 24))
    assert dvc is not None
    assert (dvc.id, dvc.level) == ("dvc", 3)
    assert [u.code for u in loaded.registers.units_at("H-BINHMINH", date(2026, 11, 24))] == ["X-BINHAN", "X-BINHHOA"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("units__yml", "- {code: A, name: a, parnt: B}", "units.yml:1: unknown field parnt; did you mean parent?"),
        ("units__yml", "- {name: a}", "units.yml:1: code is missing"),
        ("units__yml", "- code: A\n  name: a\n  parent: B", "units.yml:3: parent: there is no unit B"),
        ("units__yml", "- {code: A, name: a, parent: B}\n- {code: B, name: b, parent: A}", "units.yml:1: parent: A is above itself"),
        ("units__yml", "- code: A\n  name: a\n  networks: [10.0.0.1/8]", "units.yml:3: networks: 10.0.0.1/8 has host bits set"),
        ("units__yml", "- {code: A, name: a}\n- {code: A, name: a2}", "units.yml:2: code A is already in force then"),
        ("units__yml", "- {code: A, name: a, valid_from: 2026-02-30}", "units.yml:1: cannot be read"),
        ("units__yml", '- {code: A, name: a, valid_from: "hôm qua"}', "valid_from: must be a day, 2026-07-01 or 01/07/2026, not hôm qua"),
        (
            "units__yml",
            "- {code: A, name: a, valid_from: 2026-02-01, valid_to: 2026-01-01}",
            ":1: ends 2026-01-01 before it starts 2026-02-01",
        ),
        ("units__yml", "code: A", "units.yml:1: must be a list of entries, each starting with '- '"),
        ("units__yml", "- {code: A\n", "units.yml:2: not YAML"),
        ("units__yml", "- code: A\n  name: a\n  code: B", "units.yml:3: code is given twice"),
        ("assets__yml", "- {id: a, name: A, level: 7}", "assets.yml:1: level 7: 1 to 5"),
        ("assets__yml", "- {id: a, name: A, level: cao}", "assets.yml:1: level: must be a whole number, not cao"),
        ("assets__yml", "- {id: a, name: A, services: [http]}", "assets.yml:1: services: http is not one of web, mail"),
        (
            "assets__yml",
            "- {id: a, name: A, addresses: [fd00::1]}\n- {id: b, name: B, addresses: [fd00::1]}",
            ":2: addresses: fd00::1 already belongs to a",
        ),
        ("assets__yml", "- {id: a, name: A, hosts: {x: y}}", "assets.yml:1: hosts: must be a list of texts"),
        ("organisation__yml", "- agency: {nme: x}", "organisation.yml:1: unknown field agency.nme; did you mean name?"),
        ("organisation__yml", "- {place: a}\n- {place: b}", "organisation.yml:2: the organisation is already in force then"),
        ("lists__yml", "- {name: a b, values: [x]}", "lists.yml:1: name a b: letters, digits, _ and - only"),
        ("assets__csv", "id,name,level\na,A,9\n", "assets.csv:2: level 9: 1 to 5"),
        ("assets__csv", "id,name\na,A,extra\n", "assets.csv:2: more cells than the 2 names in the first line"),
    ],
)
def test_a_problem_has_its_place(tmp_path: Path, name: str, text: str, problem: str) -> None:
    assert any(problem in found for found in _problems(_write(tmp_path, **{name: text})))


def test_all_problems_are_shown_at_once_with_exit_4(tmp_path: Path, soc_here: Soc) -> None:
    _write(tmp_path, soc__toml="")
    _write(tmp_path / "content" / "registers", units__yml="- {code: A, nam: a}\n- {nme: b}\n", lists__yml="- {values: [x]}\n")
    done = soc_here("register", "check")
    assert done.returncode == 4
    assert done.stderr.count(".yml:") == 6
    assert "6 problems in the registers" in done.stderr
    assert soc_here("report", "weekly").returncode == 4


def test_a_later_folder_replaces_entries_by_id(tmp_path: Path) -> None:
    one = _write(tmp_path / "one", assets__yml="- {id: a, name: A}\n- {id: b, name: B}", lists__yml="- {name: l, values: [x]}")
    two = _write(tmp_path / "two", assets__yml="- {id: b, name: B2}")
    found = read([one, two]).registers
    assert {(a.id, a.name) for a in found.assets} == {("a", "A"), ("b", "B2")}
    assert found.placeholders()["l"] == ["x"]


def test_an_import_shows_what_changes_and_replaces_the_import_before(tmp_path: Path, soc_here: Soc) -> None:
    _write(tmp_path, soc__toml="")
    sheet = tmp_path / "bang.csv"
    sheet.write_bytes("\ufeffid;name;level;addresses;valid_from\r\na;Máy A;2;10.1.1.1|2001:db8::1;01/07/2025\r\nb;Máy B;;;\r\n".encode())
    first = json.loads(soc_here("register", "import", str(sheet), "--json").stdout)
    assert (first["register"], first["added"], first["written"]) == ("assets", ["a", "b"], True)
    sheet.write_text("id;name;level\na;Máy A;3\nc;Máy C;1\n", encoding="utf-8")
    dry = json.loads(soc_here("register", "import", str(sheet), "--json", "--dry-run").stdout)
    assert (dry["added"], dry["changed"], dry["removed"], dry["written"]) == (["c"], ["a"], ["b"], False)
    assert "Máy B" in (tmp_path / "content" / "registers" / "assets.csv").read_text(encoding="utf-8")
    assert soc_here("register", "import", str(sheet)).returncode == 0
    assert "Máy B" not in (tmp_path / "content" / "registers" / "assets.csv").read_text(encoding="utf-8")


def test_an_import_with_a_problem_changes_nothing(tmp_path: Path, soc_here: Soc) -> None:
    _write(tmp_path, soc__toml="")
    sheet = tmp_path / "bang.csv"
    sheet.write_text("code,name,networks\nA,a,10.0.0.0/8\nB,b,10.300.0.0/16\n", encoding="utf-8")
    done = soc_here("register", "import", str(sheet))
    assert done.returncode == 4
    assert "bang.csv:3: networks: '10.300.0.0/16' does not appear to be" in done.stderr
    assert not (tmp_path / "content" / "registers" / "units.csv").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04xlsx", "this is a workbook, not CSV"),
        (b"a,b\n1,2\n", "cannot tell the register from the first line: a,b"),
        (b'id,name\n"a,b\n', "not CSV"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(tmp_path: Path, soc_here: Soc, data: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(data)
    done = soc_here("register", "import", str(tmp_path / "x.csv"))
    assert done.returncode == 4
    assert message in done.stderr


def test_who_has_an_address_at_a_time(tmp_path: Path, soc_here: Soc) -> None:
    _write(tmp_path, soc__toml="")
    _write(tmp_path / "content" / "registers", **{f"{p.stem}__yml": p.read_text(encoding="utf-8") for p in EXAMPLE.glob("*.yml")})
    then = json.loads(soc_here("register", "who", "10.20.50.7", "--at", "2025-06-30", "--json").stdout)
    now = json.loads(soc_here("register", "who", "10.20.50.7", "--at", "2025-07-01", "--json").stdout)
    assert (then["unit"], now["unit"]) == ("H-BINHMINH", "X-BINHAN")
    assert soc_here("register", "who", "203.0.113.200").returncode == 1
