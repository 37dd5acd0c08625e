"""FortiGate (FortiOS 7.x), key=value as written to disk and syslog.

https://docs.fortinet.com/document/fortigate/7.4.0/fortios-log-message-reference
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from playbooks.drills.base import Event, stamp

FILE: Final = "fw-thdl/fortigate.log"
_SERVICES: Final = {80: "HTTP", 443: "HTTPS", 53: "DNS", 22: "SSH", 3389: "RDP", 445: "SMB", 123: "NTP", 5432: "PostgreSQL"}
_COUNTRIES: Final = ("Netherlands", "United States", "Germany", "Singapore", "China", "Bulgaria", "Hong Kong", "Russian Federation")
_BARE: Final = frozenset({"srcip", "dstip", "remip", "tranip"})
"""Text values that the device writes without quotes (numbers never have any)."""


@dataclass(frozen=True)
class Flow:
    """One session through the firewall."""

    source: str
    destination: str
    port: int
    inside: str = "dmz"
    """Interface on the destination's side."""
    outside: str = "wan1"
    """Interface on the source's side."""
    protocol: int = 6
    country: str = "Viet Nam"
    """Country of the source, as the firewall's geography database says."""
    to: str = "Reserved"
    """Country of the destination."""

    @property
    def service(self) -> str:
        """Name of the service object."""
        return _SERVICES.get(self.port, f"{'udp' if self.protocol == 17 else 'tcp'}/{self.port}")


def country_of(address: str) -> str:
    """A fixed country for an address of rented servers (the firewall's database would name one)."""
    return _COUNTRIES[sum(address.encode()) % len(_COUNTRIES)]


def _event(at: float, head: tuple[str, str, str, str, str], facts: dict[str, str | int]) -> Event:
    """One record; head = (logid, type, subtype, eventtype or empty, level)."""
    logid, kind, subtype, eventtype, level = head
    text = [
        f'date={stamp(at, "%Y-%m-%d")} time={stamp(at, "%H:%M:%S")} devname="FW-THDL-01" devid="FG201FTK22900417"',
        f'eventtime={int(at * 1e9)} tz="+0700" logid="{logid}" type="{kind}" subtype="{subtype}"',
    ]
    text += [f'eventtype="{eventtype}"'] if eventtype else []
    text.append(f'level="{level}" vd="root"')
    text += [f"{k}={v}" if isinstance(v, int) or k in _BARE else f'{k}="{v}"' for k, v in facts.items()]
    return at, FILE, " ".join(text).encode()


def _ends(rng: Random, flow: Flow) -> dict[str, str | int]:
    return {
        "srcip": flow.source, "srcport": rng.randrange(20000, 65000), "srcintf": flow.outside,
        "srcintfrole": "wan" if flow.outside.startswith("wan") else "lan", "dstip": flow.destination, "dstport": flow.port,
        "dstintf": flow.inside, "dstintfrole": "wan" if flow.inside.startswith("wan") else "dmz", "srccountry": flow.country,
        "dstcountry": flow.to, "sessionid": rng.randrange(10**6, 4 * 10**9), "proto": flow.protocol,
    }  # fmt: skip


def traffic(rng: Random, at: float, flow: Flow, action: str, size: tuple[int, int] = (0, 0), policy: tuple[int, str] = (0, "")) -> Event:
    """A forwarded (`close`, `accept`, `timeout`) or refused (`deny`) session; size = bytes (sent by the source, received)."""
    denied = action == "deny"
    sent, received = size
    facts = _ends(rng, flow) | {"action": action, "policyid": policy[0], "policytype": "policy"}
    facts |= {"policyname": policy[1]} if policy[1] else {}
    facts |= {
        "service": flow.service, "trandisp": "noop", "duration": 0 if denied else rng.randrange(1, 240), "sentbyte": sent,
        "rcvdbyte": received, "sentpkt": sent // 900 + (not denied), "rcvdpkt": received // 1200 + (not denied), "appcat": "unscanned",
    }  # fmt: skip
    facts |= {"crscore": 5, "craction": 262144, "crlevel": "low"} if denied else {}
    return _event(at, ("0000000013", "traffic", "forward", "", "warning" if denied else "notice"), facts)


def ips(rng: Random, at: float, flow: Flow, attack: tuple[str, int, str], web: tuple[str, str, str]) -> Event:
    """The intrusion prevention saw a signature: attack = (name, id, severity), web = (host, url, dropped | detected | reset)."""
    name, ident, severity = attack
    host, url, action = web
    facts: dict[str, str | int] = {"severity": severity, **_ends(rng, flow), "action": action, "service": flow.service, "policyid": 21}
    facts |= {
        "policytype": "policy", "attack": name, "direction": "outgoing", "attackid": ident, "profile": "bao-ve-web",
        "ref": f"http://www.fortinet.com/ids/VID{ident}", "hostname": host, "url": url.replace('"', "%22"),
        "incidentserialno": rng.randrange(10**7, 10**9), "msg": f"web_misc: {name}", "crscore": 30, "craction": 8192, "crlevel": "high",
    }  # fmt: skip
    return _event(at, ("0419016384", "utm", "ips", "signature", "alert"), facts)


def webfilter(rng: Random, at: float, flow: Flow, user: str, site: tuple[str, str, bool]) -> Event:
    """The web filter passed or blocked a site: (host, category, passed)."""
    host, category, passed = site
    head = (
        ("0317013312", "utm", "webfilter", "ftgd_allow", "notice") if passed else ("0316013056", "utm", "webfilter", "ftgd_blk", "warning")
    )
    facts: dict[str, str | int] = {**_ends(rng, flow), "user": user, "service": flow.service, "hostname": host, "profile": "can-bo"}
    facts |= {
        "action": "passthrough" if passed else "blocked", "reqtype": "direct", "url": f"http{'s' if flow.port == 443 else ''}://{host}/",
        "sentbyte": rng.randrange(300, 2000), "rcvdbyte": 0, "direction": "outgoing",
        "msg": f"URL belongs to {'an allowed' if passed else 'a denied'} category in policy", "method": "domain", "cat": 36,
        "catdesc": category,
    }  # fmt: skip
    return _event(at, head, facts)


def admin_login(at: float, user: str, address: str, *, ok: bool) -> Event:
    """An administrator signed in to the firewall, or failed to."""
    done = "logged in successfully" if ok else "login failed"
    facts: dict[str, str | int] = {
        "logdesc": "Admin login successful" if ok else "Admin login failed", "sn": str(int(at) % 10**9), "user": user,
        "ui": f"https({address})", "method": "https", "srcip": address, "dstip": "10.20.50.1", "action": "login",
        "status": "success" if ok else "failed",
        "reason": "none" if ok else "passwd_invalid", "msg": f"Administrator {user} {done} from https({address})",
    }  # fmt: skip
    return _event(at, ("0100032001" if ok else "0100032002", "event", "system", "", "information" if ok else "alert"), facts)


def config(at: float, user: str, address: str, path: str, obj: str) -> Event:
    """An administrator changed the configuration."""
    facts: dict[str, str | int] = {
        "logdesc": "Object attribute configured", "user": user, "ui": f"GUI({address})", "action": "Edit", "cfgtid": int(at),
        "cfgpath": path, "cfgobj": obj, "cfgattr": "comments[]", "msg": f"Edit {path} {obj}",
    }  # fmt: skip
    return _event(at, ("0100044547", "event", "system", "", "information"), facts)


_VPN: Final = {
    "tunnel-up": ("0101039424", "SSL VPN tunnel up", "information", "login successfully", "SSL tunnel established"),
    "tunnel-down": ("0101039425", "SSL VPN tunnel down", "information", "N/A", "SSL tunnel shutdown"),
    "ssl-login-fail": ("0101039426", "SSL VPN login fail", "alert", "sslvpn_login_unknown_user", "SSL user failed to logged in"),
}


def vpn(rng: Random, at: float, user: str, address: str, action: str) -> Event:
    """SSL VPN: `tunnel-up`, `tunnel-down`, `ssl-login-fail`."""
    logid, description, level, reason, text = _VPN[action]
    facts: dict[str, str | int] = {
        "logdesc": description, "action": action, "tunneltype": "ssl-web" if level == "alert" else "ssl-tunnel",
        "tunnelid": rng.randrange(10**8, 2 * 10**9), "remip": address, "user": user, "group": "vpn-can-bo", "dst_host": "N/A",
        "reason": reason, "msg": text,
    }  # fmt: skip
    return _event(at, (logid, "event", "vpn", "", level), facts)


def performance(rng: Random, at: float) -> Event:
    """The five-minute statistics of the device: its sign of life."""
    cpu, memory, sessions, rate = rng.randrange(3, 31), rng.randrange(41, 55), rng.randrange(900, 9000), rng.randrange(5, 80)
    summary = f"average CPU: {cpu}, memory: {memory}, concurrent sessions: {sessions}, setup-rate: {rate}"
    facts: dict[str, str | int] = {
        "logdesc": "System performance statistics", "action": "perf-stats", "cpu": cpu, "mem": memory, "totalsession": sessions, "disk": 2,
        "bandwidth": f"{rng.randrange(10, 900)}/{rng.randrange(10, 900)}", "setuprate": rate, "disklograte": 0, "fazlograte": 0,
        "freediskstorage": 93412, "sysuptime": int(at) % 10**7, "waninfo": "N/A", "msg": f"Performance statistics: {summary}",
    }  # fmt: skip
    return _event(at, ("0100040704", "event", "system", "", "notice"), facts)
