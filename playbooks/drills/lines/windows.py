"""Windows events as NXLog sends them (im_msvistalog, to_json): Security, Sysmon, System, PowerShell.

https://docs.nxlog.co/refman/current/im/msvistalog.html
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias

from playbooks.drills.base import Event, as_json, iso

Facts: TypeAlias = dict[str, Any]
"""Fields of an event's EventData, in order."""

_SECURITY: Final = ("Security", "Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-A5BA-3E3B0328C30D}")
_SYSMON: Final = ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}")
_SYSTEM: Final = ("System", "Service Control Manager", "{555908D1-A6D7-4695-8E1E-26931D2012F4}")
_POWERSHELL: Final = ("Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell", "{A0C1853B-5C40-4B15-8766-3CF1C58F985A}")
_UPDATE: Final = ("System", "Microsoft-Windows-WindowsUpdateClient", "{945A8954-C147-4ACD-923F-40C45405A658}")
_EVENTLOG: Final = ("Security", "Microsoft-Windows-Eventlog", "{FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148}")
_TEXT: Final = {
    1102: "The audit log was cleared.", 4624: "An account was successfully logged on.", 4625: "An account failed to log on.",
    4634: "An account was logged off.", 4672: "Special privileges assigned to new logon.", 4688: "A new process has been created.",
    4720: "A user account was created.", 4723: "An attempt was made to change an account's password.",
    4724: "An attempt was made to reset an account's password.", 4732: "A member was added to a security-enabled local group.",
    4740: "A user account was locked out.", 4768: "A Kerberos authentication ticket (TGT) was requested.",
    4769: "A Kerberos service ticket was requested.", 4771: "Kerberos pre-authentication failed.", 1: "Process Create:",
    3: "Network connection detected:", 11: "File created:", 22: "Dns query:",
}  # fmt: skip
_T0: Final = 1_790_000_000
"""Record numbers count from here."""


@dataclass(frozen=True)
class Machine:
    """Where the event is written."""

    name: str
    """Full name."""
    folder: str
    """Source folder."""
    number: int
    """First record number of its logs."""


@dataclass(frozen=True)
class Account:
    """Somebody who signs in."""

    domain: str
    name: str
    sid: str

    def facts(self, role: str) -> Facts:
        """As `Subject...` or `Target...` fields."""
        return {f"{role}UserSid": self.sid, f"{role}UserName": self.name, f"{role}DomainName": self.domain}


SYSTEM: Final = Account("NT AUTHORITY", "SYSTEM", "S-1-5-18")


@dataclass(frozen=True)
class Origin:
    """How and from where somebody signs in."""

    kind: int
    """Logon type: 2 at the machine, 3 network, 5 service, 10 remote desktop."""
    address: str
    host: str = "-"


@dataclass(frozen=True)
class Process:
    """A process as Sysmon event 1 and Security event 4688 show it."""

    image: str
    command: str
    parent: str
    parent_command: str
    user: str
    """DOMAIN\\account."""
    company: str = "Microsoft Corporation"
    integrity: str = "Medium"
    folder: str = "C:\\Windows\\system32\\"


def event(at: float, machine: Machine, channel: tuple[str, str, str], code: int, facts: Facts, text: str = "") -> Event:
    """One event of a channel (name, provider, its GUID)."""
    failure, security = code in (4625, 4771), channel[0] == "Security"
    kind = ("AUDIT_FAILURE" if failure else "AUDIT_SUCCESS") if security else "INFO"
    keywords = "0x8010000000000000" if failure else "0x8020000000000000" if security else "0x8000000000000000"
    body = {
        "EventTime": iso(at) + "+07:00", "Hostname": machine.name, "Keywords": keywords, "EventType": kind,
        "SeverityValue": 4 if failure else 2, "Severity": "ERROR" if failure else "INFO", "EventID": code, "SourceName": channel[1],
        "ProviderGuid": channel[2], "Version": 0,
        "OpcodeValue": 0, "RecordNumber": 1 if code == 1102 else machine.number + int((at - _T0) * 11),
        "ExecutionProcessID": 656 if security else 2780, "ExecutionThreadID": 700 + int(at * 13) % 9000, "Channel": channel[0], **facts,
        "Message": text or _TEXT.get(code, ""), "EventReceivedTime": iso(at + 1.2) + "+07:00", "SourceModuleName": "eventlog",
        "SourceModuleType": "im_msvistalog",
    }  # fmt: skip
    return at, f"{machine.folder}/events.json", as_json(body)


def security(at: float, machine: Machine, code: int, facts: Facts) -> Event:
    """An event of the Security log."""
    return event(at, machine, _SECURITY, code, facts)


def logon(rng: Random, at: float, machine: Machine, who: Account, origin: Origin) -> Event:
    """4624: somebody signed in."""
    typed = origin.kind in (2, 10)
    facts = Account(who.domain, machine.name.split(".", maxsplit=1)[0].upper() + "$", "S-1-5-18").facts("Subject")
    facts |= {
        "SubjectLogonId": "0x3e7",
        **who.facts("Target"),
        "TargetLogonId": f"0x{rng.getrandbits(28):x}",
        "LogonType": str(origin.kind),
    }
    facts |= {"LogonProcessName": "User32 " if typed else "Kerberos", "AuthenticationPackageName": "Negotiate" if typed else "Kerberos"}
    facts |= {"WorkstationName": origin.host, "LogonGuid": "{00000000-0000-0000-0000-000000000000}", "LmPackageName": "-", "KeyLength": "0"}
    facts |= {"ProcessId": "0x0", "ProcessName": "C:\\Windows\\System32\\svchost.exe" if origin.kind == 10 else "-"}
    facts |= {"IpAddress": origin.address, "IpPort": str(rng.randrange(49152, 65535)), "ElevatedToken": "%%1843"}
    return security(at, machine, 4624, facts)


def logon_failure(rng: Random, at: float, machine: Machine, who: Account, origin: Origin) -> Event:
    """4625: a wrong password."""
    facts: Facts = {**Account("-", "-", "S-1-0-0").facts("Subject"), "SubjectLogonId": "0x0"}
    facts |= {**Account(who.domain, who.name, "S-1-0-0").facts("Target"), "Status": "0xc000006d", "FailureReason": "%%2313"}
    facts |= {"SubStatus": "0xc000006a", "LogonType": str(origin.kind), "LogonProcessName": "NtLmSsp ", "AuthenticationPackageName": "NTLM"}
    facts |= {"WorkstationName": origin.host, "TransmittedServices": "-", "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0"}
    facts |= {"ProcessName": "-", "IpAddress": origin.address, "IpPort": str(rng.randrange(49152, 65535))}
    return security(at, machine, 4625, facts)


def _sysmon(rng: Random, at: float, machine: Machine, code: int, process: Process, facts: Facts) -> Event:
    head = {
        "AccountName": "SYSTEM", "UserID": "S-1-5-18", "RuleName": "-", "UtcTime": iso(at - 25200, 3).replace("T", " "),
        "ProcessGuid": _guid(rng), "ProcessId": str(rng.randrange(1000, 20000)), "Image": process.image, "User": process.user,
    }  # fmt: skip
    return event(at, machine, _SYSMON, code, head | facts)


def created(rng: Random, at: float, machine: Machine, process: Process) -> Event:
    """Sysmon 1: a process started."""
    stem = process.image.rsplit("\\", 1)[-1]
    facts = {"FileVersion": "10.0.20348.1 (WinBuild.160101.0800)", "Description": stem, "Product": "Microsoft® Windows® Operating System"}
    facts |= {"Company": process.company, "OriginalFileName": stem, "CommandLine": process.command, "CurrentDirectory": process.folder}
    facts |= {
        "LogonGuid": _guid(rng),
        "LogonId": f"0x{rng.getrandbits(24):x}",
        "TerminalSessionId": "0",
        "IntegrityLevel": process.integrity,
    }
    facts |= {"Hashes": f"SHA256={rng.getrandbits(256):064X}", "ParentProcessGuid": _guid(rng)}
    facts |= {"ParentProcessId": str(rng.randrange(600, 20000)), "ParentImage": process.parent, "ParentCommandLine": process.parent_command}
    return _sysmon(rng, at, machine, 1, process, facts | {"ParentUser": process.user})


def audit_process(rng: Random, at: float, machine: Machine, process: Process) -> Event:
    """4688: a process started (with command line)."""
    domain, _, account = process.user.partition("\\")
    facts: Facts = {**Account(domain, account, "S-1-5-18").facts("Subject"), "SubjectLogonId": f"0x{rng.getrandbits(24):x}"}
    facts |= {"NewProcessId": f"0x{rng.randrange(0x400, 0x5000):x}", "NewProcessName": process.image, "TokenElevationType": "%%1936"}
    facts |= {
        "ProcessId": f"0x{rng.randrange(0x400, 0x5000):x}",
        "CommandLine": process.command,
        **Account("-", "-", "S-1-0-0").facts("Target"),
    }
    facts |= {"TargetLogonId": "0x0", "ParentProcessName": process.parent, "MandatoryLabel": "S-1-16-8192"}
    return security(at, machine, 4688, facts)


def file_created(rng: Random, at: float, machine: Machine, process: Process, target: str) -> Event:
    """Sysmon 11."""
    return _sysmon(rng, at, machine, 11, process, {"TargetFilename": target, "CreationUtcTime": iso(at - 25200, 3).replace("T", " ")})


def connection(rng: Random, at: float, machine: Machine, process: Process, ends: tuple[str, str, int]) -> Event:
    """Sysmon 3; ends = (own address, destination, port)."""
    own, other, port = ends
    facts: Facts = {
        "Protocol": "tcp",
        "Initiated": "true",
        "SourceIsIpv6": str(":" in own).lower(),
        "SourceIp": own,
        "SourceHostname": machine.name,
    }
    facts |= {"SourcePort": str(rng.randrange(49152, 65535)), "SourcePortName": "-", "DestinationIsIpv6": str(":" in other).lower()}
    facts |= {"DestinationIp": other, "DestinationHostname": "-", "DestinationPort": str(port), "DestinationPortName": "-"}
    return _sysmon(rng, at, machine, 3, process, facts)


def query(rng: Random, at: float, machine: Machine, process: Process, name: str) -> Event:
    """Sysmon 22: a process looked up a name."""
    return _sysmon(rng, at, machine, 22, process, {"QueryName": name, "QueryStatus": "0", "QueryResults": "type:  5 ;"})


def service(at: float, machine: Machine, name: str, state: str) -> Event:
    """7036: a service entered the running or stopped state."""
    return event(at, machine, _SYSTEM, 7036, {"param1": name, "param2": state}, f"The {name} service entered the {state} state.")


def updated(at: float, machine: Machine, title: str) -> Event:
    """19: Windows Update installed something."""
    facts = {"updateTitle": title, "updateGuid": "{8f3a1b62-6a8f-4b9e-9a53-1d0f7c1f2ab4}", "updateRevisionNumber": "200"}
    text = f"Installation Successful: Windows successfully installed the following update: {title}"
    return event(at, machine, _UPDATE, 19, facts, text)


def script(rng: Random, at: float, machine: Machine, account: str, text: str) -> Event:
    """4104: a PowerShell script block."""
    facts = {
        "AccountName": account,
        "MessageNumber": "1",
        "MessageTotal": "1",
        "ScriptBlockText": text,
        "ScriptBlockId": _guid(rng)[1:-1].lower(),
    }
    return event(at, machine, _POWERSHELL, 4104, facts | {"Path": ""}, f"Creating Scriptblock text (1 of 1):\r\n{text}")


def log_cleared(at: float, machine: Machine, who: Account) -> Event:
    """1102: the Security log was cleared; it begins anew with this record."""
    return event(at, machine, _EVENTLOG, 1102, {**who.facts("Subject"), "SubjectLogonId": "0x5e3a1"})


def system_image(word: str) -> str:
    """Full path of a program that Windows brings along."""
    folder = "C:\\Windows\\System32\\"
    return f"{folder}WindowsPowerShell\\v1.0\\powershell.exe" if word == "powershell" else f"{folder}{word}.exe"


def _guid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032X}"
    return f"{{{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}}}"
