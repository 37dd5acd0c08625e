"""Who may import whom, and who may know which library: ARCHITECTURE.md, enforced."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import house

ALLOWED = {
    "domain": set(),
    "match": {"domain"},
    "rules": {"domain"},
    "collectors": {"domain"},
    "store": {"domain", "match"},
    "detectors": {"domain", "match", "rules", "store"},
    "playbooks": {"domain", "store"},
    "reports": {"domain", "store"},
    "jobs": {"domain", "match", "rules", "collectors", "store", "detectors", "playbooks", "reports"},
    "commands": {"jobs", "domain"},
    "cli": {"commands", "jobs", "domain"},
}
CONTRACT_ONLY = {"detectors", "playbooks", "reports"}
"""These see `store.base`, never an engine."""

FENCES = {
    "duckdb": ("store/local/", "collectors/parsers/"),
    "sqlite3": ("store/local/",),
    "opensearchpy": ("store/opensearch/", "collectors/opensearch.py"),
    "typer": ("commands/", "cli.py"),
    "rich": ("commands/",),
    "docx": ("reports/",),
    "typst": ("reports/",),
    "jinja2": ("reports/",),
    "sigma": ("detectors/sigma/", "rules/", "jobs/"),
    "cryptography": ("jobs/rule_packs_sign.py",),
    "sklearn": ("detectors/anomaly/",),
    "evtx": ("collectors/",),
    "re2": ("match/", "collectors/file.py"),
    "ahocorasick_rs": ("match/", "jobs/hunt_batch.py"),
    "socket": ("collectors/", "jobs/", "match/ops.py"),  # match: inet_pton, to pack addresses
    "http": ("collectors/", "store/opensearch/"),
    "urllib.request": ("collectors/",),
    "requests": (),
    "httpx": (),
    "pickle": (),
}
"""Library -> where it may be imported."""


def test_every_arrow_points_the_same_way() -> None:
    wrong = []
    for path in house.files():
        own = house.package(path)
        for module, line, typing_only in house.imports(path):
            top = module.partition(".")[0]
            types_of_contract = typing_only and f"{module}.".startswith("store.base.")
            if top in (*house.PACKAGES, "cli") and top != own and top not in ALLOWED[own] and not types_of_contract:
                wrong.append(f"{path}:{line}: {own} may not import {module}")
            if own in CONTRACT_ONLY and top == "store" and module.split(".")[1:2] not in ([], ["base"]) and not typing_only:
                wrong.append(f"{path}:{line}: {own} may only import store.base, not {module}")
    assert not wrong, "\n".join(wrong)


def test_from_store_import_names_only_the_contract() -> None:
    wrong = [
        f"{path}:{line}: {module}"
        for path in house.files()
        if house.package(path) in CONTRACT_ONLY
        for module, line, _ in house.imports(path)
        if module.startswith("store.") and not module.startswith("store.base")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", FENCES)
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    wrong = [
        f"{path}:{line}: imports {module}"
        for path in house.files()
        for module, line, _ in house.imports(path)
        if (module == library or module.startswith(f"{library}.")) and not str(path).startswith(FENCES[library])
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_system_clock_asks_the_machine() -> None:
    asks = {"now", "utcnow", "today"}
    wrong = []
    for path in house.files():
        for node in ast.walk(house.tree(path)):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, (ast.Name, ast.Attribute)):
                continue
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            asked = (owner in {"datetime", "date", "dt"} and node.attr in asks) or (owner == "time" and node.attr in {"time", "time_ns"})
            if asked and path != Path("domain/clock.py"):
                wrong.append(f"{path}:{node.lineno}: {owner}.{node.attr}")
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_stay_small() -> None:
    wrong = []
    for path in house.files():
        lines = (house.ROOT / path).read_text(encoding="utf-8").count("\n")
        if lines > 400:
            wrong.append(f"{path}: {lines} lines (at most 400)")
        for node in ast.walk(house.tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 60:
                wrong.append(f"{path}:{node.lineno}: {node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines (at most 60)")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_undone_and_no_machine_is_named() -> None:
    marks = ("raise NotImplemented" + "Error", "TO" + "DO", "FIX" + "ME", "/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/v/")
    wrong = []
    for path in house.tracked():
        if path.suffix in {".ttf", ".gz", ".evtx", ".parquet", ".lock"} or path == Path("LICENSE"):
            continue
        for number, line in enumerate((house.ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            wrong += [f"{path}:{number}: {mark}" for mark in marks if mark in line]
    assert not wrong, "\n".join(wrong)


def test_no_registry_address_is_committed() -> None:
    for name in ("requirements.lock", "requirements-run.lock", "pyproject.toml", "Makefile", ".ci/run"):
        text = (house.ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "index-url" not in text, name
