"""Windows on an ordinary day: sign-ins at the domain controller, programs on workstations, services, administrators."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from playbooks.drills.base import Event, spread
from playbooks.drills.lines import windows
from playbooks.drills.lines.windows import SYSTEM, Account, Facts, Machine, Origin, Process
from playbooks.drills.world import User, World

ADMIN_SID: Final = "S-1-5-21-1004336348-1177238915-682003330-1602"
_SERVICES: Final = "C:\\Windows\\System32\\services.exe"
_EXPLORER: Final = "C:\\Windows\\explorer.exe"


def machine(world: World, name: str) -> Machine:
    """A server or workstation as the writer wants it."""
    server = world.servers.get(name)
    return Machine(f"{name}.{world.domain}", server.source if server else "win-may-tram", 100_000 + sum(name.encode()) * 977)


def account(world: World, user: User) -> Account:
    """An official's account in the directory."""
    return Account(world.province["netbios"], user.account, user.sid)


def admin(world: World, name: str) -> Account:
    """An administrator's account in the directory."""
    return Account(world.province["netbios"], name, ADMIN_SID)


def hosts(world: World) -> list[str]:
    """Names of the Windows servers."""
    return [s.name for s in world.servers.values() if s.os == "windows"]


def domain_logon(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody signs in at a workstation and opens the file share; wrong passwords and lock-outs happen."""
    user = rng.choice(world.users)
    who, dc, share = account(world, user), machine(world, "DC01"), machine(world, rng.choice(("FILE01", "FILE01", "QLVB01")))
    events: list[Event] = []
    while rng.random() < 0.09 and len(events) < 5:
        events.append(_kerberos(rng, at, dc, user, 4771))
        at += rng.randrange(4, 30)
    if len(events) == 5:
        events.append(windows.security(at, dc, 4740, _target(who) | Account(who.domain, "DC01$", "S-1-5-18").facts("Subject")))
        at += 1800
    events += [_kerberos(rng, at, dc, user, 4768), _kerberos(rng, at + 0.05, dc, user, 4769)]
    events.append(windows.logon(rng, at + 0.1, machine(world, user.host), who, Origin(2, "127.0.0.1", user.host)))
    events.append(windows.logon(rng, at + 3, share, who, Origin(3, user.ip, user.host)))
    if rng.random() < 0.7:
        facts = {**who.facts("Target"), "TargetLogonId": f"0x{rng.getrandbits(28):x}", "LogonType": "3"}
        events.append(windows.security(at + rng.randrange(30, 3000), share, 4634, facts))
    if rng.random() < 0.015:
        events.append(windows.security(at + 60, dc, 4723, _target(who) | who.facts("Subject")))
    return events


def _target(who: Account) -> Facts:
    return {"TargetUserName": who.name, "TargetDomainName": who.domain, "TargetSid": who.sid}


def _kerberos(rng: Random, at: float, dc: Machine, user: User, code: int) -> Event:
    facts = {"TargetUserName": user.account, "TargetDomainName": "LAMGIANG.EXAMPLE", "TargetSid": user.sid}
    facts |= {
        "ServiceName": "FILE01$" if code == 4769 else "krbtgt",
        "TicketOptions": "0x40810010",
        "Status": "0x18" if code == 4771 else "0x0",
    }
    facts |= {} if code == 4771 else {"TicketEncryptionType": "0x12"}
    facts |= {"PreAuthType": "2", "IpAddress": f"::ffff:{user.ip}", "IpPort": str(rng.randrange(49152, 65535))}
    return windows.security(at, dc, code, facts)


def desktop(world: World, rng: Random, at: float) -> list[Event]:
    """Programs start on a workstation, look names up, connect."""
    user = rng.choice(world.users)
    where = machine(world, user.host)
    events: list[Event] = []
    for when in spread(rng, at, 1200, rng.randrange(1, 7)):
        process = _program(world, rng, user)
        events.append(windows.created(rng, when, where, process))
        if rng.random() < 0.4:
            events.append(windows.audit_process(rng, when, where, process))
        if process.company in ("Google LLC", "Mozilla Corporation", "VNG Corp."):
            host, _, port = rng.choice(world.ordinary["internet"])
            address = f"198.19.{220 + len(host) % 30}.{sum(host.encode()) % 250 + 1}"
            events.append(windows.query(rng, when + 1, where, process, host))
            events.append(windows.connection(rng, when + 1.2, where, process, (user.ip, address, port)))
    if rng.random() < 0.03:
        events.append(windows.updated(at + 1300, where, rng.choice(world.ordinary["updates"])))
    return events


def _program(world: World, rng: Random, user: User) -> Process:
    image, parent, command, company = rng.choice(world.ordinary["desktop"])
    values: dict[str, Any] = {"n": rng.randrange(1, 999), "user": user.account}
    for key, value in values.items():
        image, command = image.replace(f"{{{key}}}", str(value)), command.replace(f"{{{key}}}", str(value))
    system = parent in (_SERVICES, "C:\\Windows\\System32\\SearchIndexer.exe")
    who = "NT AUTHORITY\\SYSTEM" if system else f"{world.province['netbios']}\\{user.account}"
    return Process(image, command, parent, parent, who, company)


def windows_admin(world: World, rng: Random, at: float) -> list[Event]:
    """An administrator signs in to a server by remote desktop and runs a script; passwords are reset."""
    where, who = machine(world, rng.choice(hosts(world))), admin(world, rng.choice(world.admins))
    events = [windows.logon(rng, at, where, who, Origin(10, world.province["watch"]["jump"], "JUMP01"))]
    facts = {
        **who.facts("Subject"),
        "SubjectLogonId": f"0x{rng.getrandbits(28):x}",
        "PrivilegeList": "SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege",
    }
    events.append(windows.security(at + 0.1, where, 4672, facts))
    shell = windows.system_image("powershell")
    process = Process(shell, f'"{shell}"', _EXPLORER, _EXPLORER, f"{who.domain}\\{who.name}", integrity="High")
    events.append(windows.created(rng, at + 40, where, process))
    events.append(windows.script(rng, at + 60, where, who.name, rng.choice(world.ordinary["admin_scripts"])))
    if rng.random() < 0.3:
        target = _target(account(world, rng.choice(world.users)))
        events.append(windows.security(at + 90, machine(world, "DC01"), 4724, target | who.facts("Subject")))
    return events


def every_quarter(world: World, rng: Random, at: float) -> list[Event]:
    """Services and scheduled tasks of the servers: somebody called SYSTEM is always signing in."""
    host = windows.system_image("svchost")
    task = Process(
        windows.system_image("taskhostw"), "taskhostw.exe", host, f"{host} -k netsvcs -p", "NT AUTHORITY\\SYSTEM", integrity="System"
    )
    events: list[Event] = []
    for name in hosts(world):
        where = machine(world, name)
        events.append(windows.logon(rng, at + rng.random() * 300, where, SYSTEM, Origin(5, "-")))
        if rng.random() < 0.35:
            events.append(windows.created(rng, at + rng.random() * 800, where, task))
        if rng.random() < 0.15:
            state = rng.choice(("running", "stopped"))
            events.append(windows.service(at + rng.random() * 800, where, rng.choice(world.ordinary["services"]), state))
    return events
