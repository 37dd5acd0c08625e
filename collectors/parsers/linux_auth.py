"""Linux authentication messages: sshd, sudo, su, PAM, user and group administration, systemd-logind, cron.

https://man.openbsd.org/sshd  https://www.sudo.ws/docs/man/sudo.man/  https://man7.org/linux/man-pages/man8/pam_unix.8.html
Field names as Elastic's `system.auth` data set has them.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers.common import Event, Mask, categorise, integer, ip, table_of

_START: Final = (
    r"^(?:Accepted|Failed|Invalid user|Postponed) (?:\S+ for |\S+ from )|^pam_\w+\([\w:.-]+\): |^ *[\w.@\\-]+ : (?:[^=;]+ ; )?TTY="
    r"|^new (?:user|group): name=|^(?:Disconnected from|Connection (?:closed|reset) by) (?:invalid user|authenticating user|user) "
    r"|^Received disconnect from |^New session \S+ of user |^session (?:opened|closed) for user "
)
_ADDRESS: Final = r"(?P<ip>[0-9A-Fa-f:.]+(?:%\w+)?|\S+)"
_LOGIN: Final = re.compile(
    rf"(?P<event>Accepted|Failed|Invalid|Postponed) (?:(?P<method>\S+) for )?(?P<invalid>(?:invalid |illegal )?user )?(?P<user>.*?) from {_ADDRESS}"
    r"(?: port (?P<port>\d+))?(?: ssh2?)?(?:: (?P<signature>.*))?(?: \[preauth\])?"
)
_SUDO: Final = re.compile(
    r" *(?P<user>\S+) : (?:(?P<error>[^=;]{1,200}) ; )?(?:TTY=(?P<tty>[^;]*) ; )?(?:CHROOT=[^;]* ; )?PWD=(?P<pwd>.*?) ; USER=(?P<as>[^;]*) ;"
    r"(?: GROUP=[^;]* ;)?(?: TSID=[^;]* ;)?(?: ENV=.*? ;)? COMMAND=(?P<command>.*)",
    re.DOTALL,
)
_SESSION: Final = re.compile(
    r"(?:pam_\w+\([\w:.-]+\): )?session (?P<what>opened|closed) for user (?P<user>[^\s(]+)(?:\(uid=(?P<uid>\d+)\))?"
    r"(?: by (?P<by>[^\s(]*)\(uid=(?P<by_uid>\d+)\))?.*"
)
_PAM_FAIL: Final = re.compile(r"(?:pam_\w+\([\w:.-]+\): |PAM \d+ more )authentication failures?; (?P<pairs>.*)")
_PAM_USER: Final = re.compile(
    r"pam_\w+\([\w:.-]+\): (?:.* (?:for|by) user (?:= )?[\"'\[]?(?P<a>[^\s\"'\]]+)|(?:check pass; )?user (?P<b>\S+) .*|user \[?(?P<c>[^\s\]]+).*).*"
)
_PEER: Final = re.compile(
    r".*?(?:(?:invalid|authenticating|illegal) user (?P<bad>.*?) |user (?P<user>\S*) )?"
    r"(?:from|by|with|for|connection from) (?:(?:invalid|authenticating) user (?P<bad2>.*?) |user (?P<user2>\S*) )?"
    r"(?:UNKNOWN|_?\S*@|\S+ \()?(?P<ip>(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)(?:%\w+)?\)?(?:[ :]port (?P<port>\d+))?.*",
    re.DOTALL,
)
_NEW_USER: Final = re.compile(r"new user: name=(?P<name>[^,]*), UID=(?P<uid>\d+), GID=(?P<gid>\d+), home=(?P<home>[^,]*), shell=(?P<shell>[^,\s]*).*")
_NEW_GROUP: Final = re.compile(r"new group: name=(?P<name>[^,]*), GID=(?P<gid>\d+).*")


class LinuxAuth:
    """Messages of the authentication programs, unwrapped from their syslog header."""

    name = "linux_auth"

    def match(self, records: pa.Array) -> Mask:
        """Messages that only these programs write; `collectors.PROGRAMS` claims the others by program name."""
        mask: Mask = pc.match_substring_regex(records, _START).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set system.auth; a message without known content keeps its text."""
        programs = payload.outer.get("process.name", pa.nulls(len(payload.records), pa.string())).to_pylist()
        hosts = payload.outer.get("host.hostname", pa.nulls(len(payload.records), pa.string())).to_pylist()
        events = [_event(m, p or "", h) for m, p, h in zip(payload.records.to_pylist(), programs, hosts, strict=True)]
        return table_of(events, payload.records, "")


def _event(message: str, program: str, host: str | None) -> Event:
    event: Event = {
        "event.kind": "event", "event.module": "system", "event.dataset": "system.auth", "message": message, "related.hosts": host,
    }  # fmt: skip
    return event
    

PARSER: Final = LinuxAuth()
