"""API gateways: WSO2 API Manager's gateway access log, its API log and analytics events, and the same facts as JSON or piped text.

https://apim.docs.wso2.com/en/4.1.0/observe/api-manager/monitoring-http-access-logs/
https://apim.docs.wso2.com/en/4.3.0/api-analytics/on-prem/elk-installation-guide/
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _json
from collectors.parsers._access import request_fields, url_fields
from collectors.parsers.common import Event, Mask, clf_instant, integer, ip, iso_instant, moment, outcome, table_of, text, zone

_STAMP: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3}(?:Z|[+-]\d\d:?\d\d)?"
_PIPED: Final = re.compile(
    rf"""
    (?P<time>{_STAMP})\|(?P<id>[^|]*)\|(?P<address>[^|]*)\|(?P<client>[^|]*)\|(?P<user>[^|]*)\|(?P<method>[A-Z]+)\|(?P<path>[^|]*)
    \|(?P<status>\d{{3}}|-)\|(?P<bytes>\d+|-)\|(?P<latency>\d+|-)(?:\|(?P<agent>.*))?
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYED: Final = re.compile(r"time=\[(?P<time>[^\]]+)\] (?P<pairs>remoteHostname=.*)", re.DOTALL)
_KEYED_PAIR: Final = re.compile(r"(?<!\w)(\w+)=(\S*)")
_FORWARDED: Final = re.compile(
    r'(?P<forwarded>[0-9A-Fa-f:., ]+|-) (?P<address>\S*) ?- (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)"'
    r' (?P<status>\d{3}|-) (?P<bytes>\d+|-) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)"(?P<more>(?: [\w.-]+=(?:"[^"]*"|\S+))+| -?\d+)?'
)
_PREFIX: Final = re.compile(
    r"\[?(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})?[^{]*?(?:\{API_LOG\}|apimMetrics:|apim:)[^{]*?(?P<json>\{.*\})\s*", re.DOTALL
)
_MATCH: Final = (
    rf"^{_STAMP}\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|[A-Z]+\|[^|]*\|(?:\d\d\d|-)\|"
    r"|^time=\[[^\]]+\] remoteHostname=|\{API_LOG\}|apimMetrics: ?apim:"
    r'|^\s*\{.*"(?:apiName|api_name|apiContext|apiTo|proxyResponseCode|api\.name)"\s*:'
)
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "api.name": ("apiName", "api_name", "api.name"),
    "api.version": ("apiVersion", "api_version", "api.version"),
    "api.context": ("apiContext", "api_context", "api.context"),
    "api.resource": ("apiResourceTemplate", "resource", "apiResource", "resourcePath", "api.resource"),
    "api.client.id": ("applicationConsumerKey", "consumerKey", "applicationId", "clientId", "client_id", "api.client.id"),
    "api.client.name": ("applicationName", "application", "api.client.name"),
    "api.client.organization": ("subscriberOrganization", "organizationId", "organization", "consumerOrg", "api.client.organization"),
    "api.records": ("recordCount", "records", "record_count", "api.records"),
    "api.latency": ("responseLatency", "latency", "totalLatency", "responseTime", "api.latency"),
    "api.backend_latency": ("backendLatency", "backendTime", "api.backend_latency"),
    "http.request.method": ("apiMethod", "verb", "httpMethod", "method", "requestMethod"),
    "url.original": ("requestUri", "apiResourcePath", "apiTo", "path", "uri", "requestURL"),
    "http.response.status_code": ("proxyResponseCode", "responseCode", "httpStatusCode", "HTTPStatusCode", "status", "statusCode"),
    "http.response.body.bytes": ("responseSize", "bytes", "responseBytes", "bodyBytesSent"),
    "http.request.body.bytes": ("requestSize", "requestBytes"),
    "source.address": ("userIp", "sourceIP", "clientIp", "client_ip", "remoteIP", "remoteHostname"),
    "user.name": ("userName", "username", "user"),
    "user_agent.original": ("userAgentHeader", "userAgent", "user_agent"),
    "http.request.id": ("correlationId", "correlationID", "requestId", "activityId"),
    "destination.domain": ("destination",),
    "error.code": ("errorCode",),
    "error.message": ("errorMessage",),
    "error.type": ("errorType",),
}
_TIMES: Final = ("requestTimestamp", "timestamp", "@timestamp", "time")


class ApiGateway:
    """Gateway calls, one record each."""

    name = "apigw"

    def match(self, records: pa.Array) -> Mask:
        """Piped or keyed access lines, WSO2's API log and metrics, JSON that names an API."""
        mask: Mask = pc.match_substring_regex(records, _MATCH).to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set wso2.api."""
        tz = zone(payload.tz)
        events = [_event(record, tz) for record in payload.records.to_pylist()]
        return table_of(events, payload.records, "not an API gateway record")


def _event(record: str, tz: tzinfo) -> Event | None:
    if record.lstrip()[:1] == "{":
        value = _json.loads(record)
        return _facts(_json.flat(value), tz) if value is not None else None
    piped = _PIPED.fullmatch(record)
    if piped:
        return _piped(piped, tz)
    keyed = _KEYED.fullmatch(record)
    if keyed:
        facts = dict(_KEYED_PAIR.findall(keyed["pairs"]))
        path = facts.pop("requestURL", "") + facts.pop("queryString", "")
        return _facts(facts | {"path": path, "time": clf_instant(keyed["time"])}, tz)
    logged = _PREFIX.fullmatch(record)
    value = _json.loads(logged["json"]) if logged else None
    if logged and value is not None:
        stamp = {"time": logged["time"].replace(",", ".")} if logged["time"] else {}
        return _facts(stamp | _json.flat(value), tz)
    return _access(record)


def _piped(found: re.Match[str], tz: tzinfo) -> Event:
    """`2026-11-24 08:15:03,120|<id>|192.0.2.1|client|user|GET|/hotich/1.0/khaisinh/1|200|512|87|agent`."""
    facts: Event = {
        "time": found["time"].replace(",", "."), "correlationId": found["id"], "userIp": found["address"], "clientId": found["client"],
        "user": found["user"], "method": found["method"], "path": found["path"], "status": found["status"], "bytes": found["bytes"],
        "latency": found["latency"], "userAgent": found["agent"],
    }  # fmt: skip
    return _facts({key: value for key, value in facts.items() if value not in ("-", "")}, tz)


def _access(record: str) -> Event | None:
    """`198.51.100.9 192.0.2.1 - - [24/Nov/2026:08:15:03 +0700] "GET /a/1.0/b HTTP/1.1" 200 512 "-" "agent" client=x api=y`."""
    found = _FORWARDED.fullmatch(record)
    at = clf_instant(found["time"]) if found else None
    if found is None or at is None:
        return None
    more = dict(re.findall(r'(?<![\w.-])([\w.-]+)=(?:"([^"]*)"|\S+)', found["more"] or ""))
    forwarded = next((a for a in map(ip, found["forwarded"].split(",")) if a), None)
    request = request_fields(found["request"].strip("- "))
    facts: Event = {
        "time": at, "userIp": forwarded or found["address"], "status": found["status"], "bytes": found["bytes"],
        "user": found["user"], "userAgent": found["agent"], **more,
    }  # fmt: skip
    event = _facts({key: value for key, value in facts.items() if value not in ("-", "")}, None)
    return event | request | {"http.request.referrer": found["referrer"] if found["referrer"] != "-" else None}


def _facts(facts: Event, tz: tzinfo | None) -> Event:
    """ECS fields from a flat mapping, whatever the gateway calls them; the rest below wso2."""
    event: Event = {"event.kind": "event", "event.module": "wso2", "event.dataset": "wso2.api"}
    left = dict(facts)
    for key in _TIMES:
        value = left.pop(key, None)
        if value is not None and "@timestamp" not in event:
            event["@timestamp"] = iso_instant(value, tz) if isinstance(value, str) and tz and not value.isdigit() else moment(value)
    for name, keys in _NAMES.items():
        for key in keys:
            value = left.pop(key, None)
            if value not in (None, "", "-", "UNKNOWN") and name not in event:
                event[name] = value
    _derive(event)
    for key, value in left.items():
        event[f"wso2.{key.removeprefix('properties.')}"] = value
    return event


def _derive(event: Event) -> None:
    address = text(event.get("source.address", ""))
    event["source.ip"] = event["related.ip"] = ip(address)
    event["related.user"] = event.get("user.name")
    if event.get("url.original"):
        event |= url_fields(text(event["url.original"]))
        _from_path(event)
    status = integer(event.get("http.response.status_code"))
    event["event.outcome"] = outcome(status)
    event["event.category"], event["event.type"] = ["web", "api"], ["access"]
    if status in (401, 403):
        event["event.type"] = ["access", "denied"]
    latency = integer(event.get("api.latency"))
    if latency is not None and 0 <= latency < 1 << 40:
        event["event.duration"] = latency * 1_000_000


def _from_path(event: Event) -> None:
    """`/hotich/1.0/khaisinh/7`: context /hotich/1.0, name hotich, version 1.0, when the record does not say so itself."""
    found = re.match(r"/?([^/]+)/(v?\d+(?:\.\d+)*)(/.*)?$", text(event.get("url.path", "")))
    if found:
        event.setdefault("api.name", found[1])
        event.setdefault("api.version", found[2])
        event.setdefault("api.context", f"/{found[1]}/{found[2]}")
        event.setdefault("api.resource", found[3])


PARSER: Final = ApiGateway()
