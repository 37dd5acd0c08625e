"""Many accounts are tried with few passwords; one opens; its second factor is replaced; records are read by the hundred."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.base import Event, spread, uuid, variants
from playbooks.drills.lines import apigw, fortigate
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.ordinary.people import Caller, answer_size, credential, failed, login, token
from playbooks.drills.world import World, hosting

_CLIENT: Final = "lgsp-portal"


@dataclass
class _Scene:
    """The choices of one run."""

    world: World
    rng: Random
    kit: dict[str, Any]
    victim: Caller
    """The account that is taken, as the attacker signs in with it."""
    sources: list[str]
    """Addresses of the spray."""
    now: float

    def flow(self, server: str, address: str, port: int) -> Flow:
        """The attacker's way through the firewall to a server."""
        return Flow(address, self.world.reach(server, address), port, country=fortigate.country_of(address))

    def about(self) -> Any:
        """The account and the address from which it is used."""
        return entities(("user", self.victim.account), ("ip", self.victim.address))


def attack(world: World, rng: Random, reserved: bool) -> Attack:
    """The scenario with this seed's choices; one that would reach into the next day begins so much earlier."""
    kit, state = variants("sso", reserved=reserved), rng.getstate()
    made = _play(world, rng, kit, 0.0)
    late = max(e[0] for s in made.steps for e in s.events) - world.end
    if late > 0:
        rng.setstate(state)
        made = _play(world, rng, kit, late + 600)
    return made


def _play(world: World, rng: Random, kit: dict[str, Any], earlier: float) -> Attack:
    now = world.last_day + rng.choice(kit["start"]) * 3600 + rng.random() * 600 - earlier
    changes = rng.choice(kit["device"])
    enrolled = any(c.startswith("REMOVE") for c in changes)
    user = rng.choice([u for u in world.users if bool(u.devices) == enrolled])
    sources = [hosting(rng, six=0.2) for _ in range(rng.choice(kit["spray"]["addresses"]))]
    victim = Caller(user.account, user.uuid, sources[0], rng.choice(kit["spray"]["client"]))
    scene = _Scene(world, rng, kit, victim, sources, now)
    steps = [_spray(scene), _takeover(scene), _device(scene, changes), _portal(scene)]
    return Attack("sso", (*steps, *_read(scene)))


def _spray(scene: _Scene) -> Step:
    """Every account is tried once per round."""
    rng, kit, client = scene.rng, scene.kit["spray"], scene.victim.client
    pace, guessed = rng.choice(kit["seconds"]), rng.choice(kit["guessed"])
    tried = rng.sample(scene.world.users, rng.choice(kit["accounts"]))
    names = [(u.account, u.uuid) for u in tried if u.account != scene.victim.account]
    names += [(name, "") for name in kit["wrong_names"] if rng.random() < guessed * 2]
    events: list[Event] = []
    for _ in range(rng.choice(kit["rounds"])):
        rng.shuffle(names)
        for account, ident in names:
            scene.now += pace * (0.5 + rng.random())
            events.append(failed(scene.world, rng, scene.now, Caller(account, ident, rng.choice(scene.sources), client)))
        scene.now += pace * 8
    for at, _, _ in events[::6]:
        flow = scene.flow("sso01", rng.choice(scene.sources), 443)
        events.append(fortigate.traffic(rng, at + 1, flow, "close", (2400, 9000), (22, "Internet-vao-SSO")))
    return Step("spray", tuple(events), entities(*(("ip", a) for a in scene.sources)))


def _takeover(scene: _Scene) -> Step:
    """One password fits."""
    scene.now += scene.rng.choice(scene.kit["spray"]["seconds"])
    return Step("takeover", (login(scene.world, scene.now, scene.victim, uuid(scene.rng)),), scene.about())


def _device(scene: _Scene, changes: list[str]) -> Step:
    """The account gets another second factor (and password)."""
    events = []
    for change in changes:
        scene.now += scene.rng.randrange(20, 90)
        events.append(credential(scene.now, change, scene.victim))
    return Step("device", tuple(events), scene.about())


def _portal(scene: _Scene) -> Step:
    """Later, perhaps from elsewhere: the portal of the integration platform."""
    rng = scene.rng
    scene.now += rng.choice(scene.kit["gap"]) * (0.7 + 0.6 * rng.random())
    address = hosting(rng, six=0.3) if rng.random() < rng.choice(scene.kit["second_address"]) else scene.sources[0]
    scene.victim = replace(scene.victim, address=address, client=_CLIENT)
    session = uuid(rng)
    return Step(
        "portal", (login(scene.world, scene.now, scene.victim, session), token(scene.now + 0.4, scene.victim, session)), scene.about()
    )


def _read(scene: _Scene) -> list[Step]:
    """First a few numbers in a row to see how they are made, then everything."""
    rng, kit, victim = scene.rng, scene.kit["read"], scene.victim
    caller = apigw.Caller(victim.address, _CLIENT, victim.account, rng.choice(kit["agents"]))
    probe, count, seconds, absent = (rng.choice(kit[k]) for k in ("probe", "calls", "minutes", "absent"))
    seconds *= 60
    path, numbers = rng.choice(kit["paths"]), _numbers(rng, probe, count, rng.choice(kit["order"]))
    times = spread(rng, scene.now + 60, seconds / 4, probe) + spread(rng, scene.now + 90 + seconds / 4, seconds, count)
    calls = []
    for at, number in zip(times, numbers, strict=True):
        status = 404 if rng.random() < absent else 200
        calls.append(apigw.call(rng, at, caller, ("GET", path.replace("§", number)), (status, answer_size(rng, status))))
    flow, size = scene.flow("lgsp01", victim.address, 8243), (count * 90, count * 620)
    carried = times[probe + count // 3 :: max(1, count // 4)]
    volume = [fortigate.traffic(rng, at, flow, "close", size, (23, "Internet-vao-LGSP")) for at in carried]
    about = (*scene.about(), *entities(("client", _CLIENT)))
    return [
        Step("enumeration", tuple(calls[:probe]), about),
        Step("bulk-read", tuple(calls[probe:]), about),
        Step("transfer", tuple(volume), entities(("ip", victim.address))),
    ]


def _numbers(rng: Random, probe: int, count: int, order: str) -> list[str]:
    """Record numbers: a run of `probe`, then `count` more, up, down or shuffled."""
    first = rng.randrange(10**5, 9 * 10**5)
    prefix = f"0{rng.randrange(1, 97):02d}{rng.choice('0123')}{rng.randrange(50, 99):02d}"
    rest = list(range(first, first + count))
    if order == "down":
        rest.reverse()
    elif order == "shuffled":
        rng.shuffle(rest)
    return [f"{prefix}{n:06d}" for n in [*range(first - probe, first), *rest]]
