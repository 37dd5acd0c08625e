"""Suricata EVE JSON.

https://docs.suricata.io/en/latest/output/eve/eve-json-format.html
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from playbooks.drills.base import Event, as_json, iso

FILE: Final = "ids-thdl/eve.json"


@dataclass(frozen=True)
class Pair:
    """Both ends of a connection."""

    source: str
    destination: str
    port: int
    source_port: int
    protocol: str = "TCP"


def event(rng: Random, at: float, kind: str, pair: Pair, facts: dict[str, Any]) -> Event:
    """One EVE record: alert, http, dns, tls, flow."""
    body = {
        "timestamp": iso(at) + "+0700", "flow_id": rng.getrandbits(50), "in_iface": "bond0", "event_type": kind, "src_ip": pair.source,
        "src_port": pair.source_port, "dest_ip": pair.destination, "dest_port": pair.port, "proto": pair.protocol,
        "pkt_src": "wire/pcap", **facts,
    }  # fmt: skip
    return at, FILE, as_json(body)


def alert(rng: Random, at: float, pair: Pair, signature: list[Any], extra: dict[str, Any] | None = None) -> Event:
    """A signature matched: [sid, text, category, severity]; `extra`: what the application layer tells."""
    sid, text, category, severity = signature
    packets = {"pkts_toserver": rng.randrange(1, 9), "pkts_toclient": rng.randrange(9)}
    size = {"bytes_toserver": rng.randrange(60, 3000), "bytes_toclient": rng.randrange(3000)}
    found = {
        "action": "allowed", "gid": 1, "signature_id": sid, "rev": 4, "signature": text, "category": category, "severity": severity,
    }  # fmt: skip
    return event(rng, at, "alert", pair, {"alert": found, **(extra or {}), "direction": "to_server", "flow": packets | size})


def flow(rng: Random, at: float, pair: Pair, app: str, size: tuple[int, int]) -> Event:
    """A finished flow: bytes (to the server, to the client)."""
    sent, received = size
    body = {
        "pkts_toserver": sent // 700 + 1, "pkts_toclient": received // 1200 + 1, "bytes_toserver": sent, "bytes_toclient": received,
        "start": iso(at - 20) + "+0700", "end": iso(at) + "+0700", "age": 20, "state": "closed", "reason": "timeout", "alerted": False,
    }  # fmt: skip
    return event(rng, at, "flow", pair, {"app_proto": app, "flow": body})


def tls(rng: Random, at: float, pair: Pair, name: str) -> Event:
    """A TLS handshake with its server name."""
    return event(rng, at, "tls", pair, {"tls": {"sni": name, "version": "TLS 1.3", "ja3": {}, "ja3s": {}}})


def http(rng: Random, at: float, pair: Pair, request: tuple[str, str, str], agent: str, answer: tuple[int, int]) -> Event:
    """A request in clear text: (host, method, url)."""
    body = {
        "hostname": request[0], "url": request[2], "http_user_agent": agent, "http_method": request[1], "protocol": "HTTP/1.1",
        "status": answer[0], "length": answer[1],
    }  # fmt: skip
    return event(rng, at, "http", pair, {"tx_id": 0, "http": body})


def dns(rng: Random, at: float, pair: Pair, name: str) -> Event:
    """A DNS question."""
    body = {"type": "query", "id": rng.randrange(65536), "rrname": name, "rrtype": rng.choice(("A", "A", "AAAA")), "tx_id": 0, "opcode": 0}
    return event(rng, at, "dns", pair, {"dns": body})


def stats(at: float) -> Event:
    """The counters of the sensor: its sign of life."""
    up = int(at) % 10**6
    counters = {"capture": {"kernel_packets": up * 911, "kernel_drops": up // 50}, "decoder": {"pkts": up * 911, "bytes": up * 611_000}}
    body = {"timestamp": iso(at) + "+0700", "event_type": "stats", "stats": {"uptime": up, **counters, "detect": {"alert": up // 9}}}
    return at, FILE, as_json(body)
