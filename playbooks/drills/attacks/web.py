"""A portal is scanned, probed for injection, given a script, made to run commands, and its page is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.base import Event, spread, variants
from playbooks.drills.lines import fortigate, linux, nginx, suricata, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.nginx import Client
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.lines.windows import Process
from playbooks.drills.ordinary.web import FRONT
from playbooks.drills.ordinary.windows import machine
from playbooks.drills.world import World, hosting


@dataclass
class _Scene:
    """The choices of one run."""

    world: World
    rng: Random
    kit: dict[str, Any]
    name: str
    """Site."""
    folder: str
    front: str
    """Name of the server that faces the Internet."""
    server: str
    """Name of the machine behind it."""
    kind: dict[str, Any]
    """Variants of its operating system."""
    address: str
    """Of the scanner."""
    second: str
    """From which the shell is used."""
    now: float

    def pause(self) -> float:
        """Time passes between two steps."""
        self.now += self.rng.choice(self.kit["gap"]) * (0.7 + 0.6 * self.rng.random())
        return self.now

    def flow(self, address: str) -> Flow:
        """A session of the attacker to the portal."""
        return Flow(address, self.world.reach(self.front, address), 443, country=fortigate.country_of(address))

    def sessions(self, address: str, times: list[float], sizes: int) -> list[Event]:
        """The firewall's view of these requests: a session every dozen requests."""
        policy = (21, "Internet-vao-DMZ-Web")
        return [
            fortigate.traffic(self.rng, at + 3, self.flow(address), "close", (self.rng.randrange(2000, 9000), sizes), policy)
            for at in times[::12]
        ]


def attack(world: World, rng: Random, reserved: bool) -> Attack:
    """The scenario with this seed's choices."""
    kit = variants("web", reserved=reserved)
    name = rng.choice(kit["victims"])
    server = "web-dvc01" if name == "dichvucong" else "WEB-CONG01"
    kind = kit["linux" if world.servers[server].os == "linux" else "windows"]
    address = hosting(rng, six=0.25)
    second = address if rng.random() < 0.4 else hosting(rng, six=0.25)
    start = world.last_day + rng.choice(kit["start"]) * 3600 + rng.random() * 900
    scene = _Scene(world, rng, kit, name, world.ordinary["sites"][name]["folder"], FRONT[name], server, kind, address, second, start)
    upload = rng.choice(kind["uploads"])
    script = rng.choice(kind["names"])
    method, target, path = (part.replace("§", script) for part in upload)
    steps = [_scan(scene), _inject(scene)] if rng.random() < 0.8 else [_inject(scene), _scan(scene)]
    steps.append(_upload(scene, method, target))
    run = _Shell(scene, path)
    steps += [run.first(), run.look(), run.tool(), run.deface()]
    return Attack("web", tuple(steps))


def _scan(scene: _Scene) -> Step:
    rng, kit = scene.rng, scene.kit["scan"]
    client = Client(scene.address, rng.choice(kit["agents"]))
    times = spread(rng, scene.now, rng.choice(kit["seconds"]), rng.choice(kit["requests"]))
    events = []
    for at in times:
        word = rng.choice(kit["words"])
        status = 200 if word in kit["found"] else rng.choice((404, 404, 404, 404, 404, 403))
        size = 1245 if status == 404 else 2210
        events.append(nginx.access(at, scene.folder, client, ("GET", f"/{word}"), (status, size)))
        if status == 404 and rng.random() < 0.2:
            message = f'open() "/var/www/html/public/{word}" failed (2: No such file or directory)'
            events.append(nginx.error(at, scene.folder, client, ("GET", f"/{word}"), (f"{scene.name}.{scene.world.domain}", message)))
    scene.now = times[-1]
    return Step("scan", tuple(events + scene.sessions(scene.address, times, 15000)), entities(("ip", scene.address)))


def _inject(scene: _Scene) -> Step:
    rng, kit = scene.rng, scene.kit["inject"]
    client, start = Client(scene.address, rng.choice(kit["agents"])), scene.pause()
    pages = [q.split("?")[0] for q in scene.world.ordinary["sites"][scene.name]["queries"]]
    times = spread(rng, start, rng.randrange(120, 900), rng.choice(kit["requests"]))
    host = f"{scene.name}.{scene.world.domain}"
    events = []
    for at in times:
        payload = rng.choice(kit["payloads"])
        text = payload if "%2" in payload or "%0" in payload else quote(payload, safe="/=;()*'" if rng.random() < 0.5 else "")
        target = f"{rng.choice(pages)}?{rng.choice(kit['parameters'])}={text}"
        status = rng.choice((200, 200, 200, 400, 403, 500))
        events.append(nginx.access(at, scene.folder, client, ("GET", target), (status, rng.randrange(500, 9000))))
        if rng.random() < 0.06:
            name, signature = rng.choice(kit["signatures"])
            events.append(
                fortigate.ips(rng, at, scene.flow(scene.address), tuple(name), (host, target, rng.choice(("detected", "dropped"))))
            )
            pair = Pair(scene.address, scene.world.reach(scene.front, scene.address), 443, rng.randrange(20000, 65000))
            events.append(
                suricata.alert(
                    rng, at, pair, signature, {"http": {"hostname": host, "url": target, "http_method": "GET", "status": status}}
                )
            )
    scene.now = times[-1]
    return Step("injection", tuple(events + scene.sessions(scene.address, times, 9000)), entities(("ip", scene.address)))


def _upload(scene: _Scene, method: str, target: str) -> Step:
    rng, start = scene.rng, scene.pause()
    client = Client(scene.second, rng.choice(scene.kit["inject"]["agents"][1:] or scene.kit["inject"]["agents"]))
    events = []
    tries = rng.randrange(1, 4)
    for number in range(tries):
        done = number == tries - 1
        status = (201 if method == "PUT" else 200) if done else rng.choice((400, 403, 422))
        events.append(
            nginx.access(start + number * rng.randrange(8, 60), scene.folder, client, (method, target), (status, rng.randrange(60, 400)))
        )
    scene.now = events[-1][0]
    return Step("upload", tuple(events + scene.sessions(scene.second, [scene.now], 700)), entities(("ip", scene.second)))


class _Shell:
    """The script on the server: each command is a request at the front and a process behind."""

    def __init__(self, scene: _Scene, path: str) -> None:
        self.scene, self.path = scene, path
        rng = scene.rng
        self.method, self.query = rng.choice(scene.kit["shell"]["calls"])
        self.client = Client(scene.second, rng.choice(scene.kit["shell"]["agents"]))
        self.parent = rng.randrange(900, 1400)
        self.spawn: Callable[[float, str], list[Event]] = self._linux if scene.world.servers[scene.server].os == "linux" else self._windows

    def first(self) -> Step:
        """The new script answers for the first time, then takes commands."""
        scene, rng = self.scene, self.scene.rng
        at = scene.pause()
        events = [nginx.access(at, scene.folder, self.client, ("GET", self.path), (200, rng.randrange(0, 90)))]
        times = spread(rng, at + 5, rng.randrange(300, 1500), rng.choice(scene.kit["shell"]["requests"]))
        events += [self._request(when, rng.choice(scene.kind["first"])) for when in times]
        scene.now = at + 20
        return Step("script", tuple(events + scene.sessions(scene.second, times, 1800)), entities(("ip", scene.second), ("url", self.path)))

    def look(self) -> Step:
        """The web server's process starts a shell: who am I, what is here."""
        scene, rng = self.scene, self.scene.rng
        commands = [rng.choice(scene.kind["first"]), *rng.sample(scene.kind["look"], min(len(scene.kind["look"]), rng.randrange(3, 6)))]
        events: list[Event] = []
        for command in commands:
            scene.now += rng.randrange(8, 70)
            events += [self._request(scene.now, command), *self.spawn(scene.now + 0.2, command)]
        return Step("shell", tuple(events), self._host())

    def tool(self) -> Step:
        """A tool is fetched from outside and started."""
        scene, rng = self.scene, self.scene.rng
        scene.pause()
        outside, own = hosting(rng, six=0), scene.world.servers[scene.server].ip
        command = rng.choice(scene.kind["tools"]).replace("§", outside)
        events = [self._request(scene.now, command), *self.spawn(scene.now + 0.2, command), *self._fetched(command, own, outside)]
        scene.now += rng.randrange(20, 90)
        command = rng.choice(scene.kind["run"])
        events += [self._request(scene.now, command), *self.spawn(scene.now + 0.2, command)]
        return Step("tool", tuple(events), entities(("host", scene.server), ("ip", own), ("ip", outside)))

    def _fetched(self, command: str, own: str, outside: str) -> list[Event]:
        """What the firewall and the sensor see of the download."""
        scene, rng = self.scene, self.scene.rng
        port = 8080 if ":8080" in command else 443 if "https" in command else 80
        flow = Flow(own, outside, port, "wan1", "dmz", country="Reserved", to=fortigate.country_of(outside))
        size = rng.randrange(400, 900), rng.randrange(30_000, 900_000)
        events = [fortigate.traffic(rng, scene.now + 4, flow, "close", size, (9, "DMZ-ra-Internet"))]
        if port != 443:
            url, tool = "/" + re.split(r"[ '\"]", command.split(outside)[1])[0].split("/", 1)[-1], command.split(" ", 1)[0]
            pair = Pair(own, outside, port, rng.randrange(20000, 65000))
            agent = scene.kit["fetchers"].get(tool, tool)
            events.append(suricata.http(rng, scene.now + 1, pair, (outside, "GET", url), agent, (200, size[1])))
        return events

    def deface(self) -> Step:
        """The home page is overwritten; its size changes for everybody; the attacker looks at it."""
        scene, rng = self.scene, self.scene.rng
        scene.pause()
        command, page = rng.choice(scene.kind["deface"]), scene.kind["page"]
        size = rng.randrange(2100, 9400)
        events = [self._request(scene.now, command), *self.spawn(scene.now + 0.2, command), *self._written(scene.now + 0.3, command, page)]
        scene.world.deface[scene.name] = (scene.now + 0.5, scene.now + rng.randrange(2400, 9000), size)
        for address in (scene.second, scene.address):
            at = scene.now + rng.randrange(4, 60)
            events.append(nginx.access(at, scene.folder, Client(address, self.client.agent), ("GET", "/"), (200, size)))
        return Step("defacement", tuple(events), self._host())

    def _host(self) -> Any:
        return entities(("host", self.scene.server), ("host", f"{self.scene.server}.{self.scene.world.domain}"))

    def _request(self, at: float, command: str) -> Event:
        target = self.path + (self.query + quote(command) if self.method == "GET" else self.query)
        return nginx.access(at, self.scene.folder, self.client, (self.method, target), (200, self.scene.rng.randrange(30, 4200)))

    def _linux(self, at: float, command: str) -> list[Event]:
        server, rng = self.scene.world.servers[self.scene.server], self.scene.rng
        events = linux.execve(rng, at, server, ["sh", "-c", command], ("www-data", 33), self.parent)
        return events + linux.execve(rng, at + 0.01, server, command.split(" "), ("www-data", 33), rng.randrange(2000, 60000))

    def _windows(self, at: float, command: str) -> list[Event]:
        rng, where = self.scene.rng, machine(self.scene.world, self.scene.server)
        user, pool = "IIS APPPOOL\\CongTTDT", 'c:\\windows\\system32\\inetsrv\\w3wp.exe -ap "CongTTDT" -v "v4.0" -l "webengine4.dll"'
        cmd = "C:\\Windows\\System32\\cmd.exe"
        shell = Process(
            cmd,
            f'"cmd.exe" /c {command}',
            "C:\\Windows\\System32\\inetsrv\\w3wp.exe",
            pool,
            user,
            integrity="High",
            folder="C:\\Windows\\system32\\inetsrv\\",
        )
        events = [windows.created(rng, at, where, shell), windows.audit_process(rng, at, where, shell)]
        word = command.split(" ", maxsplit=1)[0]
        if word.lower() not in ("dir", "type", "ver", "set", "echo", "copy", "move"):
            image = word if "\\" in word else windows.system_image(word)
            events.append(windows.created(rng, at + 0.1, where, Process(image, command, cmd, shell.command, user, integrity="High")))
        return events

    def _written(self, at: float, command: str, page: str) -> list[Event]:
        rng, scene = self.scene.rng, self.scene
        server = scene.world.servers[scene.server]
        if server.os == "linux":
            return linux.wrote(rng, at, server, page, ("www-data", 33), f"/usr/bin/{command.split(' ', maxsplit=1)[0]}")
        process = Process("C:\\Windows\\System32\\cmd.exe", command, "", "", "IIS APPPOOL\\CongTTDT")
        return [windows.file_created(rng, at, machine(scene.world, scene.server), process, page)]
