"""Somebody with a stolen password on a server: a new account, logging stopped, log cleared, hours of silence, other servers reached."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from playbooks.drills.attacks.base import Attack, Step, entities
from playbooks.drills.base import Event, variants
from playbooks.drills.lines import fortigate, linux, windows
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.windows import Process
from playbooks.drills.ordinary.windows import machine
from playbooks.drills.world import Server, World

_SID = "S-1-5-21-1004336348-1177238915-682003330-1602"


@dataclass
class _Scene:
    """The choices of one run."""

    world: World
    rng: Random
    kit: dict[str, Any]
    server: Server
    kind: dict[str, Any]
    account: str
    """Whose password was stolen."""
    address: str
    """Workstation from which the attacker comes."""
    now: float

    def pause(self) -> float:
        """Time passes between two steps."""
        self.now += self.rng.choice(self.kit["gap"]) * (0.6 + 0.8 * self.rng.random())
        return self.now

    def about(self) -> Any:
        """The server under both names, and its source."""
        host = self.server.name
        return entities(("host", host), ("host", f"{host}.{self.world.domain}"), ("source", self.server.source))


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
    world, rng, kind = scene.world, scene.rng, scene.kind
    where, netbios = machine(world, scene.server.name), world.province["netbios"]
    failures = [
        windows.logon_failure(rng, scene.now + n * 9, where, (netbios, scene.account), 10, scene.address)
        for n in range(rng.choice(scene.kit["failures"]))
    ]
    scene.now += len(failures) * 9 + 15
    entry = [*failures, windows.logon(rng, scene.now, where, (netbios, scene.account, _SID), 10, scene.address, "-")]
    steps = [Step("entry", tuple(entry), (*scene.about(), *entities(("user", scene.account), ("ip", scene.address))))]
    look: list[Event] = []
    for command in rng.sample(kind["look"], min(3, len(kind["look"]))):
        scene.pause()
        look += _command(scene, command)
    steps.append(Step("look-round", tuple(look), scene.about()))
    scene.pause()
    name = rng.choice(kind["account"])
    facts = {
        "TargetUserName": name,
        "TargetDomainName": scene.server.name,
        "TargetSid": _SID[:-4] + "1007",
        "SubjectUserSid": _SID,
        "SubjectUserName": scene.account,
        "SubjectDomainName": netbios,
    }
    member = {
        "MemberName": "-",
        "MemberSid": _SID[:-4] + "1007",
        "TargetUserName": "Administrators",
        "TargetDomainName": "Builtin",
        "TargetSid": "S-1-5-32-544",
        "SubjectUserSid": _SID,
        "SubjectUserName": scene.account,
        "SubjectDomainName": netbios,
    }  # noqa: E501
    made = [*_command(scene, f"net user {name} {_password(rng)} /add"), windows.security(scene.now + 0.3, where, 4720, facts)]
    made += [*_command(scene, f"net localgroup administrators {name} /add", 20), windows.security(scene.now + 20.3, where, 4732, member)]
    steps.append(Step("account", tuple(made), (*scene.about(), *entities(("user", name)))))
    scene.now += 20
    scene.pause()
    cleared = [*_command(scene, rng.choice(kind["clear"])), windows.log_cleared(scene.now + 0.4, where, (netbios, scene.account, _SID))]
    steps.append(Step("log-cleared", tuple(cleared), (*scene.about(), *entities(("user", scene.account)))))
    scene.pause()
    command, service = rng.choice(kind["stop"])
    stopped = [*_command(scene, command), windows.service(scene.now + 0.6, where, service, "stopped")]
    steps.append(Step("logging-stopped", tuple(stopped), scene.about()))
    return steps


def _password(rng: Random) -> str:
    return f"{rng.choice(('Abc', 'Qaz', 'Vn'))}@{rng.randrange(1000, 9999)}!"


def _command(scene: _Scene, command: str, later: float = 0.0) -> list[Event]:
    """A command line on the server, as Sysmon and the Security log show it."""
    rng, where = scene.rng, machine(scene.world, scene.server.name)
    word = command.split(" ", maxsplit=1)[0].removesuffix(".exe")
    image = windows.system_image(word)
    cmd = "C:\\Windows\\System32\\cmd.exe"
    process = Process(
        image,
        command,
        cmd,
        f'"{cmd}"',
        f"{scene.world.province['netbios']}\\{scene.account}",
        integrity="High",
        folder=f"C:\\Users\\{scene.account}\\",
    )
    return [windows.created(rng, scene.now + later, where, process), windows.audit_process(rng, scene.now + later + 0.01, where, process)]


def _on_linux(scene: _Scene) -> list[Step]:
    rng, kind, server = scene.rng, scene.kind, scene.server
    entry: list[Event] = []
    for _ in range(rng.choice(scene.kit["failures"])):
        entry += linux.ssh_failure(rng, scene.now, server, scene.account, scene.address, known=True)
        scene.now += rng.randrange(5, 15)
    entry += linux.ssh_login(rng, scene.now, server, scene.account, scene.address, "password")
    steps = [Step("entry", tuple(entry), (*scene.about(), *entities(("user", scene.account), ("ip", scene.address))))]
    look: list[Event] = []
    for command in rng.sample(kind["look"], min(3, len(kind["look"]))):
        scene.pause()
        look += _sudo(scene, command)
    steps.append(Step("look-round", tuple(look), scene.about()))
    scene.pause()
    name = rng.choice(kind["account"])
    made = _sudo(scene, f"/usr/sbin/useradd -m -s /bin/bash -G sudo {name}")
    tag = f"useradd[{rng.randrange(2000, 60000)}]"
    made.append(linux.syslog(scene.now + 0.2, server, tag, f"new group: name={name}, GID=1107"))
    made.append(
        linux.syslog(
            scene.now + 0.21, server, tag, f"new user: name={name}, UID=1107, GID=1107, home=/home/{name}, shell=/bin/bash, from=/dev/pts/1"
        )
    )
    made.append(linux.syslog(scene.now + 0.22, server, tag, f"add '{name}' to group 'sudo'"))
    steps.append(Step("account", tuple(made), (*scene.about(), *entities(("user", name)))))
    scene.pause()
    stopped = _sudo(scene, rng.choice(kind["stop"]))
    stopped.append(
        linux.audit(
            scene.now + 0.4, server, rng.randrange(10**5, 10**7), "DAEMON_END", "op=terminate auid=1007 pid=1 subj=unconfined res=success"
        )
    )
    stopped.append(linux.syslog(scene.now + 0.5, server, "systemd[1]", "Stopped auditd.service - Security Auditing Service."))
    steps.append(Step("logging-stopped", tuple(stopped), scene.about()))
    scene.pause()
    steps.append(Step("log-cleared", tuple(_sudo(scene, rng.choice(kind["clear"]))), scene.about()))
    scene.pause()
    quiet = _sudo(scene, rng.choice(kind["quiet"]))[:2]
    quiet.append(linux.syslog(scene.now + 0.1, server, "systemd[1]", "Stopping rsyslog.service - System Logging Service..."))
    quiet.append(
        linux.syslog(
            scene.now + 0.12,
            server,
            "rsyslogd",
            '[origin software="rsyslogd" swVersion="8.2302.0" x-pid="655" x-info="https://www.rsyslog.com"] exiting on signal 15.',
        )
    )
    steps.append(Step("relay-stopped", tuple(quiet), scene.about()))
    return steps


def _sudo(scene: _Scene, command: str) -> list[Event]:
    """A command as root: auth.log, and auditd where it still runs."""
    return linux.sudo(scene.now, scene.server, scene.account, command)


def _onward(scene: _Scene, start: float, end: float) -> Step:
    """From the silent server to others: the firewall between the zones sees it."""
    rng, own = scene.rng, scene.server.ip
    port, each = rng.choice(scene.kit["targets"])
    events: list[Event] = []
    others = [s for s in scene.world.servers.values() if s.ip != own]
    at = start + (end - start) * (0.1 + 0.3 * rng.random())
    for other in rng.sample(others, rng.randrange(4, 8)):
        for _ in range(rng.randrange(1, each + 1)):
            at += rng.randrange(3, 40)
            allowed = rng.random() < 0.35
            flow = Flow(
                own, other.ip, port, inside="dmz" if other.ip.startswith("10.20.10.") else "core", outside="core", country="Reserved"
            )
            size = (rng.randrange(2000, 90_000), rng.randrange(2000, 400_000)) if allowed else (0, 0)
            events.append(fortigate.traffic(rng, at, flow, "close" if allowed else "deny", size, (31, "Noi-vung") if allowed else (0, "")))
    return Step("onward", tuple(events), entities(("ip", own), ("host", scene.server.name)))


def _return(scene: _Scene, end: float) -> tuple[Event, ...]:
    """Somebody starts the collector again."""
    if end >= scene.world.end:
        return ()
    if scene.server.os == "windows":
        return (windows.service(end + 1, machine(scene.world, scene.server.name), "nxlog", "running"),)
    message = '[origin software="rsyslogd" swVersion="8.2302.0" x-pid="90412" x-info="https://www.rsyslog.com"] start'
    return (linux.syslog(end + 1, scene.server, "rsyslogd", message),)
