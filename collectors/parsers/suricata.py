"""Suricata EVE JSON: alert, http, dns, tls, flow, fileinfo, anomaly, stats and every other event type.

https://docs.suricata.io/en/latest/output/eve/eve-json-format.html  Names as Elastic's `suricata.eve` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _json
from collectors.parsers._access import spread
from collectors.parsers._domain import question_fields
from collectors.parsers.common import (
    TIME,
    Event,
    Mask,
    boolean,
    constant,
    failed,
    integer,
    integers,
    ips,
    iso_times,
    joined,
    map_distinct,
    merge,
    moment,
    outcome,
    several,
    where,
)  # fmt: skip
from domain import fields

MOVED: Final = {
    "ether.dest_mac": "destination.mac", "ether.src_mac": "source.mac", "dest_port": "destination.port", "src_port": "source.port",
    "community_id": "network.community_id", "http.http_method": "http.request.method", "http.status": "http.response.status_code",
    "http.hostname": "destination.domain", "http.url": "url.original", "http.http_refer": "http.request.referrer",
    "http.length": "http.response.body.bytes", "http.http_user_agent": "user_agent.original", "fileinfo.filename": "file.path",
    "fileinfo.size": "file.size", "alert.category": "rule.category", "alert.signature": "rule.name", "alert.severity": "event.severity",
    "flow.pkts_toclient": "destination.packets", "flow.pkts_toserver": "source.packets", "flow.bytes_toclient": "destination.bytes",
    "flow.bytes_toserver": "source.bytes", "dns.rcode": "dns.response_code", "dns.type": "dns.type", "tls.sni": "tls.client.server_name",
    "tls.ja3.hash": "tls.client.ja3", "tls.ja3s.hash": "tls.server.ja3s", "fileinfo.md5": "file.hash.md5",
    "fileinfo.sha1": "file.hash.sha1", "fileinfo.sha256": "file.hash.sha256",
}  # fmt: skip
COPIED: Final = {
    "alert.signature_id": "rule.id", "dns.id": "dns.id", "dns.rrname": "dns.question.name", "dns.rrtype": "dns.question.type",
    "tls.subject": "tls.server.subject", "tls.issuerdn": "tls.server.issuer", "alert.category": "message", "alert.signature": "rule.name",
    "dns.type": "dns.type", "dns.rcode": "dns.response_code", "tls.sni": "tls.client.server_name", "fileinfo.md5": "file.hash.md5",
    "fileinfo.sha1": "file.hash.sha1", "fileinfo.sha256": "file.hash.sha256", "tls.ja3.hash": "tls.client.ja3",
    "tls.ja3s.hash": "tls.server.ja3s",
}  # fmt: skip
"""Fields whose EVE key stays too, as Elastic keeps it."""
DROPPED: Final = frozenset(("timestamp", "src_ip", "dest_ip", "proto", "app_proto", "alert.action", "flow.start", "flow.end"))
_METADATA: Final = {
    "mitre_tactic_id": "threat.tactic.id", "mitre_tactic_name": "threat.tactic.name", "mitre_technique_id": "threat.technique.id",
    "mitre_technique_name": "threat.technique.name",
}  # fmt: skip
_OBJECTS: Final = frozenset((
    "flow", "tcp", "dns", "http", "tls", "tls.ja3", "tls.ja3s", "alert", "alert.metadata", "fileinfo", "anomaly", "stats", "ssh", "smb",
    "ether", "metadata",
))  # fmt: skip
_LIFTED: Final = frozenset((
    "attack_target", "capec_id", "cwe_id", "malware", "cve", "priority", "hostile", "infected", "protocols", "classtype", "rule_source",
    "sid",
))  # fmt: skip
_PLAIN: Final = ("dns", "ftp", "mqtt", "smb", "ssh", "tftp", "tls", "rdp")
_KINDS: Final[dict[str, Event]] = {
    "alert": {"event.kind": "alert", "event.category": ["network", "intrusion_detection"]},
    "http": {"event.category": ["network", "web"], "event.type": ["access", "protocol"]},
    "http2": {"event.category": ["network", "web"], "event.type": ["access", "protocol"]},
    "flow": {"event.type": ["connection"]},
    "netflow": {"event.type": ["connection"]},
    "stats": {"event.kind": "metric"},
    **{name: {"event.type": ["protocol"]} for name in (*_PLAIN, "ftp_data", "rfb")},
}
_PROTOCOLS: Final = {"ftp_data": "ftp", "http2": "http", "rfb": "rfb"} | {n: n for n in (*_PLAIN, "http")}
_NO_PROTOCOL: Final = frozenset(("failed", "template", "template-rust", ""))
_URL: Final = re.compile(r"([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_RDN: Final = re.compile(r"(?:^|, ?|/)(C|CN|L|O|OU|ST)=((?:\\.|[^,/\\])*)")
_X509: Final = {
    "C": "country", "CN": "common_name", "L": "locality", "O": "organization", "OU": "organizational_unit", "ST": "state_or_province",
}  # fmt: skip


class Suricata:
    """EVE records."""

    name = "suricata"

    def match(self, records: pa.Array) -> Mask:
        """A JSON object with a timestamp and an event type, as EVE begins; not one that Wazuh has put around it."""
        return where(pc.starts_with(records, '{"timestamp":'), records, _eve)

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set suricata.eve; a record that is no JSON object is a failed row."""
        flat = _json.flatten(payload.records, _OBJECTS)
        parts = []
        if len(flat.good):
            parts.append((flat.good, _Eve(flat.columns, len(flat.good), payload.tz).table(payload.wanted)))
        if len(flat.bad):
            parts.append((flat.bad, failed(payload.records.take(pa.array(flat.bad)), "not a JSON object")))
        return merge(len(payload.records), parts)


class _Eve:
    """The columns of one block on their way from EVE paths to ECS."""

    def __init__(self, eve: dict[str, pa.Array], size: int, tz: str) -> None:
        self.eve = eve
        self.size = size
        self.tz = tz
        self.out: dict[str, pa.Array] = {}

    def table(self, wanted: frozenset[str] | None) -> pa.Table:
        """The finished events."""
        self._base()
        self._move()
        self._network()
        self._http()
        self._dns()
        self._tls()
        self._related()
        self._rest()
        keep = {n: c for n, c in self.out.items() if c.null_count < self.size and (wanted is None or n in wanted or n[0] in "@e")}
        return pa.table(keep)

    def _get(self, path: str) -> pa.Array:
        return self.eve.get(path, pa.nulls(self.size, pa.string()))

    def _base(self) -> None:
        kinds = self._get("event_type").dictionary_encode()
        self.out["@timestamp"] = iso_times(self._get("timestamp"), self.tz)
        for name, value in (("event.module", "suricata"), ("event.dataset", "suricata.eve")):
            self.out[name] = constant(value, self.size)
        names = ("event.kind", "event.category", "event.type")
        self.out |= spread(
            _whole(kinds), lambda v: {"event.kind": "event", "event.category": ["network"]} | _KINDS.get(v.lower(), {}), names
        )
        for path, name in (("flow.start", "event.start"), ("flow.end", "event.end")):
            if path in self.eve:
                self.out[name] = iso_times(self.eve[path], self.tz)
        if "event.start" in self.out and "event.end" in self.out:
            micros = pc.subtract(*(self.out[n].cast(pa.int64()) for n in ("event.end", "event.start")))
            self.out["event.duration"] = pc.if_else(_within(micros), pc.multiply(_clip(micros), 1000), None)
        self._types()

    def _types(self) -> None:
        """flow.state adds start or end, alert.action adds allowed or denied."""
        pairs = (("flow.state", {"new": "start", "closed": "end"}.get), ("alert.action", lambda v: "denied" if v == "blocked" else v))
        for path, change in pairs:
            if path in self.eve:
                word = map_distinct(self.eve[path], pa.string(), change).cast(pa.string())
                have = self.out["event.type"].cast(pa.string()) if "event.type" in self.out else pa.nulls(self.size, pa.string())
                self.out["event.type"] = joined([have, word])

    def _move(self) -> None:
        for path, name in [*MOVED.items(), *COPIED.items()]:
            if path in self.eve:
                self.out[name] = _typed(name, self.eve[path])
        for whole, ends in (("network.bytes", "bytes"), ("network.packets", "packets")):
            parts = [self.out.get(f"{side}.{ends}") for side in ("source", "destination")]
            if all(part is not None for part in parts):
                self.out[whole] = pc.add(*(_clip(pc.fill_null(part, 0)) for part in parts))
                self.out[whole] = pc.if_else(pc.greater(self.out[whole], 0), self.out[whole], None)

    def _network(self) -> None:
        for path, side in (("src_ip", "source"), ("dest_ip", "destination")):
            if path in self.eve:
                self.out[f"{side}.address"] = self.eve[path]
                self.out[f"{side}.ip"] = ips(self.eve[path])
        if "proto" in self.eve:
            self.out["network.transport"] = map_distinct(self.eve["proto"], pa.string(), str.lower)
        by_kind = map_distinct(self._get("event_type"), pa.string(), lambda v: _PROTOCOLS.get(v.lower())).cast(pa.string())
        said = map_distinct(self._get("app_proto"), pa.string(), _protocol).cast(pa.string())
        self.out["network.protocol"] = pc.coalesce(said, by_kind)

    def _http(self) -> None:
        if "http.url" in self.eve:
            self.out |= spread(self.eve["http.url"].dictionary_encode(), _url, ("url.path", "url.query", "url.fragment"))
        if "http.hostname" in self.eve:
            self.out["url.domain"] = self.eve["http.hostname"]
        if "http.status" in self.eve:
            result = map_distinct(self.eve["http.status"], pa.string(), lambda v: outcome(integer(v)))
            self.out["event.outcome"] = _only(result, pc.equal(self._get("event_type"), "http"))

    def _dns(self) -> None:
        if "dns.rrname" in self.eve:
            derived = ("dns.question.registered_domain", "dns.question.top_level_domain")
            self.out |= spread(self.eve["dns.rrname"].dictionary_encode(), question_fields, derived)
        if "dns.answers" in self.eve:
            names = ("dns.answers.name", "dns.answers.type", "dns.answers.data", "dns.answers.ttl", "dns.resolved_ip")
            self.out |= spread(self.eve["dns.answers"].dictionary_encode(), _answers, names)
        flags = [(key, self.eve[f"dns.{key}"]) for key in ("aa", "tc", "rd", "ra") if f"dns.{key}" in self.eve]
        if flags:
            columns = [pc.if_else(pc.equal(values, "true"), key.upper(), pa.scalar(None, pa.string())) for key, values in flags]
            self.out["dns.header_flags"] = joined(columns)

    def _tls(self) -> None:
        for path, change in (("tls.version", _version), ("tls.subject", _rdn("subject")), ("tls.issuerdn", _rdn("issuer"))):
            if path in self.eve:
                coded = self.eve[path].dictionary_encode()
                self.out |= spread(coded, change, tuple(dict.fromkeys(n for v in coded.dictionary.to_pylist() for n in change(v))))
        for path, name in (("tls.notafter", "not_after"), ("tls.notbefore", "not_before")):
            if path in self.eve:
                times = map_distinct(self.eve[path], TIME, moment)
                self.out[f"tls.server.{name}"] = times
                self.out[f"tls.server.x509.{name}"] = pc.strftime(times, format="%Y-%m-%dT%H:%M:%SZ").cast(pa.string())
        if "tls.fingerprint" in self.eve:
            self.out["tls.server.hash.sha1"] = map_distinct(self.eve["tls.fingerprint"], pa.string(), lambda v: v.replace(":", "").upper())
        if "tls.serial" in self.eve:
            name = "tls.server.x509.serial_number"
            self.out[name] = map_distinct(self.eve["tls.serial"], pa.string(), lambda v: v.replace(":", ""))
        if "tls.session_resumed" in self.eve:
            self.out["tls.resumed"] = map_distinct(self.eve["tls.session_resumed"], pa.bool_(), boolean)
        if "tls.sni" in self.eve:
            names = map_distinct(self.eve["tls.sni"], pa.string(), lambda v: v.rstrip(".")).cast(pa.string())
            self.out["tls.client.server_name"] = names
            host = self.out.get("destination.domain")
            self.out["destination.domain"] = pc.coalesce(host, names) if host is not None else names

    def _related(self) -> None:
        source, target = (self.out.get(f"{side}.ip") for side in ("source", "destination"))
        if source is not None and target is not None:
            self.out["related.ip"] = joined([source, target])
        for name, path in (("related.hosts", "url.domain"), ("related.hash", "tls.server.hash.sha1")):
            if path in self.out:
                self.out[name] = self.out[path]

    def _rest(self) -> None:
        """Everything else below suricata.eve; what Elastic lifts out of the alert's metadata, lifted."""
        for path, column in self.eve.items():
            if path in DROPPED or (path in MOVED and path not in COPIED):
                continue
            key = path.removeprefix("alert.metadata.")
            name = _METADATA.get(key, f"suricata.eve.alert.{key}") if key != path and (key in _METADATA or key in _LIFTED) else ""
            name = name or fields.normal(f"suricata.eve.{path}")
            self.out.setdefault(name, _listed(column, array=fields.is_array(name)))


def _listed(column: pa.Array, *, array: bool) -> pa.Array:
    if not pc.any(pc.starts_with(column, "[")).as_py():
        return column
    return map_distinct(column, pa.string(), lambda v: _json.listed(v, array=array))


def _whole(coded: pa.DictionaryArray) -> pa.DictionaryArray:
    """A missing event type is an empty one."""
    return pc.fill_null(coded.cast(pa.string()), "").dictionary_encode() if coded.null_count else coded


def _within(micros: pa.Array) -> pa.Array:
    return pc.fill_null(pc.and_(pc.greater_equal(micros, 0), pc.less(micros, 1 << 52)), False)


def _clip(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.and_(pc.greater_equal(values, 0), pc.less(values, 1 << 52)), values, 0)


def _typed(name: str, values: pa.Array) -> pa.Array:
    return integers(values) if fields.arrow_type(name) == pa.int64() else values


def _only(values: pa.Array, mask: pa.Array) -> pa.Array:
    values = values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _protocol(value: str) -> str | None:
    return None if value.lower() in _NO_PROTOCOL else "ftp" if value.lower() == "ftp-data" else value.lower()


def _url(value: str) -> Event:
    found = _URL.fullmatch(value)
    return {"url.path": found[1] or None, "url.query": found[2], "url.fragment": found[3]} if found else {}


def _answers(value: str) -> Event:
    """dns.answers of EVE version 2: an array of {rrname, rrtype, ttl, rdata}."""
    try:
        answers = [a for a in orjson.loads(value) if isinstance(a, dict)]
    except (orjson.JSONDecodeError, TypeError):
        return {}
    out: Event = {}
    for key, name in (("rrname", "name"), ("rrtype", "type"), ("rdata", "data"), ("ttl", "ttl")):
        values = [str(a[key]) for a in answers if a.get(key) is not None]
        out[f"dns.answers.{name}"] = several(*values) if values else None
    addresses = [str(a.get("rdata")) for a in answers if a.get("rrtype") in ("A", "AAAA") and a.get("rdata")]
    return out | {"dns.resolved_ip": several(*addresses) if addresses else None}


def _version(value: str) -> Event:
    protocol, _, number = value.partition(" ")
    return {"tls.version_protocol": protocol.lower(), "tls.version": number} if number else {}


def _rdn(side: str) -> Callable[[str], Event]:
    def of(value: str) -> Event:
        return {f"tls.server.x509.{side}.{_X509[key]}": found.replace("\\", "") for key, found in _RDN.findall(value)}

    return of


def _eve(records: pa.Array) -> pa.Array:
    """Records with an event type and no other product's envelope (a quote inside a string is escaped: nobody can forge that)."""
    return pc.and_not(pc.match_substring(records, '"event_type":'), pc.match_substring(records, '"full_log":'))


PARSER: Final = Suricata()
