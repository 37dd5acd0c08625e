"""Keycloak events: lines of the logger `org.keycloak.events`, other server log lines, and events as JSON.

https://www.keycloak.org/server/logging  https://www.keycloak.org/docs/latest/server_admin/#auditing-user-events
Names as Elastic's `keycloak.log` has them.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from collectors.base import Payload
from collectors.parsers import _json
from collectors.parsers._access import url_fields
from collectors.parsers.common import Event, Mask, ip, iso_instant, moment, table_of, text, zone

_LINE: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]+) +\[(?P<logger>[\w.$]+)\] \((?P<thread>[^)]*)\) (?P<message>.*)",
    re.DOTALL,
)
_TEXT: Final = (
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +\[org\.(?:keycloak[\w.$]*|key\.events)\] \("
    r"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +\[[\w.$]+\] \([^)]*\) (?:type|operationType)=\"?[A-Z_]+\"?, realmId="
)
_KIND: Final = r'"(?:type|operationType)"\s*:\s*"[A-Z_]+"'
_JSON: Final = rf'^\s*\{{.*{_KIND}.*"realmId"\s*:|^\s*\{{.*"realmId"\s*:.*{_KIND}'
_LOGGED: Final = r'^\s*\{.*"loggerName"\s*:\s*"org\.keycloak\.'
_PAIR: Final = re.compile(r'(?:^|, )([\w.]+)=(?:"((?:[^"\\]|\\.)*)"|((?:(?!, [\w.]+=).)*))', re.DOTALL)
_NAMES: Final = {
    "operationType": "keycloak.admin.operation", "resourceType": "keycloak.admin.resource.type",
    "resourcePath": "keycloak.admin.resource.path",
    "realmId": "keycloak.realm.id", "realmName": "keycloak.realm.name", "clientId": "keycloak.client.id", "userId": "user.id",
    "username": "user.name", "ipAddress": "source.address", "redirect_uri": "keycloak.login.redirect_uri",
    "auth_method": "keycloak.login.auth_method", "auth_type": "keycloak.login.auth_type", "code_id": "keycloak.login.code_id",
    "authSessionParentId": "keycloak.login.auth_session_parent_id", "authSessionTabId": "keycloak.login.auth_session_tab_id",
    "sessionId": "session.id", "identity_provider": "keycloak.identity_provider",
}  # fmt: skip
_TARGET: Final = re.compile(r"(users|groups)/([0-9a-f-]{36})")
_OPERATIONS: Final = {"CREATE": "creation", "UPDATE": "change", "DELETE": "deletion"}
_AUTHENTICATION: Final = re.compile(
    r"(?:LOGIN|LOGOUT|CODE_TO_TOKEN|REFRESH_TOKEN|CLIENT_LOGIN|IMPERSONATE|TOKEN_EXCHANGE|IDENTITY_PROVIDER_LOGIN|INTROSPECT_TOKEN|"
    r"USER_DISABLED_BY_\w+|OAUTH2_\w+|USER_INFO_REQUEST)(?:_ERROR)?"
)


class Keycloak:
    """Server log lines and JSON events."""

    name = "keycloak"

    def match(self, records: pa.Array) -> Mask:
        """Lines of Keycloak's own loggers, or of any logger whose message is an event; JSON objects with realm and event type."""
        mask: Mask = pc.match_substring_regex(records, f"{_TEXT}|{_JSON}|{_LOGGED}").to_numpy(zero_copy_only=False)
        return mask

    def parse(self, payload: Payload) -> pa.Table:
        """Rows of data set keycloak.log."""
        tz = zone(payload.tz)
        events = [_json_event(r, tz) if r.lstrip()[:1] == "{" else _line(r, tz) for r in payload.records.to_pylist()]
        return table_of(events, payload.records, "not a Keycloak log record")


def _line(record: str, tz: tzinfo) -> Event | None:
    """`2026-11-24 08:15:03,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="…", …`."""
    found = _LINE.fullmatch(record)
    if found is None:
        return None
    at = iso_instant(found["time"].replace(",", "."), tz)
    return _server(at, found["level"], found["logger"], found["thread"], found["message"])


def _server(at: datetime | None, level: str, logger: str, thread: str, message: str) -> Event:
    event: Event = {
        "@timestamp": at, "event.kind": "event", "event.module": "keycloak", "event.dataset": "keycloak.log", "log.level": level,
        "log.logger": logger, "keycloak.thread": thread, "message": message, "process.name": "keycloak",
    }  # fmt: skip
    pairs: dict[str, object] = {}
    for key, quoted, bare in _PAIR.findall(message) if "realmId=" in message else ():
        pairs.setdefault(key, (quoted or bare).replace('\\"', '"'))
    if "type" in pairs or "operationType" in pairs:
        event |= _facts(pairs)
    return event


def _json_event(record: str, tz: tzinfo) -> Event | None:
    """An event as a listener ships it, or a line of the server log in JSON format."""
    value = _json.loads(record)
    if value is None:
        return None
    logger = value.get("loggerName")
    if isinstance(logger, str) and isinstance(value.get("message"), str):
        at = iso_instant(text(value.get("timestamp", "")), tz)
        event = _server(at, text(value.get("level", "")), logger, text(value.get("threadName", "")), text(value["message"]))
        return event | ({"host.hostname": value["hostName"], "host.name": value["hostName"]} if value.get("hostName") else {})
    facts = {key: inner for key, inner in value.items() if not isinstance(inner, dict)}
    for nested in ("details", "authDetails", "representation"):
        inner = value.get(nested)
        if isinstance(inner, dict):
            facts |= inner
    time = value.get("time", value.get("@timestamp"))
    if "type" not in facts and "operationType" not in facts:
        return None
    base: Event = {
        "@timestamp": iso_instant(time, tz) if isinstance(time, str) else moment(time), "event.kind": "event",
        "event.module": "keycloak", "event.dataset": "keycloak.log", "process.name": "keycloak",
    }  # fmt: skip
    return base | _facts({key: inner for key, inner in facts.items() if key not in ("time", "@timestamp")})


def _facts(pairs: dict[str, object]) -> Event:
    """The facts of a user event (`type`) or of an administration event (`operationType`)."""
    event: Event = {}
    for key, value in pairs.items():
        if value is None or value in ("", "null") or key in ("type", "error"):
            continue
        event[_NAMES.get(key, f"keycloak.{'admin' if 'operationType' in pairs else 'login'}.{key}")] = value
    event["source.ip"] = ip(text(event.get("source.address", "")))
    event["related.ip"] = event["source.ip"]
    event |= {k: v for k, v in url_fields(text(event.get("keycloak.login.redirect_uri", ""))).items() if k == "url.domain"}
    _administration(event) if "operationType" in pairs else _user(event, text(pairs["type"]), pairs.get("error"))
    users = [text(event[name]) for name in ("user.name", "user.id", "user.target.id") if event.get(name)]
    return event | {"related.user": list(dict.fromkeys(users))}


def _user(event: Event, kind: str, error: object) -> None:
    failed = bool(error) or kind.endswith("_ERROR")
    types = ["info"] + ["start"] * (kind == "LOGIN") + ["end"] * (kind == "LOGOUT")
    event |= {
        "keycloak.event_type": "login", "keycloak.login.type": kind, "event.action": kind, "event.code": error, "event.type": types,
        "event.category": ["authentication"] if _AUTHENTICATION.fullmatch(kind) else ["iam"] if kind in _IAM else ["authentication"],
        "event.outcome": "failure" if failed else "success", "event.reason": error,
    }  # fmt: skip


_IAM: Final = frozenset(("UPDATE_PASSWORD", "UPDATE_PROFILE", "UPDATE_EMAIL", "REGISTER", "DELETE_ACCOUNT", "UPDATE_TOTP", "REMOVE_TOTP"))


def _administration(event: Event) -> None:
    operation, kind = text(event.get("keycloak.admin.operation", "")), text(event.get("keycloak.admin.resource.type", ""))
    target = _TARGET.match(text(event.get("keycloak.admin.resource.path", "")))
    if target:
        event["user.target.id" if target[1] == "users" else "group.id"] = target[2]
    types = ["info", "admin"] + [word for word in (_OPERATIONS.get(operation), {"USER": "user", "GROUP": "group"}.get(kind)) if word]
    action = f"{operation}-{kind}"
    event |= {
        "keycloak.event_type": "admin", "event.code": action, "event.action": action, "event.category": ["iam"], "event.type": types,
        "event.outcome": "success",
    }  # fmt: skip


PARSER: Final = Keycloak()
