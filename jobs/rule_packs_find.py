"""Which pack and which version somebody means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.errors import UsageError
from domain.text import nfc
from jobs import rulesets
from jobs.rule_packs_disk import Shelf, Shelved

if TYPE_CHECKING:
    from jobs.runtime import Runtime

_RELEASE: Final = re.compile(r"[-_.][rv]?\d+(?:[-_.]\d+)*$")
"""End of a file name that says the release: another release is the same pack."""


def pack_name(asked: str, said: str, path: Path) -> str:
    """What a pack is called: as asked for, as its manifest says, else after its file without the release."""
    if asked:
        if not re.fullmatch(r"\w[\w-]{0,63}", asked):
            raise UsageError(f"--name {asked[:80]}: letters, digits, _ and -")
        return asked.lower()
    base = said or (path.resolve().name if path.is_dir() else re.sub(r"(\.tar)?\.\w+$", "", path.name))
    base = nfc(base)
    plain = re.sub(r"[^\w-]+", "-", _RELEASE.sub("", base) or base).strip("-").lower()
    return plain[:64] or "pack"


def find(runtime: Runtime, spec: str, *, staged: bool = False) -> tuple[Shelved, str]:
    """The pack and the id of a version from NAME or NAME@VERSION (id, its beginning, or the maker's label).

    Without VERSION: the staged one when `staged` asks for it and there is one, else the one that runs.
    """
    name, _, wanted = spec.partition("@")
    shelf = rulesets.shelf(runtime)
    pack = shelf.pack(name.lower())
    if pack is None:
        known = ", ".join(p.name for p in shelf.packs()) or "none yet"
        raise UsageError(f"no rule pack {name[:80]}", hint=f"packs: {known}; soc rules import PACK")
    if not wanted:
        return pack, (pack.staged if staged and pack.staged else pack.active)
    found = [v.id for v in pack.versions.values() if v.label == wanted] or [v for v in pack.versions if v.startswith(wanted.lower())]
    if len(found) != 1:
        listed = ", ".join(f"{v.id}{f' ({v.label})' if v.label else ''}" for v in pack.versions.values())
        raise UsageError(f"{'no' if not found else 'more than one'} version {wanted[:80]} of {pack.name}", hint=f"versions: {listed}")
    return pack, found[0]


def only_staged(shelf: Shelf) -> str:
    """Name of the one pack that has a staged version."""
    names = [pack.name for pack in shelf.packs() if pack.staged]
    if len(names) != 1:
        what = f"several packs have a staged version: {', '.join(names)}" if names else "no pack has a staged version"
        raise UsageError(what, hint="soc rules diff NAME, or soc rules diff PACK")
    return names[0]
