"""FortiGate (FortiOS) traffic, UTM and event logs in the default key=value format.

https://docs.fortinet.com/document/fortigate/7.6.0/fortios-log-message-reference  Names as Elastic's `fortinet_fortigate` has them.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _fortigate_map as maps
from collectors.parsers import _kv
from collectors.parsers._access import url_fields
from collectors.parsers._domain import question_fields
from collectors.parsers._fortigate_event import classify
from collectors.parsers._fortigate_map import ANY, EVENT, TRAFFIC, UTM, VPN
from collectors.parsers._kv import Coded
from collectors.parsers.common import (
    TIME,
    Ints,
    Mask,
    boolean,
    constant,
    epoch_times,
    failed,
    integer,
    internal,
    ip,
    iso_instant,
    joined,
    merge,
    several,
    where,
    zone,
)  # fmt: skip
from domain import fields

_FAMILIES: Final = {"traffic": TRAFFIC, "event": EVENT}
_ZONE: Final = re.compile(r'"?(?:[A-Z]{1,4})?([+-])(\d{1,2}):?(\d\d)"?')
_DEVICE: Final = r"(?:^| )(?:logid|log_id|devid|device_id)="
_MAC: Final = ("srcmac", "source_mac", "dstmac")


class FortiGate:
    """FortiOS key=value records."""

    name = "fortigate"

    def match(self, records: pa.Array) -> Mask:
        """A record that starts with a pair and holds type, and a log id or a device id."""
        keyed = pc.match_substring_regex(records, r'^\s*\w+="?[^\s=]')
        return where(keyed, records, lambda some: pc.and_(pc.match_substring_regex(some, _DEVICE), pc.match_substring(some, "type=")))

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set fortinet_fortigate.log; a record without type is a failed row."""
        raw = _kv.columns(payload.records)
        typed = raw.get("type")
        good = typed.codes >= 0 if typed is not None else np.zeros(len(payload.records), bool)
        if good.all() and len(good):
            return _Block(raw, payload).table()
        rows = np.arange(len(good), dtype=np.int32)
        bad = payload.records.take(pa.array(rows[~good]))
        parts = [(rows[~good], failed(bad, "not a FortiGate log: no type= in it"))]
        if good.any():
            part = Payload(payload.records.take(pa.array(rows[good])), payload.arrivals[good], payload.tz, {}, payload.wanted)
            parts.append((rows[good], _Block(_kv.columns(part.records), part).table()))
        return merge(len(good), parts)


class _Block:
    """The columns of one block on their way from FortiOS keys to ECS."""

    def __init__(self, raw: dict[str, Coded], payload: Payload) -> None:
        self.raw = {key: _without(column, "N/A") for key, column in raw.items()}
        self.size = len(payload.records)
        self.payload = payload
        self.family = self._families()
        self.out: dict[str, pa.Array] = {}
        self.coded: dict[str, Coded] = {}
        self.left = dict(self.raw)

    def table(self) -> pa.Table:
        """The finished events."""
        self._base()
        self._move(maps.RULES)
        self._move(maps.ADDRESSES)
        for name in {field for _, field, _ in maps.ADDRESSES} & set(self.coded):
            self.coded[name] = _each(self.coded[name], ip)
        self._numbers()
        self._times()
        self._network()
        self._content()
        self._categories()
        self._related()
        for name, column in self.coded.items():
            self.out.setdefault(name, column.array())
        self._rest()
        wanted = self.payload.wanted
        keep = {n: c for n, c in self.out.items() if len(c) != c.null_count and (wanted is None or n in wanted or n[0] in "@e")}
        return pa.table(keep)

    def _families(self) -> Ints:
        codes, known = _kv.combined(self.size, self.raw.get("type"), self.raw.get("subtype"))
        each = [VPN if sub == "vpn" and kind == "event" else _FAMILIES.get(kind or "", UTM) for kind, sub in known]
        return np.array(each, np.int32)[codes]

    def _base(self) -> None:
        fixed = {
            "event.kind": "event", "event.module": "fortinet_fortigate", "event.dataset": "fortinet_fortigate.log",
            "observer.vendor": "Fortinet", "observer.product": "Fortigate", "observer.type": "firewall",
        }  # fmt: skip
        for name, value in fixed.items():
            self.out[name] = constant(value, self.size)

    def _take(self, key: str, families: int) -> Coded | None:
        """What a key holds in these families; it is then no longer left over."""
        column = self.raw.get(key)
        if column is None:
            return None
        mine = (self.family & families) != 0
        if mine.all():
            if key not in maps.COPIED:
                self.left.pop(key, None)
            return column
        if key not in maps.COPIED and key in self.left:
            self.left[key] = self.left[key].where(~mine)
        return column.where(mine)

    def _move(self, rules: tuple[tuple[str, str, int], ...]) -> None:
        for key, name, families in rules:
            column = self._take(key, families)
            if column is not None and (column.codes >= 0).any():
                self.coded[name] = self.coded[name].or_else(column) if name in self.coded else column

    def _numbers(self) -> None:
        for key, name, families in maps.NUMBERS:
            column = self._take(key, families)
            if column is not None:
                values = column.mapped(_integers(column.values))
                self.out[name] = pc.coalesce(self.out[name], values) if name in self.out else values
        for whole, ends in (("network.bytes", "bytes"), ("network.packets", "packets")):
            parts = [self.out.get(f"{side}.{ends}") for side in ("source", "destination")]
            if parts[0] is not None and parts[1] is not None:
                self.out[whole] = pc.add(*(pc.bit_wise_and(part, (1 << 62) - 1) for part in parts))
        seconds = self.raw.get("duration")
        if seconds is not None:
            values = [n * 1_000_000_000 if n is not None and 0 <= n < 1 << 33 else None for n in map(integer, seconds.values.to_pylist())]
            self.out["event.duration"] = seconds.mapped(pa.array(values, pa.int64()))

    def _times(self) -> None:
        tz = self.raw.get("tz")
        codes, known = _kv.combined(self.size, self.raw.get("date"), self.raw.get("time"), tz)
        default = zone(self.payload.tz)
        stamps = [iso_instant(f"{d} {t}{_offset(z)}", default) if d and t else None for d, t, z in known]
        times = pa.array(stamps, TIME).take(pa.array(codes))
        start = self.raw.get("eventtime")
        if start is not None:
            self.out["event.start"] = start.mapped(epoch_times(_integers(start.values)))
            times = pc.coalesce(times, self.out["event.start"])
        self.out["@timestamp"] = times
        if tz is not None:
            self.coded["event.timezone"] = _each(tz, lambda v: _offset(v) or v)

    def _network(self) -> None:
        number = self.coded.get("network.iana_number")
        if number is not None:
            self.coded["network.transport"] = _each(number, maps.PROTOCOLS.get)
        for name, change in (("network.protocol", str.lower), ("rule.category", lambda v: v.replace(".", "-"))):
            if name in self.coded:
                self.coded[name] = _each(self.coded[name], change)
        for key, name in zip(_MAC, ("source.mac", "source.mac", "destination.mac"), strict=True):
            column = self._take(key, ANY)
            if column is not None:
                clean = _each(column, lambda v: re.sub(r"[:.]", "-", v).upper())
                self.coded[name] = self.coded[name].or_else(clean) if name in self.coded else clean
        said = _kv.get(self.raw, "dir", "direction")
        sides = [_each(c, _side) if c else None for c in (self.coded.get("source.ip"), self.coded.get("destination.ip"))]
        codes, known = _kv.combined(self.size, said, *sides)
        self.coded["network.direction"] = _recoded(codes, pa.array([_direction(*combination) for combination in known], pa.string()))
        self.left.pop("dir", None)
        self.left.pop("direction", None)

    def _content(self) -> None:
        """What is computed from one value: URL parts, DNS, TLS versions, names."""
        self._spread("url.original", url_fields, ("url.path", "url.query", "url.extension", "url.domain"))
        self._spread("dns.question.name", question_fields, ("dns.question.registered_domain", "dns.question.top_level_domain"))
        for key, name, change in (
            ("tlsver", "tls.version_protocol", lambda v: _tls(v)[0]), ("tlsver", "tls.version", lambda v: _tls(v)[1]),
            ("ipaddr", "dns.resolved_ip", lambda v: several(*v.split(", "))), ("srcname", "host.name", str.lower),
            ("subject", "email.subject", str), ("sender", "email.sender.address", str), ("from", "email.from.address", str),
            ("cc", "email.cc.address", str), ("dtype", "vulnerability.category", str), ("adminprof", "user.roles", str),
            ("san", "tls.server.x509.alternative_names", lambda v: several(*v.split(";"))),
            ("collectedemail", "email.from.address", str),
        ):  # fmt: skip
            if key in self.raw:
                self.coded[name] = _each(self.raw[key], change)
        if "tls.client.server_name" in self.coded and "destination.domain" not in self.coded:
            self.coded["destination.domain"] = self.coded["tls.client.server_name"]
        if "tls.server.issuer" in self.coded:
            self.coded["tls.server.x509.issuer.common_name"] = self.coded["tls.server.issuer"]
        for key in ("ipaddr", "san"):
            self.left.pop(key, None)
        if "handshake" in self.raw:
            full = self.raw["handshake"]
            self.out["tls.established"] = full.mapped(pa.array([boolean(v == "full") or None for v in full.values.to_pylist()], pa.bool_()))

    def _spread(self, source: str, of: object, names: tuple[str, ...]) -> None:
        column = self.coded.get(source)
        if column is None:
            return
        derived = [of(value) for value in column.values.to_pylist()]  # type: ignore[operator]
        for name in names:
            values = pa.array([event.get(name) for event in derived], pa.string())
            made = _recoded(column.codes, values)
            self.coded[name] = self.coded[name].or_else(made) if name in self.coded else made

    def _categories(self) -> None:
        raw = self.raw
        kinds = Coded(self.family, pa.array([str(n) for n in range(VPN + 1)]))
        message = self.coded.get("message")
        logins = _each(message, lambda v: v if "login" in v.lower() or "logged in" in v.lower() else None) if message else None
        names = ("action", "utmaction", "subtype", "result", "status")
        apps = _each(raw["app"], lambda _: "yes") if "app" in raw else None
        codes, known = _kv.combined(self.size, kinds, *(raw.get(name) for name in names), apps, logins)
        events = [classify(int(c[0] or 0), dict(zip((*names, "app", "login"), c[1:], strict=True))) for c in known]
        for name in ("event.category", "event.type", "event.outcome", "event.action", "user.roles"):
            self._prefer(name, codes, [event.get(name) for event in events], keep=name == "user.roles")
        for name in ("user.name", "source.user.name", "source.ip"):
            self._prefer(name, codes, [event.get(f"login {name}") for event in events], keep=False)
        ports = [event.get("login source.port") for event in events]
        if any(ports):
            made = pa.array(ports, pa.int64()).take(pa.array(codes))
            self.out["source.port"] = pc.coalesce(made, self.out["source.port"]) if "source.port" in self.out else made
        if "source.user.name" in self.coded:
            self._prefer("user.name", self.coded["source.user.name"].codes, self.coded["source.user.name"].values.to_pylist(), keep=True)

    def _prefer(self, name: str, codes: Ints, values: list[object], *, keep: bool) -> None:
        """Set a field from combinations; `keep`: what is there already stays."""
        texts = [several(*v) if isinstance(v, list) else v for v in values]
        if not any(texts):
            return
        made = _recoded(codes, pa.array(texts, pa.string()))
        old = self.coded.get(name)
        self.coded[name] = made if old is None else (old.or_else(made) if keep else made.or_else(old))

    def _related(self) -> None:
        groups = {
            "related.ip": ("source.ip", "destination.ip", "source.nat.ip", "destination.nat.ip", "dns.resolved_ip"),
            "related.user": ("source.user.name", "destination.user.name", "user.name"),
            "related.hosts": ("destination.address", "source.address", "host.name", "dns.question.name"),
            "related.hash": ("tls.server.hash.sha1", "fortinet.file.hash.crc32"),
        }
        extra = {"related.ip": ("ip", "assignip", "tunnelip")}
        for name, parts in groups.items():
            columns = [self.coded[p] for p in parts if p in self.coded] + [self.raw[k] for k in extra.get(name, ()) if k in self.raw]
            if not columns:
                continue
            self.out[name] = joined([column.array() for column in columns])

    def _rest(self) -> None:
        for key, column in self.left.items():
            if key not in maps.DROPPED and re.fullmatch(r"\w+", key):
                self.out[fields.normal(f"fortinet.firewall.{key}")] = column.array()


def _without(column: Coded, *markers: str) -> Coded:
    gone = pc.is_in(column.values, value_set=pa.array(["", *markers])).to_numpy(zero_copy_only=False)
    if not gone.any():
        return column
    return column.where(~np.append(gone, True)[column.codes])


def _recoded(codes: Ints, values: pa.Array) -> Coded:
    """Codes into values that may repeat or be null."""
    short = values.dictionary_encode()
    again = pc.fill_null(short.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Coded(np.append(again, np.int32(-1))[codes], short.dictionary)


def _each(column: Coded, change: object) -> Coded:
    return _recoded(column.codes, pa.array([change(v) for v in column.values.to_pylist()], pa.string()))  # type: ignore[operator]


def _integers(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return pa.array([integer(v) for v in values.to_pylist()], pa.int64())


def _offset(value: str | None) -> str:
    """`+0700` from `+0700`, `UTC+7:00`, `"-0300"`."""
    found = _ZONE.fullmatch(value or "")
    return f"{found[1]}{int(found[2]):02d}{found[3]}" if found else ""


def _direction(said: str | None, source: str | None, destination: str | None) -> str | None:
    """As the record says, else by private and public addresses."""
    if said:
        return maps.DIRECTIONS.get(said.lower(), "unknown")
    if not source or not destination:
        return None
    return {"in in": "internal", "in out": "outbound", "out in": "inbound", "out out": "external"}[f"{source} {destination}"]


def _side(address: str) -> str:
    return "in" if internal(address) else "out"


def _tls(value: str) -> tuple[str | None, str | None]:
    found = re.match(r"(\D*)(\d[\d.]*)", value.lower())
    if not found:
        return None, None
    return found[1], found[2] if "." in found[2] else f"{found[2]}.0"


PARSER: Final = FortiGate()
