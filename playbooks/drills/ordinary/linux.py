"""Linux servers on an ordinary day: cron, administrators, backups, updates, strangers at the SSH port."""

from __future__ import annotations

from random import Random

from playbooks.drills.base import Event, local_day
from playbooks.drills.lines import linux
from playbooks.drills.world import Server, World, hosting


def hosts(world: World) -> list[Server]:
    """The Linux servers."""
    return [s for s in world.servers.values() if s.os == "linux"]


def linux_admin(world: World, rng: Random, at: float) -> list[Event]:
    """An administrator signs in from the jump host, runs a few commands, signs out."""
    server, user = rng.choice(hosts(world)), rng.choice(world.admins)
    jump = world.province["watch"]["jump"]
    events: list[Event] = []
    if rng.random() < 0.08:
        events += linux.ssh_failure(rng, at, server, user, jump, known=True)
        at += 8
    events += linux.ssh_login(rng, at, server, user, jump, "publickey")
    for number in range(rng.randrange(1, 5)):
        command = rng.choice(world.ordinary["admin_commands"])
        events += linux.sudo(at + 20 + number * rng.randrange(15, 120), server, user, command)
        if server.audit and rng.random() < 0.5:
            events += linux.execve(rng, events[-1][0], server, command.split(" "), ("root", 0), rng.randrange(1000, 60000))
    end = events[-1][0] + rng.randrange(10, 600)
    events.append(
        linux.syslog(end, server, f"sshd[{rng.randrange(1000, 400000)}]", f"pam_unix(sshd:session): session closed for user {user}")
    )
    return events


def ssh_knocking(world: World, rng: Random, at: float) -> list[Event]:
    """Strangers try passwords on the exchange server, a few at a time."""
    address, noise = hosting(rng, six=0.05), world.ordinary["knocking"]
    events: list[Event] = []
    for number in range(rng.randrange(1, 4)):
        name = rng.choice(noise["accounts"])
        events += linux.ssh_failure(rng, at + number * rng.randrange(4, 90), world.servers["sftp01"], name, address, known=name == "root")
    return events


def every_quarter(world: World, rng: Random, at: float) -> list[Event]:
    """A health check runs on every server."""
    events: list[Event] = []
    for server in hosts(world):
        events += linux.cron(rng, at + 1 + rng.random() * 0.3, server, "root", "/usr/local/sbin/kiem-tra-dich-vu --quiet")
    return events


def every_hour(world: World, rng: Random, at: float) -> list[Event]:
    """Hourly jobs, time synchronisation, and by the hour of the day: log rotation, updates, backup."""
    events: list[Event] = []
    hour = local_day(at + 60).tm_hour
    for server in hosts(world):
        events += linux.cron(rng, at + 1020 + rng.random(), server, "root", "cd / && run-parts --report /etc/cron.hourly")
        if rng.random() < 0.3:
            text = f"Contacted time server {world.province['watch']['ntp']}:123."
            events.append(linux.syslog(at + rng.random() * 3000, server, "systemd-timesyncd[655]", text))
        if hour == 0:
            events += _unit(at + 5, 1, server, "logrotate.service - Rotate log files")
        if hour == 6:
            name = "apt-daily-upgrade.service - Daily apt upgrade and clean activities"
            events += _unit(at + 700 + rng.random() * 900, rng.randrange(40, 900), server, name)
        if hour == 23 and server.name != "backup01":
            events += backup(rng, at + rng.random() * 2400, server)
    return events


def _unit(at: float, seconds: float, server: Server, name: str) -> list[Event]:
    """A timer's unit ran."""
    return [
        linux.syslog(at, server, "systemd[1]", f"Starting {name}..."),
        linux.syslog(at + seconds, server, "systemd[1]", f"Finished {name}."),
    ]


def backup(rng: Random, at: float, server: Server) -> list[Event]:
    """The backup server fetches a server's data over SSH."""
    events = linux.ssh_login(rng, at, server, "saoluu", "10.20.40.51", "publickey")
    events += linux.sudo(at + 1, server, "saoluu", "/usr/bin/rsync --server --sender -logDtpre.iLsfxCIvu --numeric-ids . /var/lib/data/")
    events.append(
        linux.syslog(
            at + rng.randrange(120, 900),
            server,
            f"sshd[{rng.randrange(1000, 400000)}]",
            "pam_unix(sshd:session): session closed for user saoluu",
        )
    )
    return events
