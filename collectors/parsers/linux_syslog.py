"""Linux system messages: any program that writes through syslog; netfilter packets of the kernel, cron, findings of ClamAV.

https://man7.org/linux/man-pages/man5/rsyslog.conf.5.html  https://www.netfilter.org/documentation/HOWTO/packet-filtering-HOWTO-7.html
https://docs.clamav.net/manual/Usage/Scanning.html
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa

from collectors.base import Payload
from collectors.parsers.common import Event, Mask, categorise, integer, ip, table_of

_PACKET: Final = re.compile(r"(?:\[ *[\d.]+\] ?)?(?P<prefix>.{0,64}?)\s?(?=IN=\S* (?:PHYSIN=\S* )?OUT=\S*)(?P<pairs>.*)", re.DOTALL)
_PAIR: Final = re.compile(r"([A-Z0-9]+)=(\S*)")
_CRON: Final = re.compile(r"\((?P<user>[^)]*)\) (?P<what>CMD|RELOAD|LIST|REPLACE|BEGIN EDIT|END EDIT) \((?P<command>.*)\)", re.DOTALL)
_CLAMAV: Final = ("clamd", "clamscan", "clamdscan", "clamonacc", "clamav", "clamav-daemon")
_FOUND: Final = re.compile(
    r"(?:ScanOnAccess: )?(?:instream\([^)]*\): |(?P<path>/.*): )?(?P<name>\S+?)(?:\([0-9a-f]{32}:\d+\))? FOUND", re.DOTALL
)
_DENIED: Final = re.compile(r"drop|rej|deny|block|dpt", re.IGNORECASE)
_KEPT: Final = ("LEN", "TOS", "TTL", "ID", "WINDOW", "TYPE", "CODE", "HOPLIMIT", "FLOWLBL")


class LinuxSyslog:
    """Messages of other programs, unwrapped from their syslog header."""

    name = "linux_syslog"

    def match(self, records: pa.Array) -> Mask:
        """None by their text: `collectors.detect` hands over what a named program sent and no other parser claims."""
        return np.zeros(len(records), bool)

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set system.syslog."""
        none = pa.nulls(len(payload.records), pa.string())
        programs = payload.outer.get("process.name", none).to_pylist()
        hosts = payload.outer.get("host.hostname", none).to_pylist()
        events = [_event(m, p or "", h) for m, p, h in zip(payload.records.to_pylist(), programs, hosts, strict=True)]
        return table_of(events, payload.records, "not a syslog message")


def _event(message: str, program: str, host: str | None) -> Event:
    event: Event = {"event.kind": "event", "event.module": "system", "event.dataset": "system.syslog", "message": message}
    if host:
        event["related.hosts"] = host
    if "IN=" in message and "SRC=" in message:
        event |= _packet(message, host)
    elif program.lower() in ("cron", "crond", "crontab", "anacron"):
        event |= _cron(message)
    elif program.lower() in _CLAMAV and message.endswith(" FOUND"):
        event |= _malware(message)
    return event


def _packet(message: str, host: str | None) -> Event:
    """`[1234.5] FW-DROP: IN=eth0 OUT= MAC=… SRC=192.0.2.1 DST=192.0.2.2 LEN=40 … PROTO=TCP SPT=1 DPT=22 … SYN`."""
    found = _PACKET.match(message[:4096])
    if found is None:
        return {}
    said: dict[str, str] = {}
    for key, value in _PAIR.findall(found["pairs"]):
        said.setdefault(key, value)
    source, target = ip(said.get("SRC", "")), ip(said.get("DST", ""))
    prefix = found["prefix"].strip(" :")
    transport = said.get("PROTO", "").lower()
    event: Event = {
        "source.ip": source, "source.address": source, "destination.ip": target, "destination.address": target,
        "source.port": integer(said.get("SPT")), "destination.port": integer(said.get("DPT")),
        "network.transport": {"icmpv6": "ipv6-icmp"}.get(transport, transport), "network.type": _type(source),
        "observer.ingress.interface.name": said.get("IN"), "observer.egress.interface.name": said.get("OUT"), "observer.hostname": host,
        "rule.name": prefix, "related.ip": [address for address in dict.fromkeys((source, target)) if address],
    }  # fmt: skip
    event |= {f"linux.netfilter.{key.lower()}": said[key] for key in _KEPT if said.get(key)}
    denied = bool(_DENIED.search(prefix))
    event["event.action"] = "drop" if denied else "packet"
    return categorise(event, "network", ["connection", "denied"] if denied else ["connection"])


def _type(address: str | None) -> str | None:
    return None if address is None else "ipv6" if ":" in address else "ipv4"


def _cron(message: str) -> Event:
    """`(root) CMD (/usr/local/bin/backup.sh)`."""
    found = _CRON.match(message)
    if found is None:
        return {}
    event: Event = {"user.name": found["user"], "related.user": found["user"], "event.action": f"cron_{found['what'].lower()}"}
    if found["what"] == "CMD":
        event["process.command_line"] = found["command"].strip()
        return categorise(event, "process", "start")
    return categorise(event, "configuration", "change" if found["what"] != "LIST" else "access")


def _malware(message: str) -> Event:
    """`/var/www/html/m.php: Php.Webshell.Gen-1 FOUND`, `instream(192.0.2.1@5000): Eicar-Signature FOUND`."""
    found = _FOUND.fullmatch(message[:4096])
    if found is None:
        return {}
    event: Event = {"event.action": "malware-found", "rule.name": found["name"], "file.path": found["path"]}
    if found["path"]:
        event["file.name"] = found["path"].rpartition("/")[2]
    return categorise(event, "malware", "info", "success")


PARSER: Final = LinuxSyslog()
