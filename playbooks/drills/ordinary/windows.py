"""Windows on an ordinary day: sign-ins at the domain controller, programs on workstations, services, administrators."""

from __future__ import annotations

from random import Random

from playbooks.drills.base import Event, spread
from playbooks.drills.lines import windows
from playbooks.drills.lines.windows import Machine, Process
from playbooks.drills.world import User, World

_NOBODY = "NT AUTHORITY\\SYSTEM"


def machine(world: World, name: str) -> Machine:
    """A server or workstation as the writer wants it."""
    server = world.servers.get(name)
    return Machine(f"{name}.{world.domain}", server.source if server else "win-may-tram", 100_000 + sum(name.encode()) * 977)


def hosts(world: World) -> list[str]:
    """Names of the Windows servers."""
    return [s.name for s in world.servers.values() if s.os == "windows"]


def domain_logon(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody signs in at a workstation and opens the file share; wrong passwords and lock-outs happen."""
    user, netbios = rng.choice(world.users), world.province["netbios"]
    dc, share = machine(world, "DC01"), machine(world, rng.choice(("FILE01", "FILE01", "QLVB01")))
    events: list[Event] = []
    wrong = 0
    while rng.random() < 0.09 and wrong < 5:
        events.append(_kerberos(rng, at, dc, user, 4771))
        at, wrong = at + rng.randrange(4, 30), wrong + 1
    if wrong == 5:
        facts = {
            "TargetUserName": user.account,
            "TargetDomainName": user.host,
            "TargetSid": user.sid,
            "SubjectUserName": "DC01$",
            "SubjectDomainName": netbios,
        }
        events.append(windows.security(at, dc, 4740, facts))
        at += 1800
    events.append(_kerberos(rng, at, dc, user, 4768))
    events.append(_kerberos(rng, at + 0.05, dc, user, 4769))
    events.append(windows.logon(rng, at + 0.1, machine(world, user.host), (netbios, user.account, user.sid), 2, "127.0.0.1", user.host))
    events.append(windows.logon(rng, at + 3, share, (netbios, user.account, user.sid), 3, user.ip, user.host))
    if rng.random() < 0.7:
        facts = {
            "TargetUserSid": user.sid,
            "TargetUserName": user.account,
            "TargetDomainName": netbios,
            "TargetLogonId": f"0x{rng.getrandbits(28):x}",
            "LogonType": "3",
        }
        events.append(windows.security(at + rng.randrange(30, 3000), share, 4634, facts))
    if rng.random() < 0.015:
        facts = {
            "TargetUserName": user.account,
            "TargetDomainName": netbios,
            "TargetSid": user.sid,
            "SubjectUserSid": user.sid,
            "SubjectUserName": user.account,
            "SubjectDomainName": netbios,
        }
        events.append(windows.security(at + 60, dc, 4723, facts))
    return events


def _kerberos(rng: Random, at: float, dc: Machine, user: User, code: int) -> Event:
    facts = {
        "TargetUserName": user.account,
        "TargetDomainName": "LAMGIANG.EXAMPLE",
        "TargetSid": user.sid,
        "ServiceName": "FILE01$" if code == 4769 else "krbtgt",
        "TicketOptions": "0x40810010",
    }
    facts["Status"] = "0x18" if code == 4771 else "0x0"
    facts |= {} if code == 4771 else {"TicketEncryptionType": "0x12"}
    return windows.security(
        at, dc, code, {**facts, "PreAuthType": "2", "IpAddress": f"::ffff:{user.ip}", "IpPort": str(rng.randrange(49152, 65535))}
    )


def desktop(world: World, rng: Random, at: float) -> list[Event]:
    """Programs start on a workstation, look names up, connect."""
    user = rng.choice(world.users)
    where = machine(world, user.host)
    events: list[Event] = []
    for when in spread(rng, at, 1200, rng.randrange(1, 7)):
        image, parent, command, company = rng.choice(world.ordinary["desktop"])
        account = _NOBODY if parent.endswith(("services.exe", "SearchIndexer.exe")) else f"{world.province['netbios']}\\{user.account}"
        fill = {"n": rng.randrange(1, 999), "user": user.account}
        process = Process(_fill(image, fill), _fill(command, fill), parent, parent, account, company)
        events.append(windows.created(rng, when, where, process))
        if rng.random() < 0.4:
            events.append(windows.audit_process(rng, when, where, process))
        if company in ("Google LLC", "Mozilla Corporation", "VNG Corp."):
            host, _, port = rng.choice(world.ordinary["internet"])
            address = f"198.19.{220 + len(host) % 30}.{sum(host.encode()) % 250 + 1}"
            events.append(windows.query(rng, when + 1, where, process, host, address))
            events.append(windows.connection(rng, when + 1.2, where, process, (user.ip, address, port)))
    return events


def _fill(text: str, values: dict[str, object]) -> str:
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text


def windows_admin(world: World, rng: Random, at: float) -> list[Event]:
    """An administrator signs in to a server by remote desktop and runs a script; accounts are made and passwords reset."""
    name, admin, netbios = rng.choice(hosts(world)), rng.choice(world.admins), world.province["netbios"]
    where, sid = machine(world, name), "S-1-5-21-1004336348-1177238915-682003330-512"
    events = [windows.logon(rng, at, where, (netbios, admin, sid), 10, world.province["watch"]["jump"], "JUMP01")]
    facts = {
        "SubjectUserSid": sid,
        "SubjectUserName": admin,
        "SubjectDomainName": netbios,
        "SubjectLogonId": f"0x{rng.getrandbits(28):x}",
        "PrivilegeList": "SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege",
    }
    events.append(windows.security(at + 0.1, where, 4672, facts))
    text = rng.choice(world.ordinary["admin_scripts"])
    shell = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
    events.append(
        windows.created(
            rng,
            at + 40,
            where,
            Process(shell, f'"{shell}"', "C:\\Windows\\explorer.exe", "C:\\Windows\\explorer.exe", f"{netbios}\\{admin}", integrity="High"),
        )
    )
    events.append(windows.script(rng, at + 60, where, admin, text))
    if rng.random() < 0.3:
        user = rng.choice(world.users)
        facts = {
            "TargetUserName": user.account,
            "TargetDomainName": netbios,
            "TargetSid": user.sid,
            "SubjectUserSid": sid,
            "SubjectUserName": admin,
            "SubjectDomainName": netbios,
        }
        events.append(windows.security(at + 90, machine(world, "DC01"), 4724, facts))
    return events


def every_ten_minutes(world: World, rng: Random, at: float) -> list[Event]:
    """Services and scheduled tasks of the servers: somebody called SYSTEM is always signing in."""
    events: list[Event] = []
    for name in hosts(world):
        where = machine(world, name)
        events.append(windows.logon(rng, at + rng.random() * 200, where, ("NT AUTHORITY", "SYSTEM", "S-1-5-18"), 5, "-"))
        if rng.random() < 0.35:
            task = Process(
                "C:\\Windows\\System32\\taskhostw.exe",
                "taskhostw.exe",
                "C:\\Windows\\System32\\svchost.exe",
                "C:\\Windows\\system32\\svchost.exe -k netsvcs -p",
                _NOBODY,
                integrity="System",
            )
            events.append(windows.created(rng, at + rng.random() * 500, where, task))
        if rng.random() < 0.15:
            events.append(
                windows.service(at + rng.random() * 500, where, rng.choice(world.ordinary["services"]), rng.choice(("running", "stopped")))
            )
    return events
