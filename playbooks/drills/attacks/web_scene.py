"""The choices of one web attack, and how it looks from the firewall and on the victim's disk."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from playbooks.drills.base import Event
from playbooks.drills.lines import fortigate, linux, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.windows import Process
from playbooks.drills.ordinary.web import POOL, POOL_COMMAND, W3WP
from playbooks.drills.ordinary.windows import machine
from playbooks.drills.world import Server, World


@dataclass
class Scene:
    """The choices of one run."""

    world: World
    rng: Random
    kit: dict[str, Any]
    site: str
    front: str
    """Name of the server that faces the Internet."""
    server: Server
    """The machine behind it."""
    kind: dict[str, Any]
    """Variants of its operating system."""
    address: str
    """Of the scanner."""
    second: str
    """From which the script is used."""
    now: float

    @property
    def folder(self) -> str:
        """Where the site's access log lies."""
        return str(self.world.ordinary["sites"][self.site]["folder"])

    @property
    def host(self) -> str:
        """Name of the site."""
        return f"{self.site}.{self.world.domain}"

    def pause(self) -> float:
        """Time passes between two steps."""
        self.now += self.rng.choice(self.kit["gap"]) * (0.7 + 0.6 * self.rng.random())
        return self.now

    def flow(self, address: str) -> Flow:
        """A session of the attacker to the portal."""
        return Flow(address, self.world.reach(self.front, address), 443, country=fortigate.country_of(address))

    def sessions(self, address: str, times: list[float], size: int) -> list[Event]:
        """The firewall's view of these requests: a session every dozen requests."""
        events = []
        for at in times[::12]:
            sizes = self.rng.randrange(2000, 9000), size
            events.append(fortigate.traffic(self.rng, at + 3, self.flow(address), "close", sizes, (21, "Internet-vao-DMZ-Web")))
        return events

    def written(self, at: float, path: str, *, new: bool, program: str = "") -> list[Event]:
        """A file below the web root was written: by the web server itself, or by a program that it started."""
        if self.server.os == "linux":
            return linux.wrote(self.rng, at, self.server, path, program or linux.PHP, new=new)
        process = Process(program or W3WP, program or POOL_COMMAND, "", "", POOL)
        return [windows.file_created(self.rng, at, machine(self.world, self.server.name), process, path)]
