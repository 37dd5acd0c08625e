"""What the tests of the house read: the product's own files, as text and as syntax trees."""

from __future__ import annotations

import ast
import subprocess
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("domain", "match", "rules", "collectors", "store", "detectors", "playbooks", "reports", "jobs", "commands")
"""The product's packages; `cli.py` stands beside them."""


@cache
def files(suffix: str = ".py") -> tuple[Path, ...]:
    """The product's files with this ending, relative to the root."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob(f"*{suffix}") if "__pycache__" not in path.parts]
    return tuple(sorted(path.relative_to(ROOT) for path in [*found, *([ROOT / "cli.py"] if suffix == ".py" else [])]))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the checkout that is, or is about to be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )  # fmt: skip
    paths = (Path(name) for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if (ROOT / path).is_file())


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file given relative to the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def package(path: Path) -> str:
    """`store` for store/local/engine.py, `cli` for cli.py."""
    return path.parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(dotted module, line, only for type checking) of every import; `from store import base` counts as store.base too."""
    typing_only = {
        id(child)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*path.parent.parts[: len(path.parent.parts) - node.level + 1], *([base] if base else [])])
            yield base, node.lineno, id(node) in typing_only
            yield from ((f"{base}.{alias.name}", node.lineno, id(node) in typing_only) for alias in node.names)


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract with the safe filter where this Python has it (3.11.4 on; Debian 12 has 3.11.2)."""
    archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
