"""Windows events as NXLog sends them (im_msvistalog, to_json): Security, Sysmon, System, PowerShell.

https://docs.nxlog.co/refman/current/im/msvistalog.html
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

import orjson

from playbooks.drills.base import Event, iso

_SECURITY = ("Security", "Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-A5BA-3E3B0328C30D}")
_SYSMON = ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}")
_SYSTEM = ("System", "Service Control Manager", "{555908D1-A6D7-4695-8E1E-26931D2012F4}")
_POWERSHELL = ("Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell", "{A0C1853B-5C40-4B15-8766-3CF1C58F985A}")
_EVENTLOG = ("Security", "Microsoft-Windows-Eventlog", "{FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148}")
_TEXT: Final = {
    1102: "The audit log was cleared.", 104: "The log file was cleared.", 4624: "An account was successfully logged on.",
    4625: "An account failed to log on.", 4634: "An account was logged off.", 4672: "Special privileges assigned to new logon.",
    4688: "A new process has been created.", 4720: "A user account was created.", 4723: "An attempt was made to change an account's password.",
    4724: "An attempt was made to reset an account's password.", 4732: "A member was added to a security-enabled local group.",
    4740: "A user account was locked out.", 4768: "A Kerberos authentication ticket (TGT) was requested.",
    4769: "A Kerberos service ticket was requested.", 4771: "Kerberos pre-authentication failed.", 4719: "System audit policy was changed.",
    1: "Process Create:", 3: "Network connection detected:", 11: "File created:", 22: "Dns query:", 4104: "Creating Scriptblock text (1 of 1):",
}  # fmt: skip
_T0: Final = 1_790_000_000


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


def event(
    at: float, machine: Machine, origin: tuple[str, str, str], code: int, facts: dict[str, Any], text: str = "", record: int = 0
) -> Event:
    """One event; `facts` are the fields of its EventData in order."""
    channel, provider, guid = origin
    failure = code in (4625, 4771)
    security = channel == "Security"
    body = {
        "EventTime": iso(at) + "+07:00", "Hostname": machine.name,
        "Keywords": "9227875636482146304" if failure else "9232379236109516800" if security else "9223372036854775808",
        "EventType": ("AUDIT_FAILURE" if failure else "AUDIT_SUCCESS") if security else "INFO", "SeverityValue": 4 if failure else 2,
        "Severity": "ERROR" if failure else "INFO", "EventID": code, "SourceName": provider, "ProviderGuid": guid, "Version": 0, "OpcodeValue": 0,
        "RecordNumber": record or machine.number + int((at - _T0) * 11), "ExecutionProcessID": 656 if security else 2780, "ExecutionThreadID": 700 + int(at * 13) % 9000,
        "Channel": channel, **facts, "Message": text or _TEXT.get(code, ""), "EventReceivedTime": iso(at + 1.2) + "+07:00", "SourceModuleName": "eventlog",
        "SourceModuleType": "im_msvistalog",
    }  # fmt: skip
    return at, f"{machine.folder}/events.json", orjson.dumps(body)


def logon(rng: Random, at: float, machine: Machine, who: tuple[str, str, str], kind: int, address: str, source_host: str = "-") -> Event:
    """4624; who = (domain, account, sid); kind = logon type (2, 3, 5, 7, 10)."""
    domain, account, sid = who
    return event(at, machine, _SECURITY, 4624, {
        "SubjectUserSid": "S-1-5-18", "SubjectUserName": machine.name.split(".")[0].upper() + "$", "SubjectDomainName": domain, "SubjectLogonId": "0x3e7",
        "TargetUserSid": sid, "TargetUserName": account, "TargetDomainName": domain, "TargetLogonId": f"0x{rng.getrandbits(28):x}", "LogonType": str(kind),
        "LogonProcessName": "User32 " if kind in (2, 10) else "Kerberos", "AuthenticationPackageName": "Negotiate" if kind in (2, 10) else "Kerberos",
        "WorkstationName": source_host, "LogonGuid": "{00000000-0000-0000-0000-000000000000}", "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0",
        "ProcessName": "C:\\Windows\\System32\\svchost.exe" if kind == 10 else "-", "IpAddress": address, "IpPort": str(rng.randrange(49152, 65535)), "ElevatedToken": "%%1843",
    })  # fmt: skip


def logon_failure(
    rng: Random, at: float, machine: Machine, who: tuple[str, str], kind: int, address: str, status: str = "0xc000006a"
) -> Event:
    """4625; who = (domain, account); sub-status 0xc000006a = wrong password, 0xc0000064 = no such account."""
    return event(at, machine, _SECURITY, 4625, {
        "SubjectUserSid": "S-1-0-0", "SubjectUserName": "-", "SubjectDomainName": "-", "SubjectLogonId": "0x0", "TargetUserSid": "S-1-0-0", "TargetUserName": who[1],
        "TargetDomainName": who[0], "Status": "0xc000006d", "FailureReason": "%%2313", "SubStatus": status, "LogonType": str(kind), "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM", "WorkstationName": "-", "TransmittedServices": "-", "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0",
        "ProcessName": "-", "IpAddress": address, "IpPort": str(rng.randrange(49152, 65535)),
    })  # fmt: skip


def security(at: float, machine: Machine, code: int, facts: dict[str, Any]) -> Event:
    """Any other event of the Security log."""
    return event(at, machine, _SECURITY, code, facts)


def created(rng: Random, at: float, machine: Machine, process: Process) -> Event:
    """Sysmon 1: a process started."""
    stem = process.image.rsplit("\\", 1)[-1]
    return event(at, machine, _SYSMON, 1, {
        "AccountName": "SYSTEM", "UserID": "S-1-5-18", "RuleName": "-", "UtcTime": iso(at - 25200, 3).replace("T", " "), "ProcessGuid": _guid(rng), "ProcessId": str(rng.randrange(1000, 20000)),
        "Image": process.image, "FileVersion": "10.0.20348.1 (WinBuild.160101.0800)", "Description": stem, "Product": "Microsoft® Windows® Operating System",
        "Company": process.company, "OriginalFileName": stem, "CommandLine": process.command, "CurrentDirectory": process.folder, "User": process.user,
        "LogonGuid": _guid(rng), "LogonId": f"0x{rng.getrandbits(24):x}", "TerminalSessionId": "0", "IntegrityLevel": process.integrity,
        "Hashes": f"SHA256={rng.getrandbits(256):064X}", "ParentProcessGuid": _guid(rng), "ParentProcessId": str(rng.randrange(600, 20000)),
        "ParentImage": process.parent, "ParentCommandLine": process.parent_command, "ParentUser": process.user,
    })  # fmt: skip


def audit_process(rng: Random, at: float, machine: Machine, process: Process) -> Event:
    """4688: a process started (with command line)."""
    domain, _, account = process.user.partition("\\")
    return event(at, machine, _SECURITY, 4688, {
        "SubjectUserSid": "S-1-5-18", "SubjectUserName": account, "SubjectDomainName": domain, "SubjectLogonId": f"0x{rng.getrandbits(24):x}",
        "NewProcessId": f"0x{rng.randrange(0x400, 0x5000):x}", "NewProcessName": process.image, "TokenElevationType": "%%1936", "ProcessId": f"0x{rng.randrange(0x400, 0x5000):x}",
        "CommandLine": process.command, "TargetUserSid": "S-1-0-0", "TargetUserName": "-", "TargetDomainName": "-", "TargetLogonId": "0x0",
        "ParentProcessName": process.parent, "MandatoryLabel": "S-1-16-8192",
    })  # fmt: skip


def file_created(rng: Random, at: float, machine: Machine, process: Process, target: str) -> Event:
    """Sysmon 11."""
    return event(at, machine, _SYSMON, 11, {
        "AccountName": "SYSTEM", "UserID": "S-1-5-18", "RuleName": "-", "UtcTime": iso(at - 25200, 3).replace("T", " "), "ProcessGuid": _guid(rng), "ProcessId": str(rng.randrange(1000, 20000)),
        "Image": process.image, "TargetFilename": target, "CreationUtcTime": iso(at - 25200, 3).replace("T", " "), "User": process.user,
    })  # fmt: skip


def connection(rng: Random, at: float, machine: Machine, process: Process, ends: tuple[str, str, int]) -> Event:
    """Sysmon 3; ends = (own address, destination, port)."""
    return event(at, machine, _SYSMON, 3, {
        "AccountName": "SYSTEM", "UserID": "S-1-5-18", "RuleName": "-", "UtcTime": iso(at - 25200, 3).replace("T", " "), "ProcessGuid": _guid(rng), "ProcessId": str(rng.randrange(1000, 20000)),
        "Image": process.image, "User": process.user, "Protocol": "tcp", "Initiated": "true", "SourceIsIpv6": str(":" in ends[0]).lower(), "SourceIp": ends[0],
        "SourceHostname": machine.name, "SourcePort": str(rng.randrange(49152, 65535)), "SourcePortName": "-", "DestinationIsIpv6": str(":" in ends[1]).lower(),
        "DestinationIp": ends[1], "DestinationHostname": "-", "DestinationPort": str(ends[2]), "DestinationPortName": "-",
    })  # fmt: skip


def query(rng: Random, at: float, machine: Machine, process: Process, name: str, answer: str) -> Event:
    """Sysmon 22: a process looked up a name."""
    return event(at, machine, _SYSMON, 22, {
        "AccountName": "SYSTEM", "UserID": "S-1-5-18", "RuleName": "-", "UtcTime": iso(at - 25200, 3).replace("T", " "), "ProcessGuid": _guid(rng), "ProcessId": str(rng.randrange(1000, 20000)),
        "QueryName": name, "QueryStatus": "0", "QueryResults": f"::ffff:{answer};", "Image": process.image, "User": process.user,
    })  # fmt: skip


def service(at: float, machine: Machine, name: str, state: str) -> Event:
    """7036: a service entered the running or stopped state."""
    return event(at, machine, _SYSTEM, 7036, {"param1": name, "param2": state}, f"The {name} service entered the {state} state.")


def script(rng: Random, at: float, machine: Machine, account: str, text: str) -> Event:
    """4104: a PowerShell script block."""
    facts = {
        "AccountName": account,
        "MessageNumber": "1",
        "MessageTotal": "1",
        "ScriptBlockText": text,
        "ScriptBlockId": _guid(rng).strip("{}").lower(),
        "Path": "",
    }
    return event(at, machine, _POWERSHELL, 4104, facts, f"Creating Scriptblock text (1 of 1):\r\n{text}")


def log_cleared(at: float, machine: Machine, who: tuple[str, str, str]) -> Event:
    """1102: the Security log was cleared; it begins anew with this record."""
    facts = {"SubjectUserSid": who[2], "SubjectUserName": who[1], "SubjectDomainName": who[0], "SubjectLogonId": "0x5e3a1"}
    return event(at, machine, _EVENTLOG, 1102, facts, record=1)


def system_image(word: str) -> str:
    """Full path of a program that Windows brings along."""
    folder = "C:\\Windows\\System32\\"
    return f"{folder}WindowsPowerShell\\v1.0\\powershell.exe" if word == "powershell" else f"{folder}{word}.exe"


def _guid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032X}"
    return f"{{{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}}}"
