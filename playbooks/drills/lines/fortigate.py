"""FortiGate (FortiOS 7.x), key=value as written to disk and syslog.

https://docs.fortinet.com/document/fortigate/7.4.0/fortios-log-message-reference
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from playbooks.drills.base import Event, stamp

FILE = "fw-thdl/fortigate.log"
_SERVICES = {80: "HTTP", 443: "HTTPS", 53: "DNS", 22: "SSH", 3389: "RDP", 445: "SMB", 123: "NTP", 5432: "PostgreSQL", 8243: "tcp/8243"}
_COUNTRIES = ("Netherlands", "United States", "Germany", "Singapore", "China", "Bulgaria", "Hong Kong", "Russian Federation")


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
    source_port: int = 0
    protocol: int = 6
    country: str = "Viet Nam"
    """Country of the source, as the firewall's geography database says."""
    to: str = "Reserved"
    """Country of the destination."""


def country_of(address: str) -> str:
    """A fixed country for an address of rented servers (the firewall's database would name one)."""
    return _COUNTRIES[sum(address.encode()) % len(_COUNTRIES)]


def _head(at: float, logid: str, kind: str, level: str) -> str:
    return (
        f'date={stamp(at, "%Y-%m-%d")} time={stamp(at, "%H:%M:%S")} devname="FW-THDL-01" devid="FG201FTK22900417" eventtime={int(at * 1e9)} '
        f'tz="+0700" logid="{logid}" {kind} level="{level}" vd="root"'
    )


def _ends(flow: Flow, rng: Random) -> str:
    return (
        f'srcip={flow.source} srcport={flow.source_port or rng.randrange(20000, 65000)} srcintf="{flow.outside}" '
        f'srcintfrole="{"wan" if flow.outside.startswith("wan") else "lan"}" dstip={flow.destination} dstport={flow.port} '
        f'dstintf="{flow.inside}" dstintfrole="{"wan" if flow.inside.startswith("wan") else "dmz"}" srccountry="{flow.country}" dstcountry="{flow.to}" '
        f"sessionid={rng.randrange(10**6, 4 * 10**9)} proto={flow.protocol}"
    )


def traffic(rng: Random, at: float, flow: Flow, action: str, size: tuple[int, int] = (0, 0), policy: tuple[int, str] = (0, "")) -> Event:
    """A forwarded (`close`, `accept`, `timeout`) or refused (`deny`) session; size = bytes (sent by the source, received)."""
    service = _SERVICES.get(flow.port, f"{'udp' if flow.protocol == 17 else 'tcp'}/{flow.port}")
    sent, received = size
    tail = f'trandisp="noop" duration={0 if action == "deny" else rng.randrange(1, 240)} sentbyte={sent} rcvdbyte={received} '
    tail += f"sentpkt={sent // 900 + (action != 'deny')} rcvdpkt={received // 1200 + (action != 'deny')}"
    name = f'policyname="{policy[1]}" ' if policy[1] else ""
    score = ' crscore=5 craction=262144 crlevel="low"' if action == "deny" else ""
    head = _head(at, "0000000013", 'type="traffic" subtype="forward"', "warning" if action == "deny" else "notice")
    line = f'{head} {_ends(flow, rng)} action="{action}" policyid={policy[0]} policytype="policy" {name}service="{service}" {tail} appcat="unscanned"{score}'
    return at, FILE, line.encode()


def ips(rng: Random, at: float, flow: Flow, attack: tuple[str, int, str], web: tuple[str, str, str]) -> Event:
    """The intrusion prevention saw a signature: attack = (name, id, severity), web = (host, url, dropped | detected | reset)."""
    head = _head(at, "0419016384", 'type="utm" subtype="ips" eventtype="signature"', "alert")
    host, url, action = web
    safe = url.replace('"', "%22")
    line = (
        f'{head} severity="{attack[2]}" {_ends(flow, rng)} action="{action}" service="{_SERVICES.get(flow.port, "tcp")}" policyid=21 policytype="policy" '
        f'attack="{attack[0]}" direction="outgoing" attackid={attack[1]} profile="bao-ve-web" ref="http://www.fortinet.com/ids/VID{attack[1]}" '
        f'hostname="{host}" url="{safe}" incidentserialno={rng.randrange(10**7, 10**9)} msg="web_misc: {attack[0]}" crscore=30 craction=8192 crlevel="high"'
    )
    return at, FILE, line.encode()


def webfilter(rng: Random, at: float, flow: Flow, user: str, site: tuple[str, str, bool]) -> Event:
    """The web filter passed or blocked a site: (host, category, passed)."""
    host, category, passed = site
    head = _head(
        at,
        "0317013312" if passed else "0316013056",
        'type="utm" subtype="webfilter" eventtype="ftgd_' + ("allow" if passed else "blk") + '"',
        "notice" if passed else "warning",
    )  # noqa: E501
    line = (
        f'{head} {_ends(flow, rng)} user="{user}" service="{_SERVICES.get(flow.port, "tcp")}" hostname="{host}" profile="can-bo" '
        f'action="{"passthrough" if passed else "blocked"}" reqtype="direct" url="http{"s" if flow.port == 443 else ""}://{host}/" sentbyte={rng.randrange(300, 2000)} '
        f'rcvdbyte=0 direction="outgoing" msg="URL belongs to {"an allowed" if passed else "a denied"} category in policy" method="domain" cat=36 catdesc="{category}"'
    )
    return at, FILE, line.encode()


def admin_login(rng: Random, at: float, user: str, address: str, ok: bool) -> Event:
    """An administrator signed in to the firewall, or failed to."""
    head = _head(at, "0100032001" if ok else "0100032002", 'type="event" subtype="system"', "information" if ok else "alert")
    line = (
        f'{head} logdesc="Admin login {"successful" if ok else "failed"}" sn="{rng.randrange(10**9)}" user="{user}" ui="https({address})" method="https" srcip={address} '
        f'dstip=10.20.50.1 action="login" status="{"success" if ok else "failed"}" reason="{"none" if ok else "passwd_invalid"}" '
        f'msg="Administrator {user} {"logged in successfully" if ok else "login failed"} from https({address})"'
    )
    return at, FILE, line.encode()


def config(at: float, user: str, address: str, path: str, obj: str) -> Event:
    """An administrator changed the configuration."""
    head = _head(at, "0100044547", 'type="event" subtype="system"', "information")
    line = f'{head} logdesc="Object attribute configured" user="{user}" ui="GUI({address})" action="Edit" cfgtid={int(at)} cfgpath="{path}" cfgobj="{obj}" cfgattr="comments[]" msg="Edit {path} {obj}"'  # noqa: E501
    return at, FILE, line.encode()


def vpn(rng: Random, at: float, user: str, address: str, action: str) -> Event:
    """SSL VPN: `tunnel-up`, `tunnel-down`, `ssl-login-fail`."""
    logid, desc, level = {
        "tunnel-up": ("0101039424", "SSL VPN tunnel up", "information"),
        "tunnel-down": ("0101039425", "SSL VPN tunnel down", "information"),
        "ssl-login-fail": ("0101039426", "SSL VPN login fail", "alert"),
    }[action]
    head = _head(at, logid, 'type="event" subtype="vpn"', level)
    reason = {"tunnel-up": "login successfully", "tunnel-down": "N/A", "ssl-login-fail": "sslvpn_login_unknown_user"}[action]
    line = (
        f'{head} logdesc="{desc}" action="{action}" tunneltype="ssl-{"web" if action == "ssl-login-fail" else "tunnel"}" tunnelid={rng.randrange(10**8, 2 * 10**9)} remip={address} '
        f'user="{user}" group="vpn-can-bo" dst_host="N/A" reason="{reason}" msg="SSL {"user failed to logged in" if action == "ssl-login-fail" else "tunnel " + action[7:]}"'
    )
    return at, FILE, line.encode()


def performance(rng: Random, at: float) -> Event:
    """The five-minute statistics of the device: its sign of life."""
    head = _head(at, "0100040704", 'type="event" subtype="system"', "notice")
    line = (
        f'{head} logdesc="System performance statistics" action="perf-stats" cpu={rng.randrange(3, 31)} mem={rng.randrange(41, 55)} totalsession={rng.randrange(900, 9000)} '
        f'disk=2 bandwidth="{rng.randrange(10, 900)}/{rng.randrange(10, 900)}" setuprate={rng.randrange(5, 80)} disklograte=0 fazlograte=0 freediskstorage=93412 sysuptime={int(at) % 10**7} waninfo="N/A" '  # noqa: E501
        f'msg="Performance statistics: average CPU: {rng.randrange(3, 31)}, memory: {rng.randrange(41, 55)}, concurrent sessions: {rng.randrange(900, 9000)}, setup-rate: {rng.randrange(5, 80)}"'
    )
    return at, FILE, line.encode()
