"""Many accounts are tried with few passwords; one opens; its second factor is replaced; records are read by the hundred."""

from __future__ import annotations

from random import Random
from typing import Any

from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.base import Event, spread, uuid, variants
from playbooks.drills.lines import apigw, fortigate, keycloak
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.ordinary.people import answer_size, failed, login
from playbooks.drills.world import User, World, hosting

_CLIENT = "lgsp-portal"


def attack(world: World, rng: Random, reserved: bool) -> Attack:
    """The scenario with this seed's choices."""
    kit = variants("sso", reserved=reserved)
    now = world.last_day + rng.choice(kit["start"]) * 3600 + rng.random() * 600
    changes = rng.choice(kit["device"])
    removes = any(c.startswith("REMOVE") for c in changes)
    victim = rng.choice([u for u in world.users if bool(u.devices) == removes])
    sources = [hosting(rng, six=0.2) for _ in range(rng.choice(kit["spray"]["addresses"]))]
    steps, now = _spray(world, rng, kit["spray"], (now, victim, sources))
    steps.append(_device(rng, now + 40, victim, sources[0], changes))
    now += rng.choice(kit["gap"])
    address = hosting(rng, six=0.3) if rng.choice(kit["second_address"]) else sources[0]
    session = uuid(rng)
    entry = login(world, rng, now, (victim.account, victim.uuid, address), _CLIENT, session)
    token = {
        "clientId": _CLIENT,
        "userId": victim.uuid,
        "sessionId": session,
        "ipAddress": address,
        "grant_type": "authorization_code",
        "code_id": session,
    }
    events = (entry, keycloak.event(now + 0.4, "CODE_TO_TOKEN", token))
    steps.append(Step("portal", events, entities(("user", victim.account), ("ip", address))))
    return Attack("sso", (*steps, *_read(world, rng, kit["read"], (now + 60, victim, address))))


def _spray(world: World, rng: Random, kit: dict[str, Any], choice: tuple[float, User, list[str]]) -> tuple[list[Step], float]:
    """The tries, and the one that succeeds; returns when it did."""
    now, victim, sources = choice
    client, pace = rng.choice(kit["client"]), rng.choice(kit["seconds"])
    known = [(u.account, u.uuid) for u in rng.sample(world.users, rng.choice(kit["accounts"])) if u is not victim]
    wrong = [(name, "") for name in kit["wrong_names"] if rng.random() < rng.choice(kit["guessed"]) * 2]
    names = known + wrong
    events: list[Event] = []
    for _ in range(rng.choice(kit["rounds"])):
        rng.shuffle(names)
        for account, ident in names:
            now += pace * (0.5 + rng.random())
            events.append(failed(world, rng, now, (account, ident, rng.choice(sources)), client))
        now += pace * 8
    address = sources[0]
    now += pace
    session = uuid(rng)
    taken = (login(world, rng, now, (victim.account, victim.uuid, address), client, session),)
    flows = tuple(
        fortigate.traffic(rng, e[0] + 1, _to(world, "sso01", rng.choice(sources), 443), "close", (2400, 9000), (22, "Internet-vao-SSO"))
        for e in events[::6]
    )  # fmt: skip
    about = [("ip", a) for a in sources]
    return [
        Step("spray", (*events, *flows), entities(*about)),
        Step("takeover", taken, entities(("user", victim.account), ("ip", address))),
    ], now


def _device(rng: Random, at: float, victim: User, address: str, changes: list[str]) -> Step:
    """The account gets another second factor (and password)."""
    events = []
    for number, change in enumerate(changes):
        kind = "password" if "PASSWORD" in change else "otp" if "TOTP" in change else "webauthn"
        facts = {
            "clientId": "account-console",
            "userId": victim.uuid,
            "ipAddress": address,
            "credential_type": kind,
            "username": victim.account,
        }
        events.append(keycloak.event(at + number * rng.randrange(20, 90), change, facts))
    return Step("device", tuple(events), entities(("user", victim.account), ("ip", address)))


def _to(world: World, server: str, address: str, port: int) -> Flow:
    """The attacker's way through the firewall to a server."""
    return Flow(address, world.reach(server, address), port, country=fortigate.country_of(address))


def _read(world: World, rng: Random, kit: dict[str, Any], choice: tuple[float, User, str]) -> list[Step]:
    """First a few numbers in a row to see how they are made, then everything."""
    start, victim, address = choice
    caller = apigw.Caller(address, _CLIENT, victim.account, rng.choice(kit["agents"]))
    path = rng.choice(kit["paths"])
    first, count = rng.randrange(10**5, 9 * 10**5), rng.choice(kit["calls"])
    prefix = f"0{rng.randrange(1, 97):02d}{rng.choice('0123')}{rng.randrange(50, 99):02d}"
    numbers = list(range(first, first + count))
    order = rng.choice(kit["order"])
    if order == "down":
        numbers.reverse()
    elif order == "shuffled":
        rng.shuffle(numbers)
    seconds, absent = rng.choice(kit["minutes"]) * 60, rng.choice(kit["absent"])
    probe = rng.choice(kit["probe"])
    times = spread(rng, start, seconds / 4, probe) + spread(rng, start + seconds / 4 + 30, seconds, count)
    numbers = list(range(first - probe, first)) + numbers
    calls = []
    for at, number in zip(times, numbers, strict=True):
        status = 404 if rng.random() < absent else 200
        calls.append(apigw.call(rng, at, caller, ("GET", path.replace("§", f"{prefix}{number:06d}")), (status, answer_size(rng, status))))
    about = entities(("user", victim.account), ("ip", address), ("client", _CLIENT))
    flow = _to(world, "lgsp01", address, 8243)
    volume = [
        fortigate.traffic(rng, at, flow, "close", (count * 90, count * 620), (23, "Internet-vao-LGSP"))
        for at in times[probe + count // 3 :: max(1, count // 4)]
    ]
    return [
        Step("enumeration", tuple(calls[:probe]), about), Step("bulk-read", tuple(calls[probe:]), about),
        Step("transfer", tuple(volume), entities(("ip", address))),
    ]  # fmt: skip
