"""Somebody with a stolen password on a server: a new account, logging stopped, log cleared, hours of silence, other servers reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from domain.alert import Entity
from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.base import Event, variants
from playbooks.drills.lines import fortigate, linux, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.windows import Account, Machine, Origin, Process
from playbooks.drills.ordinary.windows import ADMIN_SID, admin, machine
from playbooks.drills.world import Server, World


@dataclass
class _Scene:
    """The choices of one run."""

    world: World
    rng: Random
    kit: dict[str, Any]
    server: Server
    kind: dict[str, Any]
    """Variants of its operating system."""
    account: str
    """Whose password was stolen."""
    address: str
    """Workstation from which the attacker comes."""
    now: float

    def pause(self) -> float:
        """Time passes between two steps."""
        self.now += self.rng.choice(self.kit["gap"]) * (0.6 + 0.8 * self.rng.random())
        return self.now

    def step(self, name: str, events: Sequence[Event], *more: tuple[str, str]) -> Step:
        """A step on the server: about it under both names, and `more`."""
        host = self.server.name
        own: tuple[Entity, ...] = entities(("host", host), ("host", f"{host}.{self.world.domain}"))
        return Step(name, tuple(events), (*own, *entities(*more)))

    @property
    def machine(self) -> Machine:
        """The Windows server."""
        return machine(self.world, self.server.name)

    def looks(self) -> list[str]:
        """Commands with which one looks round."""
        return self.rng.sample(self.kind["look"], min(3, len(self.kind["look"])))


def attack(world: World, rng: Random, reserved: bool) -> Attack:
    """The scenario with this seed's choices."""
    kit = variants("silence", reserved=reserved)
    server = world.servers[rng.choice(kit["victims"])]
    kind = kit[server.os]
    account = rng.choice(kind["users"]) if server.os == "linux" else rng.choice(world.admins)
    start = world.last_day + rng.choice(kit["start"]) * 3600 + rng.random() * 1200
    scene = _Scene(world, rng, kit, server, kind, account, rng.choice(world.users).ip, start)
    steps = _on_linux(scene) if server.os == "linux" else _on_windows(scene)
    quiet = max(e[0] for s in steps for e in s.events) + 1
    end = min(quiet + rng.choice(kit["hours"]) * 3600, world.end)
    steps.append(Step("silence", (), entities(("source", server.source)), quiet, end))
    steps.append(_onward(scene, quiet, end))
    return Attack("silence", tuple(steps), ((server.source, quiet, end),), _return(scene, end))


def _on_windows(scene: _Scene) -> list[Step]:
    rng, where, who = scene.rng, scene.machine, admin(scene.world, scene.account)
    steps = [_remote_desktop(scene, who)]
    look: list[Event] = []
    for command in scene.looks():
        scene.pause()
        look += _command(scene, command)
    steps.append(scene.step("look-round", look))
    steps.append(_new_member(scene, who))
    scene.pause()
    cleared = [*_command(scene, rng.choice(scene.kind["clear"])), windows.log_cleared(scene.now + 0.4, where, who)]
    steps.append(scene.step("log-cleared", cleared, ("user", scene.account)))
    scene.pause()
    command, service = rng.choice(scene.kind["stop"])
    stopped = [*_command(scene, command), windows.service(scene.now + 0.6, where, service, "stopped")]
    steps.append(scene.step("logging-stopped", stopped, ("source", scene.server.source)))
    return steps


def _remote_desktop(scene: _Scene, who: Account) -> Step:
    rng, origin = scene.rng, Origin(10, scene.address)
    events = []
    for _ in range(rng.choice(scene.kit["failures"])):
        events.append(windows.logon_failure(rng, scene.now, scene.machine, who, origin))
        scene.now += rng.randrange(6, 20)
    events.append(windows.logon(rng, scene.now, scene.machine, who, origin))
    return scene.step("entry", events, ("user", scene.account), ("ip", scene.address))


def _new_member(scene: _Scene, who: Account) -> Step:
    """A local account, made an administrator."""
    rng, where = scene.rng, scene.machine
    scene.pause()
    name, sid = rng.choice(scene.kind["account"]), f"{ADMIN_SID[:-4]}1007"
    password = f"{rng.choice(('Abc', 'Qaz', 'Vn'))}@{rng.randrange(1000, 9999)}!"
    made = {"TargetUserName": name, "TargetDomainName": scene.server.name, "TargetSid": sid, **who.facts("Subject")}
    member = {
        "MemberName": "-",
        "MemberSid": sid,
        "TargetUserName": "Administrators",
        "TargetDomainName": "Builtin",
        "TargetSid": "S-1-5-32-544",
    }
    events = [*_command(scene, f"net user {name} {password} /add"), windows.security(scene.now + 0.3, where, 4720, made)]
    scene.now += 20
    events += _command(scene, f"net localgroup administrators {name} /add")
    events.append(windows.security(scene.now + 0.3, where, 4732, {**member, **who.facts("Subject")}))
    return scene.step("account", events, ("user", name))


def _command(scene: _Scene, command: str) -> list[Event]:
    """A command line on the server, as Sysmon and the Security log show it."""
    cmd, user = windows.system_image("cmd"), f"{scene.world.province['netbios']}\\{scene.account}"
    image = windows.system_image(command.split(" ", maxsplit=1)[0].removesuffix(".exe"))
    process = Process(image, command, cmd, f'"{cmd}"', user, integrity="High", folder=f"C:\\Users\\{scene.account}\\")
    return [
        windows.created(scene.rng, scene.now, scene.machine, process),
        windows.audit_process(scene.rng, scene.now + 0.01, scene.machine, process),
    ]


def _on_linux(scene: _Scene) -> list[Step]:
    rng, kind, server = scene.rng, scene.kind, scene.server
    steps = [_secure_shell(scene)]
    look: list[Event] = []
    for command in scene.looks():
        scene.pause()
        look += _sudo(scene, command)
    steps.append(scene.step("look-round", look))
    steps.append(_new_user(scene))
    scene.pause()
    stopped = _sudo(scene, rng.choice(kind["stop"]))
    ended = [("DAEMON_END", "op=terminate auid=1007 uid=0 ses=3 pid=1 subj=unconfined res=success")]
    stopped += linux.audit(scene.now + 0.4, server, ended, rng.randrange(10**5, 10**7))
    stopped.append(linux.syslog(scene.now + 0.5, server, "systemd[1]", "Stopped auditd.service - Security Auditing Service."))
    steps.append(scene.step("logging-stopped", stopped, ("source", scene.server.source)))
    scene.pause()
    steps.append(scene.step("log-cleared", _sudo(scene, rng.choice(kind["clear"]))))
    scene.pause()
    quiet = _sudo(scene, rng.choice(kind["quiet"]))[:2]
    quiet.append(linux.syslog(scene.now + 0.1, server, "systemd[1]", "Stopping rsyslog.service - System Logging Service..."))
    quiet.append(linux.syslog(scene.now + 0.12, server, "rsyslogd", f"{_rsyslog(655)} exiting on signal 15."))
    steps.append(scene.step("relay-stopped", quiet, ("source", server.source)))
    return steps


def _rsyslog(pid: int) -> str:
    return f'[origin software="rsyslogd" swVersion="8.2302.0" x-pid="{pid}" x-info="https://www.rsyslog.com"]'


def _secure_shell(scene: _Scene) -> Step:
    events: list[Event] = []
    for _ in range(scene.rng.choice(scene.kit["failures"])):
        events += linux.ssh_failure(scene.rng, scene.now, scene.server, scene.account, scene.address, known=True)
        scene.now += scene.rng.randrange(5, 15)
    events += linux.ssh_login(scene.rng, scene.now, scene.server, scene.account, scene.address, "password")
    return scene.step("entry", events, ("user", scene.account), ("ip", scene.address))


def _new_user(scene: _Scene) -> Step:
    """An account that may use sudo."""
    scene.pause()
    name, tag = scene.rng.choice(scene.kind["account"]), f"useradd[{scene.rng.randrange(2000, 60000)}]"
    events = _sudo(scene, f"/usr/sbin/useradd -m -s /bin/bash -G sudo {name}")
    lines = (
        f"new group: name={name}, GID=1107",
        f"new user: name={name}, UID=1107, GID=1107, home=/home/{name}, shell=/bin/bash, from=/dev/pts/1",
        f"add '{name}' to group 'sudo'",
    )
    events += [linux.syslog(scene.now + 0.2, scene.server, tag, line) for line in lines]
    return scene.step("account", events, ("user", name))


def _sudo(scene: _Scene, command: str) -> list[Event]:
    return linux.sudo(scene.now, scene.server, scene.account, command)


def _onward(scene: _Scene, start: float, end: float) -> Step:
    """From the silent server to others: the firewall between the zones sees it."""
    rng, own = scene.rng, scene.server.ip
    port, most = rng.choice(scene.kit["targets"])
    others = [s.ip for s in scene.world.servers.values() if s.ip != own]
    at = start + (end - start) * (0.1 + 0.3 * rng.random())
    events: list[Event] = []
    for other in rng.sample(others, rng.randrange(4, 8)):
        flow = Flow(own, other, port, "dmz" if other.startswith("10.20.10.") else "core", "core", country="Reserved")
        for _ in range(rng.randrange(1, most + 1)):
            at += rng.randrange(3, 40)
            if rng.random() < 0.35:
                size = rng.randrange(2000, 90_000), rng.randrange(2000, 400_000)
                events.append(fortigate.traffic(rng, at, flow, "close", size, (31, "Noi-vung")))
            else:
                events.append(fortigate.traffic(rng, at, flow, "deny"))
    return Step("onward", tuple(events), entities(("ip", own), ("host", scene.server.name)))


def _return(scene: _Scene, end: float) -> tuple[Event, ...]:
    """Somebody starts the collector again."""
    if end >= scene.world.end:
        return ()
    if scene.server.os == "windows":
        return (windows.service(end + 1, scene.machine, "nxlog", "running"),)
    return (linux.syslog(end + 1, scene.server, "rsyslogd", f"{_rsyslog(90412)} start"),)
