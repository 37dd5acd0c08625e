"""Anomaly models, one a module. The literal dict below is all there is: adding one = one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from detectors.anomaly import bulk, login_burst, silence, volume
from detectors.anomaly.base import Model
from detectors.base import Detector

Build: TypeAlias = Callable[[Mapping[str, float]], Detector]
"""expect_every (source id -> seconds) -> the detector."""

MODELS: Final[dict[str, tuple[Model, Build]]] = {
    "login_burst": (login_burst.MODEL, lambda _: login_burst.LoginBurst()),
    "silence": (silence.MODEL, silence.Silence),
    "volume": (volume.MODEL, lambda _: volume.Volume()),
    "bulk": (bulk.MODEL, lambda _: bulk.Bulk()),
}
"""Model name -> what it is, how it is built."""


def detectors(expect_every: Mapping[str, float]) -> list[Detector]:
    """All models. `expect_every`: source id -> longest silence in seconds that its owner declares normal."""
    return [build(expect_every) for _, build in MODELS.values()]
