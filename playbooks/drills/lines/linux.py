"""Linux: syslog and auth lines as rsyslog writes them (traditional or ISO stamps), auditd records in enriched format."""

from __future__ import annotations

from random import Random

from playbooks.drills.base import Event, iso, stamp
from playbooks.drills.world import Server


def syslog(at: float, server: Server, tag: str, message: str) -> Event:
    """A line of auth.log or syslog; `tag` such as `sshd[1234]`."""
    when = f"{iso(at)}+07:00" if server.stamp == "iso" else stamp(at, "%b %e %H:%M:%S")
    return at, f"{server.source}/syslog.log", f"{when} {server.name} {tag}: {message}".encode()


def audit(at: float, server: Server, serial: int, kind: str, body: str) -> Event:
    """One auditd record; records of one event share `serial`."""
    return at, f"{server.source}/audit.log", f"node={server.name} type={kind} msg=audit({at:.3f}:{serial}): {body}".encode()


def execve(rng: Random, at: float, server: Server, command: list[str], who: tuple[str, int], parent: int) -> list[Event]:
    """A program started: SYSCALL, EXECVE, CWD, PROCTITLE. who = (user name, uid); parent = process id of the parent."""
    serial, pid = rng.randrange(10**5, 10**7), rng.randrange(2000, 60000)
    exe = {"sh": "/usr/bin/dash", "bash": "/usr/bin/bash"}.get(command[0].rsplit("/", 1)[-1], f"/usr/bin/{command[0].rsplit('/', 1)[-1]}")
    name, uid = who
    syscall = (
        f"arch=c000003e syscall=59 success=yes exit=0 a0={rng.getrandbits(40):x} a1={rng.getrandbits(40):x} a2={rng.getrandbits(40):x} a3=8 items=2 ppid={parent} pid={pid} "
        f'auid=4294967295 uid={uid} gid={uid} euid={uid} suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=(none) ses=4294967295 comm="{exe.rsplit("/", 1)[-1][:15]}" exe="{exe}" '
        f'subj=unconfined key="exec"\x1dARCH=x86_64 SYSCALL=execve AUID="unset" UID="{name}" GID="{name}" EUID="{name}" SUID="{name}" FSUID="{name}" EGID="{name}" SGID="{name}" FSGID="{name}"'
    )
    arguments = " ".join(f"a{n}={_quoted(word)}" for n, word in enumerate(command))
    return [
        audit(at, server, serial, "SYSCALL", syscall),
        audit(at, server, serial, "EXECVE", f"argc={len(command)} {arguments}"),
        audit(at, server, serial, "CWD", 'cwd="/var/www/html/public"' if uid == 33 else 'cwd="/root"'),
        audit(at, server, serial, "PROCTITLE", f"proctitle={chr(0).join(command).encode().hex().upper()}"),
    ]


def wrote(rng: Random, at: float, server: Server, path: str, who: tuple[str, int], exe: str) -> list[Event]:
    """A watched file was written: SYSCALL openat with its PATH records."""
    serial, (name, uid) = rng.randrange(10**5, 10**7), who
    syscall = (
        f"arch=c000003e syscall=257 success=yes exit=5 a0=ffffff9c a1={rng.getrandbits(40):x} a2=241 a3=1b6 items=2 ppid={rng.randrange(900, 1400)} pid={rng.randrange(2000, 60000)} "
        f'auid=4294967295 uid={uid} gid={uid} euid={uid} suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=(none) ses=4294967295 comm="{exe.rsplit("/", 1)[-1][:15]}" exe="{exe}" '
        f'subj=unconfined key="webroot"\x1dARCH=x86_64 SYSCALL=openat AUID="unset" UID="{name}" GID="{name}" EUID="{name}"'
    )
    inode = rng.randrange(10**5, 10**6)
    return [
        audit(at, server, serial, "SYSCALL", syscall),
        audit(at, server, serial, "CWD", 'cwd="/var/www/html/public"'),
        audit(
            at,
            server,
            serial,
            "PATH",
            f'item=0 name="{path.rsplit("/", 1)[0]}/" inode={inode} dev=fd:01 mode=040755 ouid={uid} ogid={uid} rdev=00:00 nametype=PARENT',
        ),
        audit(
            at,
            server,
            serial,
            "PATH",
            f'item=1 name="{path}" inode={inode + 7} dev=fd:01 mode=0100644 ouid={uid} ogid={uid} rdev=00:00 nametype=NORMAL',
        ),
    ]


def _quoted(word: str) -> str:
    """Auditd prints plain words in quotes and everything with spaces or special characters in hex."""
    return f'"{word}"' if word.isascii() and word.isprintable() and " " not in word and '"' not in word else word.encode().hex().upper()


def ssh_login(rng: Random, at: float, server: Server, user: str, address: str, method: str) -> list[Event]:
    """Sshd let somebody in: `publickey` or `password`."""
    pid, port = rng.randrange(1000, 400000), rng.randrange(30000, 65000)
    key = ": ED25519 SHA256:" + f"{rng.getrandbits(256):064x}"[:43] if method == "publickey" else ""
    return [
        syslog(at, server, f"sshd[{pid}]", f"Accepted {method} for {user} from {address} port {port} ssh2{key}"),
        syslog(
            at + 0.02,
            server,
            f"sshd[{pid}]",
            f"pam_unix(sshd:session): session opened for user {user}(uid={1000 + sum(user.encode()) % 50}) by (uid=0)",
        ),
        syslog(at + 0.05, server, "systemd-logind[712]", f"New session {rng.randrange(100, 9999)} of user {user}."),
    ]


def ssh_failure(rng: Random, at: float, server: Server, user: str, address: str, *, known: bool) -> list[Event]:
    """Sshd refused somebody."""
    pid, port = rng.randrange(1000, 400000), rng.randrange(30000, 65000)
    tag = f"sshd[{pid}]"
    who = user if known else f"invalid user {user}"
    first = [] if known else [syslog(at, server, tag, f"Invalid user {user} from {address} port {port}")]
    return [
        *first,
        syslog(at + 1.9, server, tag, f"Failed password for {who} from {address} port {port} ssh2"),
        syslog(
            at + 2.3,
            server,
            tag,
            f"Connection closed by {'authenticating' if known else 'invalid'} user {user} {address} port {port} [preauth]",
        ),
    ]


def sudo(at: float, server: Server, user: str, command: str) -> list[Event]:
    """A command as root through sudo."""
    uid = 1000 + sum(user.encode()) % 50
    return [
        syslog(at, server, "sudo", f"{user:>8} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}"),
        syslog(at + 0.01, server, "sudo", f"pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid={uid})"),
        syslog(at + 0.8, server, "sudo", "pam_unix(sudo:session): session closed for user root"),
    ]


def cron(rng: Random, at: float, server: Server, user: str, command: str) -> list[Event]:
    """Cron started a job."""
    tag = f"CRON[{rng.randrange(1000, 400000)}]"
    uid = 0 if user == "root" else 33
    return [
        syslog(at, server, tag, f"pam_unix(cron:session): session opened for user {user}(uid={uid}) by (uid=0)"),
        syslog(at + 0.01, server, tag, f"({user}) CMD ({command})"),
        syslog(at + 0.4, server, tag, f"pam_unix(cron:session): session closed for user {user}"),
    ]
