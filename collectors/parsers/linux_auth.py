"""Linux authentication messages: sshd, sudo, su, PAM, user and group administration, systemd-logind.

https://man.openbsd.org/sshd  https://www.sudo.ws/docs/man/sudo.man/  https://man7.org/linux/man-pages/man8/pam_unix.8.html
Field names as Elastic's `system.auth` data set has them. User names are attacker-controlled text: where a message holds a name and an
address, the address is the last one that the format allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers.common import Event, Mask, categorise, integer, ip, table_of

_START: Final = (
    r"^(?:Accepted|Failed|Postponed) [\w/-]+ for |^Invalid user .*from |^pam_\w+\([\w:.-]+\): |^ *[\w.@\\-]+ : (?:[^=;]+ ; )?TTY="
    r"|^new (?:user|group): name=|^(?:Disconnected from|Connection (?:closed|reset) by) (?:invalid user|authenticating user|user) "
    r"|^Received disconnect from |^New session \S+ of user |^session (?:opened|closed) for user "
)
_LOGIN: Final = re.compile(
    r"(?P<event>Accepted|Failed|Postponed) (?P<method>\S+) for (?:invalid user |illegal user )?(?P<user>.*) from (?P<ip>\S+)"
    r" port (?P<port>\d+)(?: ssh\d?)?(?:: (?P<signature>.*))?",
    re.DOTALL,
)
_INVALID: Final = re.compile(r"(?P<event>Invalid|Illegal) user (?P<user>.*) ?from (?P<ip>\S+)(?: port (?P<port>\d+))?", re.DOTALL)
_GONE: Final = re.compile(
    r"(?:Disconnected from|Connection (?:closed|reset) by|Disconnecting) (?:(?:invalid |authenticating |illegal )?user (?P<user>.*) )?"
    r"(?P<ip>[0-9A-Fa-f:.%]+) port (?P<port>\d+)",
    re.DOTALL,
)
_RECEIVED: Final = re.compile(r"Received disconnect from (?P<ip>[0-9A-Fa-f:.%]+?)(?: port (?P<port>\d+))?: ?\d+:")
_REFUSED: Final = re.compile(
    r"(?:User (?P<user>.*) from (?P<ip>\S+) not allowed because "
    r"|(?:error: )?maximum authentication attempts exceeded for (?:invalid user )?(?P<user2>.*) from (?P<ip2>\S+) port (?P<port>\d+))",
    re.DOTALL,
)
_SUDO: Final = re.compile(
    r" *(?P<user>\S+) : (?:(?P<error>[^=;]{1,200}) ; )?(?:TTY=(?P<tty>[^;]*) ; )?(?:CHROOT=[^;]* ; )?"
    r"PWD=(?P<pwd>.*?) ; USER=(?P<as>[^;]*) ;(?: GROUP=[^;]* ;)?(?: TSID=[^;]* ;)?(?: ENV=.*? ;)? COMMAND=(?P<command>.*)",
    re.DOTALL,
)
_MODULE: Final = re.compile(r"(?P<module>pam_\w+)\((?P<service>[^:)]*):?(?P<step>[^)]*)\): ")
_SESSION: Final = re.compile(
    r"session (?P<what>opened|closed) for user (?P<user>[^\s(]+)(?:\(uid=\d+\))?(?: by (?P<by>[^\s(]*)\(uid=(?P<uid>\d+)\))?"
)
_PAIR: Final = re.compile(r"(logname|uid|euid|tty|ruser|rhost|user)=(\S*)")
_PAM_USER: Final = re.compile(
    r"""not met by user "(.+)"$|password (?:changed )?for (?:user )?\[?([^\s\]]+)\]?|expired for user (\S+)|^user \[?([^\s\]]+)\]?"""
)
_SU: Final = re.compile(
    r"(?:(?P<bad>FAILED SU) )?\(to (?P<to>\S+)\) (?P<by>\S+) on \S+"
    r"|(?P<word>Successful|FAILED) su for (?P<to2>\S+) by (?P<by2>\S+)"
    r"|(?P<sign>[+-]) \S+ (?P<by3>[^\s:]+)[:-](?P<to3>\S+)"
)
_ADDRESS: Final = re.compile(
    r"(?<![\w.:])((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]+(?:\.\d+)*)(?:%\w+)?(?!\w)(?: port (\d+))?"
)
_NEW_USER: Final = re.compile(r"new user: name=([^,]*), UID=(\d+), GID=(\d+), home=([^,]*), shell=([^,\s]*)")
_NEW_GROUP: Final = re.compile(r"new group: name=([^,]*), GID=(\d+)")
_ADMIN: Final = (
    (re.compile(r"delete user '([^']*)'"), "deletion", "user", "deleted-user-account"),
    (re.compile(r"removed group '([^']*)'"), "deletion", "group", "deleted-group-account"),
    (re.compile(r"group '([^']*)' removed"), "deletion", "group", "deleted-group-account"),
    (re.compile(r"change user '([^']*)' "), "change", "user", "modified-user-account"),
    (re.compile(r"(?:lock|unlock|changed? (?:password|user)) (?:user )?'([^']*)'"), "change", "user", "modified-user-account"),
)
_MEMBER: Final = re.compile(
    r"add '(?P<user>[^']*)' to (?:shadow )?group '(?P<group>[^']*)'|user (?P<user2>\S+) added by \S+ to group (?P<group2>\S+)"
)
_LOGIND: Final = re.compile(r"(?P<what>New|Removed) session (?P<id>[^\s.]+)(?: of user (?P<user>.+?))?\.?$")


class LinuxAuth:
    """Messages of the authentication programs, unwrapped from their syslog header."""

    name = "linux_auth"

    def match(self, records: pa.Array) -> Mask:
        """Messages that only these programs write; `collectors.PROGRAMS` claims the others by program name."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set system.auth; a message without known content keeps its text."""
        none = pa.nulls(len(payload.records), pa.string())
        programs = payload.outer.get("process.name", none).to_pylist()
        hosts = payload.outer.get("host.hostname", none).to_pylist()
        events = [_event(m, p or "", h) for m, p, h in zip(payload.records.to_pylist(), programs, hosts, strict=True)]
        return table_of(events, payload.records, "not a syslog message")


def _event(message: str, program: str, host: str | None) -> Event:
    event: Event = {"event.kind": "event", "event.module": "system", "event.dataset": "system.auth", "message": message}
    if host:
        event["related.hosts"] = host
    told = next((found for found in (read(message, program) for read in _READERS) if found is not None), {})
    event |= told
    users = [event.get(name) for name in ("user.name", "user.effective.name", "user.target.name")]
    names = list(dict.fromkeys(user for user in users if user))
    if names:
        event["related.user"] = sorted(str(name) for name in names)
    if event.get("source.ip"):
        event["related.ip"] = event["source.ip"]
    return event


def _peer(address: str | None, port: str | None = None) -> Event:
    """source.*: an address, or the name that sshd wrote when it looked names up."""
    known = ip(address or "")
    return {"source.ip": known, "source.address": address, "source.port": integer(port)}


def _login(message: str, _program: str) -> Event | None:
    """`Failed password for invalid user bob from 2001:db8::1 port 50000 ssh2`, `Invalid user bob from 192.0.2.1 port 50000`."""
    found = _LOGIN.match(message) or _INVALID.match(message)
    if found is None:
        return None
    said = found.groupdict()
    good = said["event"] == "Accepted"
    event: Event = {
        "event.action": "ssh_login", "user.name": said["user"].rstrip(), "system.auth.ssh.event": said["event"],
        "system.auth.ssh.method": said.get("method"), "system.auth.ssh.signature": said.get("signature"),
        **_peer(said["ip"], said.get("port")),
    }  # fmt: skip
    if said["event"] == "Postponed":
        return event
    kind = "authentication_success" if good else "authentication_failure"
    return categorise(event, ["authentication", "session"] if good else "authentication", [kind, "info"], "success" if good else "failure")


def _gone(message: str, _program: str) -> Event | None:
    """`Disconnected from invalid user bob 192.0.2.1 port 50000 [preauth]`, `Received disconnect from 192.0.2.1 port 50000:11: Bye`."""
    found = _RECEIVED.match(message) or _GONE.match(message)
    if found is None:
        return None
    said = found.groupdict()
    event: Event = {"event.action": "ssh_disconnect", "user.name": said.get("user"), **_peer(said["ip"], said["port"])}
    return categorise(event, "session", "end")


def _refused(message: str, _program: str) -> Event | None:
    """`User root from 192.0.2.1 not allowed because not listed in AllowUsers`."""
    found = _REFUSED.match(message)
    if found is None:
        return None
    event: Event = {
        "event.action": "ssh_login", "user.name": found["user"] or found["user2"], **_peer(found["ip"] or found["ip2"], found["port"]),
        "event.reason": message,
    }  # fmt: skip
    return categorise(event, "authentication", ["authentication_failure", "info"], "failure")


def _sudo(message: str, program: str) -> Event | None:
    """`bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls`, with an error in front when sudo refused."""
    found = _SUDO.fullmatch(message) if program in ("sudo", "") else None
    if found is None:
        return None
    event: Event = {
        "event.action": "sudo", "user.name": found["user"], "user.effective.name": found["as"].strip(),
        "system.auth.sudo.user": found["as"].strip(), "system.auth.sudo.tty": found["tty"], "system.auth.sudo.pwd": found["pwd"],
        "system.auth.sudo.command": found["command"], "system.auth.sudo.error": found["error"],
        "process.command_line": found["command"], "process.working_directory": found["pwd"],
    }  # fmt: skip
    return categorise(event, "process", "start", "failure" if found["error"] else "success")


def _pam(message: str, program: str) -> Event | None:
    """`pam_unix(sshd:auth): authentication failure; logname= uid=0 ... rhost=192.0.2.1 user=root`, sessions, password changes."""
    module = _MODULE.match(message)
    text = message[module.end() :] if module else message
    session = _SESSION.match(text)
    if session:
        return _session(session)
    if module is None and not message.startswith("PAM "):
        return None
    if "authentication failure" in text:
        return _pam_failure(text, program)
    user = _PAM_USER.search(text)
    event: Event = {"user.name": next((name for name in user.groups() if name), None)} if user else {}
    if "password changed for" in text:
        event["event.action"] = "changed-password"
        return categorise(event, "iam", ["change", "user"], "success")
    return event


def _session(found: re.Match[str]) -> Event:
    opened = found["what"] == "opened"
    event: Event = {"event.action": f"session_{found['what']}", "user.name": found["user"]}
    if found["uid"] is not None:
        event["user.id"] = found["uid"]
        event["user.effective.name"] = found["user"]
        event["user.name"] = found["by"] or None
    return categorise(event, "session", "start" if opened else "end", "success")


def _pam_failure(text: str, program: str) -> Event:
    """Sshd writes its own line for each failure, so that PAM's is categorised only for other programs."""
    said = dict(_PAIR.findall(text))
    user = said.get("user") or said.get("ruser") or said.get("logname")
    event: Event = {"user.name": user, **_peer(said.get("rhost"))}
    if program.startswith("sshd"):
        return event
    event["event.action"] = "pam_auth"
    return categorise(event, "authentication", ["authentication_failure", "info"], "failure")


def _su(message: str, program: str) -> Event | None:
    """`(to root) bob on pts/0`, `FAILED SU (to root) bob on pts/0`, `Successful su for root by bob`, `+ /dev/pts/0 bob:root`."""
    found = _SU.match(message) if program == "su" else None
    if found is None:
        return None
    bad = found["bad"] or found["word"] == "FAILED" or found["sign"] == "-"
    event: Event = {
        "event.action": "su", "user.name": found["by"] or found["by2"] or found["by3"],
        "user.effective.name": found["to"] or found["to2"] or found["to3"],
    }  # fmt: skip
    kind = "authentication_failure" if bad else "authentication_success"
    return categorise(event, "authentication", [kind, "info"], "failure" if bad else "success")


def _account(message: str, _program: str) -> Event | None:
    """useradd, groupadd, userdel, usermod, passwd: accounts that come, change and go."""
    user = _NEW_USER.match(message)
    if user:
        name, uid, gid, home, shell = user.groups()
        event: Event = {
            "event.action": "added-user-account", "user.name": name, "user.id": uid, "group.id": gid,
            "system.auth.useradd.home": home, "system.auth.useradd.shell": shell,
        }  # fmt: skip
        return categorise(event, "iam", ["creation", "user"], "success")
    group = _NEW_GROUP.match(message)
    if group:
        event = {"event.action": "added-group-account", "group.name": group[1], "group.id": group[2]}
        return categorise(event, "iam", ["creation", "group"], "success")
    member = _MEMBER.match(message)
    if member:
        who, group_name = member["user"] or member["user2"], member["group"] or member["group2"]
        event = {"event.action": "added-user-to-group", "user.name": who, "group.name": group_name}
        return categorise(event, "iam", ["change", "group"], "success")
    return _account_change(message)


def _account_change(message: str) -> Event | None:
    for pattern, kind, what, action in _ADMIN:
        found = pattern.match(message)
        if found:
            event: Event = {"event.action": action, f"{what}.name": found[1]}
            return categorise(event, "iam", [kind, what], "success")
    return None


def _logind(message: str, program: str) -> Event | None:
    """`New session 5 of user bob.` and `Removed session 5.` of systemd-logind."""
    found = _LOGIND.match(message) if program in ("systemd-logind", "") else None
    if found is None:
        return None
    new = found["what"] == "New"
    event: Event = {"event.action": "session_opened" if new else "session_closed", "session.id": found["id"], "user.name": found["user"]}
    return categorise(event, "session", "start" if new else "end", "success")


def _other_sshd(message: str, program: str) -> Event | None:
    """Any other message of sshd: the last address in it."""
    if not program.startswith("sshd"):
        return None
    own = message.startswith("Server listening on ")
    found = [] if own else [pair for pair in _ADDRESS.findall(message[-2000:]) if ip(pair[0])]
    event: Event = _peer(*found[-1]) if found else {}
    if message.startswith("Did not receive identification string"):
        event["system.auth.ssh.dropped_ip"] = event.get("source.ip")
    by = re.search(r" by user (\S+)", message)
    if by:
        event["user.name"] = by[1]
    return event


_READERS: Final[tuple[Callable[[str, str], Event | None], ...]] = (
    _login, _gone, _refused, _sudo, _pam, _su, _account, _logind, _other_sshd,
)  # fmt: skip

PARSER: Final = LinuxAuth()
