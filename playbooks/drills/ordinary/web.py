"""What the Internet does on an ordinary day: citizens, crawlers, scanners that knock at every door, the monitor's probe."""

from __future__ import annotations

from random import Random
from typing import Any, Final
from urllib.parse import quote

from playbooks.drills.base import Event, spread, weighted
from playbooks.drills.lines import fortigate, linux, nginx, suricata, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.nginx import Client
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.lines.windows import Process
from playbooks.drills.ordinary.windows import machine
from playbooks.drills.world import World, hosting

FRONT: Final = {"dichvucong": "web-dvc01", "www": "proxy01"}
"""Site -> the server that faces the Internet."""
BEHIND: Final = {"dichvucong": "web-dvc01", "www": "WEB-CONG01"}
"""Site -> the server that runs it."""
W3WP: Final = "C:\\Windows\\System32\\inetsrv\\w3wp.exe"
"""Worker process of IIS."""
POOL: Final = "IIS APPPOOL\\CongTTDT"
"""Account of the portal's application pool."""
POOL_COMMAND: Final = 'c:\\windows\\system32\\inetsrv\\w3wp.exe -ap "CongTTDT" -v "v4.0" -l "webengine4.dll"'


def visit(world: World, rng: Random, at: float) -> list[Event]:
    """A citizen reads some pages, looks something up, perhaps sends a form."""
    name = "dichvucong" if rng.random() < 0.68 else "www"
    site = world.ordinary["sites"][name]
    address, agent = world.citizen(rng), rng.choice(world.ordinary["browsers"])
    host = f"https://{name}.{world.domain}"
    events, total = [], 0
    client = Client(address, agent, rng.choice(world.ordinary["referrers"]))
    for when in spread(rng, at, rng.randrange(20, 600), rng.randrange(1, 9)):
        method, target, answer = _request(world, rng, (name, site), when)
        events.append(nginx.access(when, site["folder"], client, (method, target), answer))
        total += answer[1]
        if method == "POST" and answer[0] == 200 and target in site["uploads"]:
            events += _stored(world, rng, when, name)
        client = Client(address, agent, host + target.split("?")[0])
        if answer[0] == 404 and rng.random() < 0.5:
            events.append(nginx.error(when, site["folder"], client, (method, target), (f"{name}.{world.domain}", _missing(target))))
        if rng.random() < 0.3:
            asset = rng.choice(site["assets"])
            status = 304 if rng.random() < 0.4 else 200
            events.append(
                nginx.access(when + rng.random(), site["folder"], client, ("GET", asset), (status, 0 if status == 304 else _size(asset)))
            )
    events.append(_session(rng, events[-1][0] + 2, Flow(address, world.reach(FRONT[name], address), 443), total))
    if rng.random() < 0.25:
        pair = Pair(address, world.reach(FRONT[name], address), 443, rng.randrange(20000, 65000))
        events.append(suricata.tls(rng, at, pair, f"{name}.{world.domain}"))
        events.append(suricata.flow(rng, events[-2][0], pair, "tls", (rng.randrange(800, 9000), total + 4000)))
    return events


def _request(world: World, rng: Random, place: tuple[str, dict[str, Any]], at: float) -> tuple[str, str, tuple[int, int]]:
    name, site = place
    kind = weighted(rng, (("home", 2), ("page", 5), ("query", 2.2), ("form", 0.8), ("file", 0.8), ("wrong", 0.25)))
    if kind == "home":
        return "GET", "/", (200, world.home_size(name, at))
    if kind == "query":
        text = quote(rng.choice(world.ordinary["searches"]))
        return "GET", rng.choice(site["queries"]) + text, (200, rng.randrange(6000, 30000))
    if kind == "form":
        failed = rng.random() < 0.02
        return "POST", rng.choice(site["forms"]), (rng.choice((400, 422, 500)) if failed else 200, rng.randrange(80, 900))
    if kind == "file":
        return "GET", rng.choice(site["files"]).format(n=rng.randrange(1, 900)), (200, rng.randrange(20_000, 900_000))
    if kind == "wrong":
        return "GET", rng.choice(site["pages"]).rstrip("/") + rng.choice(("/index", "/cu", "s", "/2025")), (404, 1245)
    page = rng.choice(site["pages"])
    return "GET", page, (200, world.home_size(name, at) if page == "/" else _size(page) + rng.randrange(-400, 400))


def _stored(world: World, rng: Random, at: float, site: str) -> list[Event]:
    """What somebody sent lies on the server's disk: its own log shows the file."""
    server, name = world.servers[BEHIND[site]], f"{rng.getrandbits(40):x}.{rng.choice(('pdf', 'jpg', 'png', 'docx'))}"
    if server.os == "linux":
        return linux.wrote(rng, at - 0.05, server, f"/var/www/html/public/storage/ho-so/2026/11/{name}", linux.PHP, new=True)
    process = Process(W3WP, POOL_COMMAND, "", "", POOL)
    return [windows.file_created(rng, at - 0.05, machine(world, server.name), process, f"C:\\inetpub\\wwwroot\\Portals\\0\\GopY\\{name}")]


def _size(path: str) -> int:
    return 4000 + (sum(path.encode()) * 7919) % 60000


def _missing(target: str) -> str:
    return f'open() "/var/www/html/public{target.split("?", maxsplit=1)[0]}" failed (2: No such file or directory)'


def _session(rng: Random, at: float, flow: Flow, received: int) -> Event:
    return fortigate.traffic(
        rng, at, flow, "close", (rng.randrange(900, 12000), received + rng.randrange(3000, 9000)), (21, "Internet-vao-DMZ-Web")
    )


def crawler(world: World, rng: Random, at: float) -> list[Event]:
    """A search engine reads a handful of pages."""
    name = rng.choice(("dichvucong", "www"))
    site, agent = world.ordinary["sites"][name], rng.choice(world.ordinary["crawlers"])
    client = Client(f"198.19.{rng.randrange(200, 204)}.{rng.randrange(1, 60)}", agent)
    events = []
    for number, when in enumerate(spread(rng, at, 900, rng.randrange(2, 10))):
        page = "/robots.txt" if number == 0 else rng.choice(site["pages"] + site["files"]).format(n=rng.randrange(1, 900))
        gone = rng.random() < 0.03
        size = world.home_size(name, when) if page == "/" else _size(page)
        events.append(nginx.access(when, site["folder"], client, ("GET", page), (404, 1245) if gone else (200, size)))
    return events


def knocking(world: World, rng: Random, at: float) -> list[Event]:
    """The Internet's background noise: refused connections, a few requests for things that are not here, a signature now and then."""
    noise, address = world.ordinary["knocking"], hosting(rng)
    country = fortigate.country_of(address)
    events: list[Event] = []
    if rng.random() < 0.72:
        port = rng.choice(noise["ports"])
        for when in spread(rng, at, 30, rng.randrange(1, 6)):
            target = "2001:db8:a20:1::1" if ":" in address else f"203.0.113.{rng.randrange(2, 7)}"
            events.append(fortigate.traffic(rng, when, Flow(address, target, port, inside="wan1", country=country), "deny"))
        if rng.random() < 0.15:
            events.append(
                suricata.alert(rng, at, Pair(address, target, port, rng.randrange(20000, 65000)), rng.choice(noise["signatures"]))
            )
        return events
    name = rng.choice(("dichvucong", "www"))
    client, site = Client(address, rng.choice(noise["agents"])), world.ordinary["sites"][name]
    for when in spread(rng, at, 40, rng.randrange(1, 5)):
        path = rng.choice(noise["paths"])
        events.append(nginx.access(when, site["folder"], client, ("GET", path), (rng.choice((404, 404, 404, 403, 301)), 1245)))
    events.append(_session(rng, events[-1][0] + 1, Flow(address, world.reach(FRONT[name], address), 443, country=country), 1200))
    return events


def probe(world: World, rng: Random, at: float) -> list[Event]:
    """The monitor asks both sites whether they are alive."""
    client = Client(world.province["watch"]["mon"], world.ordinary["probe_agent"])
    return [
        nginx.access(at + rng.random(), site["folder"], client, ("GET", "/healthz"), (200, 17)) for site in world.ordinary["sites"].values()
    ]  # fmt: skip
