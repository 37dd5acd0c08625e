"""The hidden attacks. A scenario = a data file of variants, a function (world, rng, reserved) -> Attack, a line here."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from playbooks.drills.attacks import silence, sso, web
from playbooks.drills.attacks.base import Attack, Step
from playbooks.drills.world import World

Scenario: TypeAlias = Callable[[World, Random, bool], Attack]

SCENARIOS: Final[dict[str, Scenario]] = {"web": web.attack, "sso": sso.attack, "silence": silence.attack}
"""Name -> function; `playbooks/drills/NAME.yml` holds its variants."""

__all__ = ["SCENARIOS", "Attack", "Scenario", "Step"]
