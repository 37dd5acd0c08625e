"""The script on the server: each command is a request at the front and processes behind."""

from __future__ import annotations

import re
from typing import Any

from playbooks.drills.attacks.base import Step, entities
from playbooks.drills.attacks.web_scene import Scene
from playbooks.drills.base import Event, quoted, spread
from playbooks.drills.lines import fortigate, linux, nginx, suricata, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.nginx import Client
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.lines.windows import Process
from playbooks.drills.ordinary.web import POOL, POOL_COMMAND, W3WP
from playbooks.drills.ordinary.windows import machine
from playbooks.drills.world import hosting

_BUILT_IN = frozenset({"dir", "type", "ver", "set", "echo", "copy", "move"})
"""Commands of cmd.exe itself: no process of their own."""


class Shell:
    """The attacker at the script, step after step."""

    def __init__(self, scene: Scene, path: str) -> None:
        self.scene, self.path = scene, path
        self.method, self.query = scene.rng.choice(scene.kit["shell"]["calls"])
        self.client = Client(scene.second, scene.rng.choice(scene.kit["shell"]["agents"]))
        self.parent = scene.rng.randrange(900, 1400)

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
            events += self._run(command)
        return Step("shell", tuple(events), self._host())

    def tool(self) -> Step:
        """A tool is fetched from outside and started."""
        scene, rng = self.scene, self.scene.rng
        scene.pause()
        outside, own = hosting(rng, six=0), scene.server.ip
        command = rng.choice(scene.kind["tools"]).replace("§", outside)
        events = [*self._run(command), *self._fetched(command, own, outside)]
        scene.now += rng.randrange(20, 90)
        events += self._run(rng.choice(scene.kind["run"]))
        return Step("tool", tuple(events), (*self._host(), *entities(("ip", own), ("ip", outside))))

    def _fetched(self, command: str, own: str, outside: str) -> list[Event]:
        """What the firewall and the sensor see of the download."""
        scene, rng = self.scene, self.scene.rng
        port = 8080 if ":8080" in command else 443 if "https" in command else 80
        flow = Flow(own, outside, port, "wan1", "dmz", country="Reserved", to=fortigate.country_of(outside))
        size = rng.randrange(400, 900), rng.randrange(30_000, 900_000)
        events = [fortigate.traffic(rng, scene.now + 4, flow, "close", size, (9, "DMZ-ra-Internet"))]
        if port != 443:
            url = "/" + re.split(r"[ '\"]", command.split(outside)[1])[0].split("/", 1)[-1]
            agent = scene.kit["fetchers"][command.split(" ", 1)[0]]
            pair = Pair(own, outside, port, rng.randrange(20000, 65000))
            events.append(suricata.http(rng, scene.now + 1, pair, (outside, "GET", url), agent, (200, size[1])))
        return events

    def deface(self) -> Step:
        """The home page is overwritten; its size changes for everybody; the attacker looks at it."""
        scene, rng = self.scene, self.scene.rng
        scene.pause()
        command, size = rng.choice(scene.kind["deface"]), rng.randrange(2100, 9400)
        program = f"/usr/bin/{command.split(' ', 1)[0]}" if scene.server.os == "linux" else windows.system_image("cmd")
        events = [*self._run(command), *scene.written(scene.now + 0.3, scene.kind["page"], new=False, program=program)]
        scene.world.deface[scene.site] = (scene.now + 0.5, scene.now + rng.randrange(2400, 9000), size)
        for address in (scene.second, scene.address):
            at = scene.now + rng.randrange(4, 60)
            events.append(nginx.access(at, scene.folder, Client(address, self.client.agent), ("GET", "/"), (200, size)))
        return Step("defacement", tuple(events), self._host())

    def _host(self) -> Any:
        name = self.scene.server.name
        return entities(("host", name), ("host", f"{name}.{self.scene.world.domain}"))

    def _run(self, command: str) -> list[Event]:
        """A command now: the request, and the processes a moment later."""
        at = self.scene.now + 0.2
        processes = self._linux(at, command) if self.scene.server.os == "linux" else self._windows(at, command)
        return [self._request(self.scene.now, command), *processes]

    def _request(self, at: float, command: str) -> Event:
        target = self.path + (self.query + quoted(command) if self.method == "GET" else self.query)
        return nginx.access(at, self.scene.folder, self.client, (self.method, target), (200, self.scene.rng.randrange(30, 4200)))

    def _linux(self, at: float, command: str) -> list[Event]:
        server, rng = self.scene.server, self.scene.rng
        events = linux.execve(rng, at, server, ["sh", "-c", command], linux.WEB, self.parent)
        return events + linux.execve(rng, at + 0.01, server, command.split(" "), linux.WEB, rng.randrange(2000, 60000))

    def _windows(self, at: float, command: str) -> list[Event]:
        rng, where = self.scene.rng, machine(self.scene.world, self.scene.server.name)
        cmd, word = windows.system_image("cmd"), command.split(" ", 1)[0]
        shell = Process(
            cmd, f'"cmd.exe" /c {command}', W3WP, POOL_COMMAND, POOL, integrity="High", folder="C:\\Windows\\system32\\inetsrv\\"
        )
        events = [windows.created(rng, at, where, shell), windows.audit_process(rng, at, where, shell)]
        if word.lower() not in _BUILT_IN:
            image = word if "\\" in word else windows.system_image(word)
            events.append(windows.created(rng, at + 0.1, where, Process(image, command, cmd, shell.command, POOL, integrity="High")))
        return events
