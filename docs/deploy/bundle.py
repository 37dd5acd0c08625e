"""`make bundle`: one archive with everything a machine without network needs.

Wheels of `requirements-run.lock` for this platform and Python, our own wheel, the installer, service files, documentation, sums.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bundle"
EPOCH = 1767225600
"""Time stamp inside the wheel: the same sources give the same bytes."""


def run(*words: str) -> None:
    """A command that must succeed."""
    subprocess.run(words, cwd=ROOT, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})


def main() -> None:
    """Build the archive in dist/."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    tag = f"{platform.system().lower()}-{platform.machine()}-py{sysconfig.get_python_version().replace('.', '')}"
    name = f"thapcanh-{version}-bundle-{tag}"
    folder = WORK / name
    shutil.rmtree(WORK, ignore_errors=True)
    (folder / "wheels").mkdir(parents=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    lock = "requirements-run.lock"
    words = ["-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--require-hashes", "--no-deps"]
    run(sys.executable, *words, "-r", lock, "-d", str(folder / "wheels"))
    for path in (lock, "LICENSE", "README.md", "README.vi.md", "CHANGELOG.md"):
        shutil.copy(ROOT / path, folder)
    deploy = ROOT / "docs" / "deploy"
    for path in sorted(deploy.iterdir()):
        if path.suffix in {".sh", ".service", ".cron"}:
            shutil.copy(path, folder)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.py", "deploy", "__pycache__"))
    shutil.copytree(deploy / "opensearch", folder / "docs" / "deploy" / "opensearch")
    (folder / "PYTHON").write_text(sysconfig.get_python_version() + "\n", encoding="utf-8")
    (folder / "SHA256SUMS").write_text("".join(sums(folder)), encoding="utf-8")
    archive = ROOT / "dist" / f"{name}.tar"
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w") as out:
        out.add(folder, name)
    print(f"{archive.relative_to(ROOT)}  {archive.stat().st_size / 2**20:.0f} MiB")


def sums(folder: Path) -> list[str]:
    """One line for each file, as sha256sum writes them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in paths]


if __name__ == "__main__":
    main()
