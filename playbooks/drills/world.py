"""The fictitious province: units, people, servers, addresses. The same seed gives the same province."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain.text import fold
from playbooks.drills.base import data, uuid


@dataclass(frozen=True)
class Unit:
    """A department, centre, commune or ward."""

    code: str
    name: str
    kind: str
    number: int
    """Second part of its addresses: 10.`number`.0.0/16."""


@dataclass(frozen=True)
class User:
    """An official with a workstation and an account in the directory and in single sign-on."""

    account: str
    name: str
    unit: Unit
    uuid: str
    """Id in Keycloak."""
    sid: str
    """Id in Active Directory."""
    ip: str
    ip6: str
    host: str
    """Name of the workstation."""
    browser: str
    home: str
    """Address from which the person works outside the office."""
    devices: int
    """0 = no second factor yet, 1 = authenticator app."""


@dataclass(frozen=True)
class Server:
    """A server of the data centre."""

    name: str
    ip: str
    ip6: str
    os: str
    role: str
    source: str
    """Source id of its logs."""
    level: int
    """Level of the information system (1-5)."""
    site: str = ""
    data: str = ""
    """Personal data that it holds."""
    audit: bool = False
    """Linux: auditd runs."""
    stamp: str = ""
    """Linux: iso or bsd time stamps in syslog files."""


@dataclass(frozen=True)
class World:
    """Everything that stays the same during a drill."""

    seed: int
    start: float
    """First local midnight, seconds since the epoch."""
    days: int
    units: tuple[Unit, ...]
    users: tuple[User, ...]
    servers: dict[str, Server]
    """By name."""
    admins: tuple[str, ...]
    province: dict[str, Any]
    ordinary: dict[str, Any]
    domain: str
    deface: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    """Site -> (from, to, size of the home page in between): filled by the web attack."""

    @property
    def end(self) -> float:
        """The local midnight after the last day."""
        return self.start + self.days * 86400

    @property
    def last_day(self) -> float:
        """Local midnight at which the last day begins."""
        return self.end - 86400

    def citizen(self, rng: Random) -> str:
        """Somebody's address on the Internet: one in five is IPv6."""
        return outside(rng, six=0.2)

    def reach(self, name: str, source: str) -> str:
        """The server's address of the same family as `source`."""
        server = self.servers[name]
        return server.ip6 if ":" in source else server.ip

    def home_size(self, site: str, at: float) -> int:
        """Bytes of the home page of a site at that time."""
        start, end, size = self.deface.get(site, (0.0, 0.0, 0))
        return size if start <= at < end else int(self.ordinary["sites"][site]["home"])


def outside(rng: Random, six: float = 0.0) -> str:
    """An address of the Internet, from the ranges set aside for tests and documentation."""
    if rng.random() < six:
        return f"2001:db8:{rng.randrange(0x1000, 0xFFFF):x}:{rng.randrange(0x1000):x}:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}"  # noqa: E501
    return f"198.{18 + rng.randrange(2)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def hosting(rng: Random, six: float = 0.1) -> str:
    """An address of rented servers: scanners and attackers."""
    if rng.random() < six:
        return f"2001:db8:{rng.randrange(0x100, 0xA00):x}::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(10, 250)}"


def build(seed: int, start: float, days: int) -> World:
    """The province of a seed."""
    rng = Random(f"{seed}/world")
    province, ordinary = data("province"), data("ordinary")
    units = tuple(Unit(u["code"], u["name"], u["kind"], 30 + n) for n, u in enumerate(province["units"]))
    servers = {s["name"]: Server(**s) for s in province["servers"]}
    return World(
        seed, start, days, units, _people(rng, province, ordinary, units), servers,
        tuple(a["account"] for a in province["admins"]), province, ordinary, province["domain"],
    )  # fmt: skip


def _people(rng: Random, province: dict[str, Any], ordinary: dict[str, Any], units: tuple[Unit, ...]) -> tuple[User, ...]:
    authority = "-".join(str(rng.randrange(10**9, 4 * 10**9)) for _ in range(3))
    taken: dict[str, int] = {}
    weights = [3 if u.kind == "department" else 1.5 for u in units]
    out = []
    for number in range(int(province["people"])):
        unit = rng.choices(units, weights)[0]
        names = [rng.choice(province[part]) for part in ("surnames", "middle", "given")]
        short = fold(names[2]).replace(" ", "") + "".join(fold(n)[0] for n in names[:2])
        taken[f"{short}.{unit.code}"] = count = taken.get(f"{short}.{unit.code}", 0) + 1
        desk = number % 240 + 10
        out.append(User(
            f"{short}{count if count > 1 else ''}.{unit.code}", " ".join(names), unit, uuid(rng), f"S-1-5-21-{authority}-{1104 + number}",
            f"10.{unit.number}.{10 + number // 240}.{desk}", f"2001:db8:{unit.number:x}:10::{desk:x}",
            f"{unit.code.upper()}-PC{number:03d}", rng.choice(ordinary["browsers"][:4]), outside(rng, six=0.3), int(rng.random() < 0.35),
        ))  # fmt: skip
    return tuple(out)
