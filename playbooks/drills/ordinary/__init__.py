"""Ordinary activity. Adding one = a function (world, rng, start) -> events, a line here, its share in ordinary.yml."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from playbooks.drills.base import Event
from playbooks.drills.lines import fortigate, suricata
from playbooks.drills.ordinary import linux, people, web, windows
from playbooks.drills.world import World

Activity: TypeAlias = Callable[[World, Random, float], list[Event]]


def _devices(world: World, rng: Random, at: float) -> list[Event]:
    """The firewall's and the sensor's own statistics."""
    del world
    return [fortigate.performance(rng, at + rng.random()), suricata.stats(at + 8)]


def _firewall_admin(world: World, rng: Random, at: float) -> list[Event]:
    """A few times a day somebody looks after the firewall."""
    if rng.random() > 0.35:
        return []
    admin, jump, start = rng.choice(world.admins), world.province["watch"]["jump"], at + rng.random() * 3600
    events = [fortigate.admin_login(start - 15, admin, jump, ok=False)] if rng.random() < 0.1 else []
    events.append(fortigate.admin_login(start, admin, jump, ok=True))
    if rng.random() < 0.3:
        events.append(fortigate.config(start + 300, admin, jump, "firewall.address", f"DV-{rng.randrange(100, 999)}"))
    return events


ACTIVITIES: Final[dict[str, Activity]] = {
    "visit": web.visit,
    "crawler": web.crawler,
    "knocking": web.knocking,
    "browsing": people.browsing,
    "single_sign_on": people.single_sign_on,
    "api_call": people.api_call,
    "remote_work": people.remote_work,
    "linux_admin": linux.linux_admin,
    "ssh_knocking": linux.ssh_knocking,
    "desktop": windows.desktop,
    "domain_logon": windows.domain_logon,
    "windows_admin": windows.windows_admin,
}
"""Started at random, by the rhythm of the day."""

PERIODIC: Final[tuple[tuple[int, bool, Activity], ...]] = (
    (300, False, _devices), (300, False, web.probe), (900, False, linux.every_quarter), (3600, False, linux.every_hour),
    (900, False, windows.every_quarter), (3600, True, _firewall_admin),
)  # fmt: skip
"""(every n seconds, only in office hours, what)."""
