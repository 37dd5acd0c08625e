"""Linux: syslog and auth lines as rsyslog writes them (traditional or ISO stamps), auditd records in enriched format.

https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Event-Enrichment
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from playbooks.drills.base import Event, iso, stamp
from playbooks.drills.world import Server

_EXECVE: Final = ("59", "execve")
_OPENAT: Final = ("257", "openat")
WEB: Final = ("www-data", 33)
"""The account of the web server and its uid."""
PHP: Final = "/usr/sbin/php-fpm8.2"
_SHELLS: Final = {"sh": "/usr/bin/dash", "bash": "/usr/bin/bash"}


def syslog(at: float, server: Server, tag: str, message: str) -> Event:
    """A line of auth.log or syslog; `tag` such as `sshd[1234]`."""
    when = f"{iso(at)}+07:00" if server.stamp == "iso" else stamp(at, "%b %e %H:%M:%S")
    return at, f"{server.source}/syslog.log", f"{when} {server.name} {tag}: {message}".encode()


def audit(at: float, server: Server, records: Sequence[tuple[str, str]], serial: int) -> list[Event]:
    """The records (type, body) of one auditd event: they share time and serial number."""
    head = f"msg=audit({at:.3f}:{serial}):"
    return [(at, f"{server.source}/audit.log", f"node={server.name} type={kind} {head} {body}".encode()) for kind, body in records]


def execve(rng: Random, at: float, server: Server, command: list[str], who: tuple[str, int], parent: int) -> list[Event]:
    """A program started; who = (user name, uid), parent = process id of the parent."""
    word = command[0].rsplit("/", 1)[-1]
    arguments = " ".join(f"a{n}={_quoted(part)}" for n, part in enumerate(command))
    folder = "/var/www/html/public" if who[1] == 33 else "/root"
    records = [
        ("SYSCALL", _syscall(rng, _EXECVE, who, parent, (_SHELLS.get(word, f"/usr/bin/{word}"), "exec"))),
        ("EXECVE", f"argc={len(command)} {arguments}"),
        ("CWD", f'cwd="{folder}"'),
        ("PROCTITLE", f"proctitle={chr(0).join(command).encode().hex().upper()}"),
    ]
    return audit(at, server, records, rng.randrange(10**5, 10**7))


def wrote(rng: Random, at: float, server: Server, path: str, exe: str, *, new: bool) -> list[Event]:
    """A file below the watched web root was written by the web server's account: a new one, or one that was there."""
    who = WEB
    inode, owner = rng.randrange(10**5, 10**6), f"ouid={who[1]} ogid={who[1]} rdev=00:00"
    records = [
        ("SYSCALL", _syscall(rng, _OPENAT, who, rng.randrange(900, 1400), (exe, "webroot"))),
        ("CWD", 'cwd="/var/www/html/public"'),
        ("PATH", f'item=0 name="{path.rsplit("/", 1)[0]}/" inode={inode} dev=fd:01 mode=040755 {owner} nametype=PARENT'),
        ("PATH", f'item=1 name="{path}" inode={inode + 7} dev=fd:01 mode=0100644 {owner} nametype={"CREATE" if new else "NORMAL"}'),
    ]
    return audit(at, server, records, rng.randrange(10**5, 10**7))


def _syscall(rng: Random, call: tuple[str, str], who: tuple[str, int], parent: int, what: tuple[str, str]) -> str:
    """Body of a SYSCALL record; what = (program, key of the audit rule)."""
    (number, name), (user, uid), (exe, key) = call, who, what
    ids = " ".join(f"{n}={uid}" for n in ("uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid"))
    names = " ".join(f'{n}="{user}"' for n in ("UID", "GID", "EUID", "SUID", "FSUID", "EGID", "SGID", "FSGID"))
    arguments = " ".join(f"a{n}={rng.getrandbits(40):x}" for n in range(4))
    return (
        f"arch=c000003e syscall={number} success=yes exit=0 {arguments} items=2 ppid={parent} pid={rng.randrange(2000, 60000)} "
        f'auid=4294967295 {ids} tty=(none) ses=4294967295 comm="{exe.rsplit("/", 1)[-1][:15]}" exe="{exe}" subj=unconfined key="{key}"'
        f'\x1dARCH=x86_64 SYSCALL={name} AUID="unset" {names}'
    )


def _quoted(word: str) -> str:
    """Auditd prints plain words in quotes and everything with spaces or special characters in hex."""
    plain = word.isascii() and word.isprintable() and " " not in word and '"' not in word
    return f'"{word}"' if plain else word.encode().hex().upper()


def uid_of(user: str) -> int:
    """The same number for the same name."""
    return 1000 + sum(user.encode()) % 50


def ssh_login(rng: Random, at: float, server: Server, user: str, address: str, method: str) -> list[Event]:
    """Sshd let somebody in: `publickey` or `password`."""
    tag, port = f"sshd[{rng.randrange(1000, 400000)}]", rng.randrange(30000, 65000)
    key = ": ED25519 SHA256:" + f"{rng.getrandbits(256):064x}"[:43] if method == "publickey" else ""
    return [
        syslog(at, server, tag, f"Accepted {method} for {user} from {address} port {port} ssh2{key}"),
        syslog(at + 0.02, server, tag, f"pam_unix(sshd:session): session opened for user {user}(uid={uid_of(user)}) by (uid=0)"),
        syslog(at + 0.05, server, "systemd-logind[712]", f"New session {rng.randrange(100, 9999)} of user {user}."),
    ]


def ssh_failure(rng: Random, at: float, server: Server, user: str, address: str, *, known: bool) -> list[Event]:
    """Sshd refused somebody."""
    tag, port = f"sshd[{rng.randrange(1000, 400000)}]", rng.randrange(30000, 65000)
    who, state = (user, "authenticating") if known else (f"invalid user {user}", "invalid")
    first = [] if known else [syslog(at, server, tag, f"Invalid user {user} from {address} port {port}")]
    return [
        *first,
        syslog(at + 1.9, server, tag, f"Failed password for {who} from {address} port {port} ssh2"),
        syslog(at + 2.3, server, tag, f"Connection closed by {state} user {user} {address} port {port} [preauth]"),
    ]


def sudo(at: float, server: Server, user: str, command: str) -> list[Event]:
    """A command as root through sudo."""
    return [
        syslog(at, server, "sudo", f"{user:>8} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}"),
        syslog(at + 0.01, server, "sudo", f"pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid={uid_of(user)})"),
        syslog(at + 0.8, server, "sudo", "pam_unix(sudo:session): session closed for user root"),
    ]


def cron(rng: Random, at: float, server: Server, user: str, command: str) -> list[Event]:
    """Cron started a job."""
    tag = f"CRON[{rng.randrange(1000, 400000)}]"
    return [
        syslog(at, server, tag, f"pam_unix(cron:session): session opened for user {user}(uid={0 if user == 'root' else 33}) by (uid=0)"),
        syslog(at + 0.01, server, tag, f"({user}) CMD ({command})"),
        syslog(at + 0.4, server, tag, f"pam_unix(cron:session): session closed for user {user}"),
    ]
