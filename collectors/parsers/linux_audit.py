"""Linux audit records as auditd and its dispatcher write them, one event per record; siblings are joined within a batch (_audit_join).

https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Event-Parser-Format  Names as Elastic's `auditd.log` has them.
Records of one audit event share `auditd.log.sequence`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _audit_join
from collectors.parsers.common import EPOCH, Event, Mask, ip, table_of

_START: Final = r"^(?:node=\S+ )?type=[A-Z][A-Z0-9_]+ msg=audit\(\d+\.\d+:\d+\):"
_RECORD: Final = re.compile(
    r"(?:node=(?P<node>\S+) )?type=(?P<type>[A-Z][A-Z0-9_]+) msg=audit\((?P<seconds>\d{1,11})\.(?P<fraction>\d{1,6})"
    r":(?P<sequence>\d+)\): ?(?P<body>.*)",
    re.DOTALL,
)
_PAIR: Final = re.compile(r"(?:\b(old|new) )?(?<![\w-])([A-Za-z][\w-]*(?:\[\d+\])?)=(\"[^\"]*\"|'[^']*'|[^\s\x1d]*)")
_ARGUMENTS: Final = re.compile(r"argc=|a\d+\[\d+\]=")
_PIECE: Final = re.compile(r"(a\d+)(?:\[(\d+)\])?")
"""An argument, or a piece of a long one: `a2[0]` is kept as a2, `a2[1]` as a2_1."""
_AVC: Final = re.compile(r"avc: +(\w+) +\{ ([^}]*) \}")
_PHRASE: Final = re.compile(r"\bop=([a-z][a-z /]+?) \w+=")
_NAMES: Final = {
    "pid": "process.pid", "ppid": "process.parent.pid", "exe": "process.executable", "comm": "process.name", "exit": "process.exit_code",
    "cwd": "process.working_directory", "auid": "user.audit.id", "uid": "user.id", "gid": "user.group.id", "euid": "user.effective.id",
    "egid": "user.effective.group.id", "suid": "user.saved.id", "sgid": "user.saved.group.id", "fsuid": "user.filesystem.id",
    "fsgid": "user.filesystem.group.id", "terminal": "user.terminal", "addr": "source.address", "src": "source.address",
    "dst": "destination.address", "UID": "user.name", "AUID": "user.audit.name", "EUID": "user.effective.name",
}  # fmt: skip
_HEX: Final = frozenset(("comm", "exe", "cwd", "cmd", "proctitle", "acct", "data", "name", "path"))
_NOTHING: Final = frozenset(("", "?", "(null)", "(none)"))
_KINDS: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    # record type: (action, category, type)
    "ADD_GROUP": ("added-group-account-to", ("iam",), ("creation", "group")),
    "ADD_USER": ("added-user-account", ("iam",), ("creation", "user")),
    "ANOM_ABEND": ("crashed-program", ("process",), ("end",)),
    "ANOM_LOGIN_FAILURES": ("failed-log-in-too-many-times-to", ("authentication",), ("info",)),
    "ANOM_PROMISCUOUS": ("changed-promiscuous-mode-on-device", ("process",), ("info",)),
    "CONFIG_CHANGE": ("changed-audit-configuration", ("process", "configuration"), ("change",)),
    "CRED_ACQ": ("acquired-credentials", ("authentication",), ("info",)),
    "CRED_DISP": ("disposed-credentials", ("authentication",), ("info",)),
    "CRYPTO_KEY_USER": ("negotiated-crypto-key", ("process",), ("info",)),
    "CRYPTO_SESSION": ("started-crypto-session", ("process",), ("info",)),
    "DAEMON_END": ("shutdown-audit", ("process",), ("end",)),
    "DAEMON_START": ("started-audit", ("process",), ("start",)),
    "DEL_GROUP": ("deleted-group-account-from", ("iam",), ("deletion", "group")),
    "DEL_USER": ("deleted-user-account", ("iam",), ("deletion", "user")),
    "EXECVE": ("execve", ("process",), ("start",)),
    "KERN_MODULE": ("loaded-kernel-module", ("driver",), ("start",)),
    "LOGIN": ("changed-login-id-to", ("authentication",), ("start",)),
    "NETFILTER_CFG": ("loaded-firewall-rule-to", ("configuration",), ("change",)),
    "SERVICE_START": ("started-service", ("process",), ("start",)),
    "SERVICE_STOP": ("stopped-service", ("process",), ("stop",)),
    "SOFTWARE_UPDATE": ("package-updated", ("package",), ("info",)),
    "SYSCALL": ("syscall", ("process",), ("info",)),
    "SYSTEM_BOOT": ("booted-system", ("host",), ("info",)),
    "SYSTEM_SHUTDOWN": ("shutdown-system", ("host",), ("info",)),
    "TTY": ("typed", ("process",), ("info",)),
    "USER_ACCT": ("was-authorized", ("authentication",), ("info",)),
    "USER_AUTH": ("authenticated", ("authentication",), ("info",)),
    "USER_CHAUTHTOK": ("changed-password", ("iam",), ("change", "user")),
    "USER_CMD": ("ran-command", ("process",), ("start",)),
    "USER_END": ("ended-session", ("session",), ("end",)),
    "USER_ERR": ("error", ("authentication",), ("info",)),
    "USER_LOGIN": ("logged-in", ("authentication",), ("start",)),
    "USER_LOGOUT": ("logged-out", ("authentication",), ("end",)),
    "USER_START": ("started-session", ("session",), ("start",)),
}
_ACCOUNTS: Final = frozenset(("ADD_GROUP", "ADD_USER", "DEL_GROUP", "DEL_USER", "USER_CHAUTHTOK", "USER_MGMT"))


class LinuxAudit:
    """auditd's records."""

    name = "linux_audit"

    def match(self, records: pa.Array) -> Mask:
        """`type=… msg=audit(…):`, with or without the node in front."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set auditd.log."""
        events = [_event(record) for record in payload.records.to_pylist()]
        hosts = payload.outer.get("host.hostname", pa.nulls(len(events), pa.string())).to_pylist()
        _audit_join.join(events, hosts)
        return table_of(events, payload.records, "not an audit record")


def _event(record: str) -> Event | None:
    """`type=SYSCALL msg=audit(1795482903.120:77): arch=c000003e syscall=59 success=yes exit=0 … comm="sh" exe="/bin/dash" key="exec"`."""
    found = _RECORD.fullmatch(record)
    if found is None:
        return None
    kind = found["type"]
    pairs = _pairs(found["body"])
    event: Event = {
        "@timestamp": EPOCH + timedelta(seconds=int(found["seconds"]), microseconds=int(found["fraction"].ljust(6, "0"))),
        "event.kind": "event", "event.module": "auditd", "event.dataset": "auditd.log", "message": record,
        "auditd.log.record_type": kind, "auditd.log.sequence": found["sequence"], "auditd.log.node": found["node"],
        "host.name": found["node"], "host.hostname": found["node"],
    }  # fmt: skip
    action, category, types = _KINDS.get(kind, (kind.lower(), (), ()))
    event |= {"event.action": action, "event.category": list(category), "event.type": list(types)}
    _move(event, kind, pairs)
    if kind == "SYSCALL" and "SYSCALL" not in pairs:
        event["auditd.log.SYSCALL"] = _audit_join.syscall_name(pairs.get("arch", ""), pairs.get("syscall", ""))
    return event | _derived(event, kind, found["body"], pairs)


def _pairs(body: str) -> dict[str, str]:
    """The pairs of a record, those inside `msg='…'` too; hexadecimal texts decoded; nothing where auditd writes `?` or `(null)`."""
    out: dict[str, str] = {}
    arguments = _ARGUMENTS.match(body) is not None
    for before, key, raw in _PAIR.findall(body):
        if raw[:1] == "'":
            out |= {inner: value for inner, value in _pairs(raw.strip("'")).items() if inner not in out}
            continue
        value = raw.strip('"')
        if value in _NOTHING and key != "tty":
            continue
        piece = _PIECE.fullmatch(key)
        if piece:
            key = piece[1] if piece[2] in (None, "0") else f"{piece[1]}_{piece[2]}"
        encoded = raw[:1] != '"' and (key in _HEX or (arguments and piece is not None))
        out.setdefault(f"{before}_{key}" if before else key, _decoded(value) if encoded else value)
    return out


def _decoded(value: str) -> str:
    """`2F62696E2F7368` -> `/bin/sh`; NUL between arguments becomes a space."""
    if len(value) % 2 or len(value) < 2 or not re.fullmatch(r"[0-9A-F]+", value):
        return value
    return bytes.fromhex(value).decode("utf-8", "replace").rstrip("\0").replace("\0", " ")


def _move(event: Event, kind: str, pairs: dict[str, str]) -> None:
    for key, value in pairs.items():
        event[_NAMES.get(key, f"auditd.log.{key}")] = value
    outcome = pairs.get("res", pairs.get("success", ""))
    event["event.outcome"] = {"success": "success", "yes": "success", "1": "success", "": None}.get(outcome, "failure")
    event.pop("auditd.log.res", None)
    account, who = pairs.get("acct"), pairs.get("auid")
    event.pop("auditd.log.acct", None)
    if account or kind in _ACCOUNTS:
        event |= {"user.id": who, "auditd.log.uid": pairs.get("uid"), "user.name": account}
        name = "user.target.name" if kind in _ACCOUNTS else "user.effective.name"
        event[name] = account
        if kind in _ACCOUNTS:
            event |= {"user.effective.id": pairs.get("uid"), "user.target.id" if kind.endswith("USER") else "group.id": pairs.get("id")}


def _derived(event: Event, kind: str, body: str, pairs: dict[str, str]) -> Event:
    address = ip(pairs.get("addr", pairs.get("src", "")))
    out: Event = {"source.ip": address, "related.ip": address, "destination.ip": ip(pairs.get("dst", ""))}
    command: list[str] = []
    if kind == "EXECVE":
        command = _audit_join.arguments(pairs)
        out["process.executable"] = command[0] if command else None
    elif "cmd" in pairs:
        command = pairs["cmd"].split()
        event.pop("auditd.log.cmd", None)
    if command:
        out |= {"process.args": command, "process.args_count": len(command), "process.command_line": " ".join(command)}
    if kind == "PROCTITLE":
        out["process.command_line"] = pairs.get("proctitle")
    avc = _AVC.search(body) if kind == "AVC" else None
    if avc:
        out |= {"auditd.log.avc": avc[1], "auditd.log.permissions": avc[2], "event.outcome": "failure" if avc[1] == "denied" else "success"}
    elif kind == "AVC" and "apparmor" in pairs:
        out["event.action"] = "violated-apparmor-policy"
    phrase = _PHRASE.search(body) if kind in _ACCOUNTS else None
    if phrase:
        out["auditd.log.op"] = phrase[1]
    users = [event.get(name) for name in ("user.name", "user.effective.name", "user.target.name", "user.audit.name")]
    return out | {"related.user": list(dict.fromkeys(str(user) for user in users if user and user != "unset"))}


PARSER: Final = LinuxAudit()
