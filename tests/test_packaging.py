"""The built wheel: everything the product needs is in it, and it takes nobody else's names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests import house

PROJECT = tomllib.loads((house.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(words, cwd=house.ROOT, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1767225600"})
    return next(out.glob("*.whl"))


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_product_is_in_the_wheel(wheel: Path) -> None:
    product = {str(path) for path in house.tracked() if house.package(path) in (*house.PACKAGES, "cli")}
    assert product - _names(wheel) == set()
    for must in ("cli.py", "domain/fields.yml", "domain/locale/vi/cli.yml", "domain/locale/en/cli.yml"):
        assert must in product


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in _names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} <= {*house.PACKAGES, "cli.py"}


def test_our_names_are_claimed_by_no_installed_distribution(wheel: Path) -> None:
    ours = {name.partition("/")[0].removesuffix(".py") for name in _names(wheel) if ".dist-info/" not in name}
    claimed = {top: names for top, names in metadata.packages_distributions().items() if set(names) != {PROJECT["name"]}}
    assert {top: claimed[top] for top in ours & claimed.keys()} == {}
    assert not ours & set(sys.stdlib_module_names)


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "soc = cli:main" in archive.read(entry).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def _locked(name: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for line in (house.ROOT / name).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([a-z0-9._-]+)==([^ ;\\]+)", line):
            pins.setdefault(found[1], set()).add(found[2])
    return pins


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~; \[]", requirement)[0].lower().replace("_", "-")


def test_locks_agree_with_each_other_and_with_the_project() -> None:
    every, run = _locked("requirements.lock"), _locked("requirements-run.lock")
    assert {name: pins for name, pins in run.items() if not pins <= every.get(name, set())} == {}
    assert {_name(text) for text in PROJECT["dependencies"]} - run.keys() == set()
    text = (house.ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") > len(every)
    assert "pytest" not in run


IMPORTED_AS = {
    "ahocorasick-rs": "ahocorasick_rs", "google-re2": "re2", "opensearch-py": "opensearchpy", "pysigma": "sigma", "pysigma-backend-opensearch": "sigma.backends", "python-docx": "docx", "pyyaml": "yaml", "tzdata": "",
}  # fmt: skip
"""Distribution -> module, where they differ; "" = data that the standard library reads."""


def test_every_dependency_is_used() -> None:
    used = {module for path in house.files() for module, _, _ in house.imports(path)}
    idle = []
    for text in PROJECT["dependencies"]:
        module = IMPORTED_AS.get(_name(text), _name(text).replace("-", "_"))
        if module and not any(name == module or name.startswith(f"{module}.") for name in used):
            idle.append(_name(text))
    assert idle == []


def test_every_dependency_says_why_it_is_here() -> None:
    text = (house.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in map(_name, PROJECT["dependencies"]) if f"| {name} |" not in text] == []


@pytest.mark.slow
def test_the_bundle_installs_without_network(tmp_path: Path) -> None:
    """Unpack, check sums, install with the network namespace empty where the system allows it, run the command."""
    archives = sorted((house.ROOT / "dist").glob("thapcanh-*-bundle-*.tar"))
    assert archives, "make bundle builds it"
    with tarfile.open(archives[-1]) as archive:
        house.unpack(archive, tmp_path)
    (folder,) = tmp_path.iterdir()
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    cut = ["unshare", "--net", "--map-root-user"]
    alone = cut if subprocess.run([*cut, "true"], capture_output=True, check=False).returncode == 0 else []
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "PIP_NO_INDEX": "1"}
    target = tmp_path / "opt"
    subprocess.run([*alone, "bash", str(folder / "install.sh"), str(target)], check=True, env=clean, cwd=tmp_path)
    done = subprocess.run(
        [*alone, str(target / "bin" / "soc"), "--help"], capture_output=True, text=True, check=True, env=clean, cwd=tmp_path
    )
    assert "doctor" in done.stdout
    parsed = subprocess.run([*alone, str(target / "bin" / "soc"), "init", "here", "--yes"], check=False, env=clean, cwd=tmp_path)
    assert parsed.returncode == 0
    assert (tmp_path / "here" / "soc.toml").is_file()
