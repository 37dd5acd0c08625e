"""Which rules: shipped, content and imported packs, or those that the caller names; with placeholders from the registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.errors import UsageError
from jobs.rule_packs_disk import Shelf

if TYPE_CHECKING:
    from detectors.sigma.ruleset import RuleSet
    from jobs.runtime import Runtime

SHIPPED: Final = Path(__file__).parents[1] / "rules"


def roots(runtime: Runtime, explicit: Sequence[str] = (), instead: Mapping[str, str] | None = None) -> list[Path]:
    """Rule folders in overlay order: later ones override by rule id. `instead`: pack -> id of the version that would run."""
    if explicit:
        for name in explicit:
            if not Path(name).exists():
                raise UsageError(f"no such rule file or folder: {name}")
        return [Path(name).resolve() for name in explicit]
    return [SHIPPED, *shelf(runtime).roots(instead), *runtime.content("rules"), *runtime.content("filters")]


def shelf(runtime: Runtime) -> Shelf:
    """The imported packs of this machine."""
    return Shelf(runtime.packs or runtime.state_dir / "rules")


def load(runtime: Runtime, explicit: Sequence[str] = (), instead: Mapping[str, str] | None = None) -> RuleSet:
    """The rule set, compiled or from the cache, without filters that have expired or were refused."""
    from detectors.sigma.ruleset import cached
    from jobs import rule_filters

    found = roots(runtime, explicit, instead)
    return rule_filters.told(runtime, cached(found, cache_dir(runtime), placeholders(runtime), runtime.config.windows_feeds))


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
    """(path inside, content) of every rule file of a pack, whatever its form."""
    from jobs.rule_packs_read import read

    return list(read(pack).files.items())
