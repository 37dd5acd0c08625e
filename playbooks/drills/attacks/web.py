"""A portal is scanned, probed for injection, given a script, made to run commands, and its page is changed."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.attacks.web_scene import Scene
from playbooks.drills.attacks.web_shell import Shell
from playbooks.drills.base import Event, spread, variants
from playbooks.drills.lines import fortigate, nginx, suricata
from playbooks.drills.lines.nginx import Client
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.ordinary.web import BEHIND, FRONT
from playbooks.drills.world import World, hosting


def attack(world: World, rng: Random, reserved: bool) -> Attack:
    """The scenario with this seed's choices."""
    kit = variants("web", reserved=reserved)
    site = rng.choice(kit["victims"])
    server = world.servers[BEHIND[site]]
    kind, address = kit[server.os], hosting(rng, six=0.25)
    second = address if rng.random() < 0.4 else hosting(rng, six=0.25)
    start = world.last_day + rng.choice(kit["start"]) * 3600 + rng.random() * 900
    scene = Scene(world, rng, kit, site, FRONT[site], server, kind, address, second, start)
    script = rng.choice(kind["names"])
    method, target, path = (part.replace("§", script) for part in rng.choice(kind["uploads"]))
    steps = [_scan(scene), _inject(scene)] if rng.random() < 0.8 else [_inject(scene), _scan(scene)]
    steps.append(_upload(scene, (method, target), path))
    shell = Shell(scene, path)
    steps += [shell.first(), shell.look(), shell.tool(), shell.deface()]
    return Attack("web", tuple(steps))


def _scan(scene: Scene) -> Step:
    """A word list against the site: most of it is not there."""
    rng, kit = scene.rng, scene.kit["scan"]
    client, start = Client(scene.address, rng.choice(kit["agents"])), scene.pause()
    times = spread(rng, start, rng.choice(kit["seconds"]), rng.choice(kit["requests"]))
    events = []
    for at in times:
        word = rng.choice(kit["words"])
        status = 200 if word in kit["found"] else rng.choice((404, 404, 404, 404, 404, 403))
        events.append(nginx.access(at, scene.folder, client, ("GET", f"/{word}"), (status, 1245 if status == 404 else 2210)))
        if status == 404 and rng.random() < 0.2:
            message = f'open() "/var/www/html/public/{word}" failed (2: No such file or directory)'
            events.append(nginx.error(at, scene.folder, client, ("GET", f"/{word}"), (scene.host, message)))
    scene.now = times[-1]
    return Step("scan", tuple(events + scene.sessions(scene.address, times, 15000)), entities(("ip", scene.address)))


def _inject(scene: Scene) -> Step:
    """Payloads in the parameters of the site's own pages."""
    rng, kit = scene.rng, scene.kit["inject"]
    client, start = Client(scene.address, rng.choice(kit["agents"])), scene.pause()
    pages = [q.split("?", maxsplit=1)[0] for q in scene.world.ordinary["sites"][scene.site]["queries"]]
    times = spread(rng, start, rng.randrange(120, 900), rng.choice(kit["requests"]))
    events: list[Event] = []
    for at in times:
        payload = rng.choice(kit["payloads"])
        text = payload if "%2" in payload or "%0" in payload else quote(payload, safe="/=;()*'" if rng.random() < 0.5 else "")
        target = f"{rng.choice(pages)}?{rng.choice(kit['parameters'])}={text}"
        status = rng.choice((200, 200, 200, 400, 403, 500))
        events.append(nginx.access(at, scene.folder, client, ("GET", target), (status, rng.randrange(500, 9000))))
        if rng.random() < 0.06:
            events += _noticed(scene, at, target, status)
    scene.now = times[-1]
    return Step("injection", tuple(events + scene.sessions(scene.address, times, 9000)), entities(("ip", scene.address)))


def _noticed(scene: Scene, at: float, target: str, status: int) -> list[Event]:
    """Firewall and sensor know some payloads by signature."""
    rng = scene.rng
    name, signature = rng.choice(scene.kit["inject"]["signatures"])
    pair = Pair(scene.address, scene.world.reach(scene.front, scene.address), 443, rng.randrange(20000, 65000))
    http = {"http": {"hostname": scene.host, "url": target, "http_method": "GET", "status": status}}
    return [
        fortigate.ips(rng, at, scene.flow(scene.address), tuple(name), (scene.host, target, rng.choice(("detected", "dropped")))),
        suricata.alert(rng, at, pair, signature, http),
    ]


def _upload(scene: Scene, request: tuple[str, str], path: str) -> Step:
    """A script gets below the web root: the requests, and the file as the victim's own log shows it."""
    rng, agents = scene.rng, scene.kit["inject"]["agents"]
    client, at = Client(scene.second, rng.choice(agents[1:])), scene.pause()
    events: list[Event] = []
    for _ in range(rng.randrange(3)):
        events.append(nginx.access(at, scene.folder, client, request, (rng.choice((400, 403, 422)), rng.randrange(60, 400))))
        at += rng.randrange(8, 60)
    events.append(nginx.access(at, scene.folder, client, request, (201 if request[0] == "PUT" else 200, rng.randrange(60, 400))))
    events += scene.written(at - 0.05, scene.kind["root"] + path.replace("/", scene.kind["separator"]), new=True)
    scene.now = at
    return Step("upload", tuple(events + scene.sessions(scene.second, [at], 700)), entities(("ip", scene.second)))
