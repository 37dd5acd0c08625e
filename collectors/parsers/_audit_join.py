"""Records of one audit event, joined within a batch: each record stays one event, and three kinds of them carry what their siblings say.

The kernel writes one event as several records with one serial: SYSCALL (who, which program), EXECVE (arguments), CWD, PATH (one per file),
SOCKADDR, PROCTITLE. EXECVE carries the process that started, PATH the program that touched the file, SOCKADDR the program that connected;
SYSCALL, CWD and PROCTITLE stay as they are, so that nothing is counted twice. A record whose siblings came in another batch keeps its own
fields alone. https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Event-Enrichment
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Final

from collectors.parsers._address import ip

SHARED: Final = (
    "process.executable", "process.name", "process.pid", "process.parent.pid", "user.id", "user.name", "user.effective.id",
    "user.effective.name", "user.audit.id", "user.audit.name", "user.group.id", "auditd.log.tty", "auditd.log.ses", "event.outcome",
)  # fmt: skip
"""What SYSCALL says of the process behind its siblings; not call and key of the audit rule, so that a rule on these counts one event."""
_CARRIERS: Final = ("EXECVE", "PATH", "SOCKADDR")
_ROOT: Final = "0"
_WORD: Final = re.compile(r"a(\d+)(?:_(\d+))?")
_MOST: Final = 1024
"""Words of a command line that are kept apart."""

_X86_64, _AARCH64 = "c000003e", "c00000b7"
SYSCALLS: Final[dict[str, dict[str, str]]] = {
    _X86_64: {
        "2": "open", "41": "socket", "42": "connect", "43": "accept", "44": "sendto", "49": "bind", "50": "listen", "56": "clone",
        "59": "execve", "62": "kill", "76": "truncate", "82": "rename", "84": "rmdir", "85": "creat", "86": "link", "87": "unlink",
        "88": "symlink", "90": "chmod", "91": "fchmod", "92": "chown", "93": "fchown", "99": "sysinfo", "101": "ptrace",
        "103": "syslog", "105": "setuid", "106": "setgid", "113": "setreuid", "117": "setresuid", "133": "mknod",
        "135": "personality", "155": "pivot_root", "157": "prctl", "159": "adjtimex", "161": "chroot", "164": "settimeofday",
        "165": "mount", "166": "umount2", "170": "sethostname", "171": "setdomainname", "175": "init_module",
        "176": "delete_module", "188": "setxattr", "227": "clock_settime", "257": "openat", "259": "mknodat", "260": "fchownat",
        "263": "unlinkat", "264": "renameat", "268": "fchmodat", "288": "accept4", "313": "finit_module", "316": "renameat2",
        "319": "memfd_create", "321": "bpf", "322": "execveat",
    },
    _AARCH64: {
        "5": "setxattr", "33": "mknodat", "35": "unlinkat", "38": "renameat", "39": "umount2", "40": "mount", "41": "pivot_root",
        "51": "chroot", "52": "fchmod", "53": "fchmodat", "54": "fchownat", "55": "fchown", "56": "openat", "92": "personality",
        "105": "init_module", "106": "delete_module", "112": "clock_settime", "116": "syslog", "117": "ptrace", "129": "kill",
        "144": "setgid", "145": "setreuid", "146": "setuid", "147": "setresuid", "161": "sethostname", "162": "setdomainname",
        "167": "prctl", "170": "settimeofday", "171": "adjtimex", "179": "sysinfo", "198": "socket", "200": "bind", "201": "listen",
        "202": "accept", "203": "connect", "206": "sendto", "220": "clone", "221": "execve", "242": "accept4",
        "273": "finit_module", "276": "renameat2", "279": "memfd_create", "280": "bpf", "281": "execveat",
    },
}  # fmt: skip
"""Architecture -> number -> name, of the calls that audit rules watch (asm/unistd_64.h, asm-generic/unistd.h)."""

Fields = dict[str, object]


def syscall_name(arch: str, number: str) -> str | None:
    """`execve` for (c000003e, 59); None when it is not known."""
    return SYSCALLS.get(arch, {}).get(number)


def join(events: Sequence[Fields | None], hosts: Sequence[str | None]) -> None:
    """Fill the carriers of every audit event whose records stand in this batch; `hosts`: who sent each record."""
    groups: dict[tuple[object, ...], list[Fields]] = {}
    for event, host in zip(events, hosts, strict=True):
        if event is not None:
            key = (event.get("auditd.log.node") or host, event["@timestamp"], event.get("auditd.log.sequence"))
            groups.setdefault(key, []).append(event)
    for group in groups.values():
        if len(group) > 1:
            _join(group)


def _join(group: Sequence[Fields]) -> None:
    kinds = [str(event.get("auditd.log.record_type")) for event in group]
    by_kind = dict(zip(reversed(kinds), reversed(group), strict=True))
    call = by_kind.get("SYSCALL")
    if call is None:
        return
    where = by_kind.get("CWD", {}).get("process.working_directory")
    for kind, event in zip(kinds, group, strict=True):
        if kind in _CARRIERS:
            event |= _process(call, where) | ({} if kind == "EXECVE" else {"event.outcome": call.get("event.outcome")})
        if kind == "PATH":
            _path(event, where)
        elif kind == "SOCKADDR":
            _connected(event, call)
    _whole([event for kind, event in zip(kinds, group, strict=True) if kind == "EXECVE"])


def _process(call: Mapping[str, object], where: object) -> Fields:
    out = {name: call[name] for name in SHARED if call.get(name) is not None}
    if call.get("user.id") == _ROOT:
        out.setdefault("user.name", "root")
    return out | ({"process.working_directory": where} if where else {})


def _path(event: Fields, where: object) -> None:
    """`name` as an absolute path: relative names start at the working directory."""
    name = event.get("auditd.log.name")
    if isinstance(name, str) and name and (name.startswith("/") or where):
        event["file.path"] = posixpath.normpath(posixpath.join(str(where or "/"), name))
        event |= {"file.name": posixpath.basename(name) or None, "event.category": ["file"]}
        kinds = {"CREATE": ("created-file", "creation"), "DELETE": ("deleted-file", "deletion")}
        if event.get("auditd.log.nametype") in kinds:
            action, kind = kinds[str(event["auditd.log.nametype"])]
            event |= {"event.action": action, "event.type": [kind]}


def _connected(event: Fields, call: Mapping[str, object]) -> None:
    address, port = peer(str(event.get("auditd.log.saddr") or ""))
    if address is None or call.get("auditd.log.SYSCALL") != "connect":
        return
    event |= {
        "destination.ip": address, "destination.address": address, "destination.port": port, "related.ip": address,
        "event.action": "connected-to", "event.category": ["network"], "event.type": ["connection", "start"],
    }  # fmt: skip


def peer(saddr: str) -> tuple[str | None, int | None]:
    """Address and port of a hexadecimal `struct sockaddr`: `0200` + port + IPv4, `0A00` + port + flow + IPv6; (None, None) for others."""
    try:
        raw = bytes.fromhex(saddr)
    except ValueError:
        return None, None
    family = raw[:2]
    if family in (b"\2\0", b"\0\2") and len(raw) >= 8:
        return ip(".".join(map(str, raw[4:8]))), int.from_bytes(raw[2:4], "big")
    if family in (b"\x0a\0", b"\0\x0a") and len(raw) >= 24:
        return ip(":".join(raw[8:24].hex()[i : i + 4] for i in range(0, 32, 4))), int.from_bytes(raw[2:4], "big")
    return None, None


def arguments(pairs: Mapping[str, object]) -> list[str]:
    """The words of a command line from `a0`, `a1`, `a2`, `a2_1` (pieces of one long argument), at most 1,024."""
    places = sorted((int(m[1]), int(m[2] or 0), key) for key in pairs if (m := _WORD.fullmatch(key)))
    words: dict[int, str] = {}
    for number, _, key in places:
        if number < _MOST:
            words[number] = words.get(number, "") + str(pairs[key])
    return list(words.values())


def _whole(records: Sequence[Fields]) -> None:
    """A long command line comes as several EXECVE records: the first carries the whole of it, the others their own pieces only."""
    if len(records) < 2:
        return
    words = arguments({name.removeprefix("auditd.log."): value for event in records for name, value in event.items()})
    records[0].update({"process.args": words, "process.args_count": len(words), "process.command_line": " ".join(words)})
    for event in records[1:]:
        event["event.type"] = ["info"]
