"""Which rules: shipped, content and imported packs, or those that the caller names; with placeholders from the registers."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.errors import UsageError

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

SHIPPED: Final = Path(__file__).parents[1] / "rules"


def roots(runtime: Runtime, explicit: Sequence[str] = ()) -> list[Path]:
    """Rule folders in overlay order: later ones override by rule id."""
    if explicit:
        for name in explicit:
            if not Path(name).exists():
                raise UsageError(f"no such rule file or folder: {name}")
        return [Path(name).resolve() for name in explicit]
    packs = runtime.packs or runtime.state_dir / "rules"
    imported = sorted(p for p in packs.iterdir() if p.is_dir()) if packs.is_dir() else []
    return [SHIPPED, *imported, *runtime.content("rules"), *runtime.content("filters")]


def load(runtime: Runtime, explicit: Sequence[str] = ()) -> RuleSet:
    """The rule set, compiled or from the cache."""
    from detectors.sigma.ruleset import cached

    return cached(roots(runtime, explicit), cache_dir(runtime), placeholders(runtime))


def cache_dir(runtime: Runtime) -> Path:
    """Where compiled rules are kept: beside the store when there is one, else in the user's cache folder."""
    if runtime.state_dir.is_dir():
        return (runtime.packs.parent if runtime.packs else runtime.state_dir) / "cache"
    import os

    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "thapcanh"


def placeholders(runtime: Runtime) -> Mapping[str, Sequence[str]]:
    """Values of `%name%` from the registers; none when there are no registers."""
    if not runtime.content("registers"):
        return {}
    from jobs.registers import load as registers

    return registers(runtime).placeholders()


def unpack(pack: Path) -> list[tuple[str, bytes]]:
    """(path inside, content) of every rule file of a pack: zip, tar (any compression) or folder. UsageError when it is none."""
    if pack.is_dir():
        return [(p.relative_to(pack).as_posix(), p.read_bytes()) for p in sorted(pack.rglob("*.y*ml")) if p.is_file()]
    try:
        if zipfile.is_zipfile(pack):
            with zipfile.ZipFile(pack) as archive:
                names = [i for i in archive.infolist() if _rule_name(i.filename) and not i.is_dir() and i.file_size <= _MAX]
                return [(i.filename, archive.read(i)) for i in names]
        with tarfile.open(pack) as archive:
            out = []
            for member in archive:
                if member.isfile() and _rule_name(member.name) and member.size <= _MAX:
                    inner = archive.extractfile(member)
                    out.append((member.name, inner.read() if inner else b""))
            return out
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UsageError(f"not a readable rule pack: {error}", where=str(pack), hint="zip, tar (gz, xz, bz2) or a folder") from None


_MAX: Final = 1 << 20


def _rule_name(name: str) -> bool:
    parts = Path(name).parts
    return name.endswith((".yml", ".yaml")) and ".." not in parts and not Path(name).is_absolute()
