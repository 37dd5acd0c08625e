"""event.category, event.type, event.outcome and event.action of FortiOS logs, and what login messages tell."""

from __future__ import annotations

import re
from typing import Final

from collectors.parsers._fortigate_map import EVENT, TRAFFIC, UTM, VPN
from collectors.parsers.common import Event, integer, ip

_LOGINS: Final = (
    re.compile(r"Login from \S+: (?P<outcome>\w+) for (?P<user>.+) from (?P<ip>\S+) port (?P<port>\d+)"),
    re.compile(r"(?P<role>Administrator) (?P<user>.+) login (?P<outcome>\w+) from [^(\s]*\((?P<ip>[^)]*)\)"),
    re.compile(r"(?P<role>Administrator) (?P<user>.+) logged in (?P<outcome>\w+) from [^(\s]*\((?P<ip>[^)]*)\)"),
)
_DENIED: Final = frozenset(("block", "blocked", "dropped", "deny", "reset", "clear_session"))
_PASSED: Final = frozenset(("pass", "passthrough", "detected", "allow"))
_LOGON: Final = frozenset(("FSSO-logon", "auth-logon"))
_LOGOFF: Final = frozenset(("FSSO-logoff", "auth-logout"))


def classify(family: int, said: dict[str, str | None]) -> Event:
    """Fields from one combination of action, utmaction, subtype, result, status, app and login message."""
    event = _FAMILY[family](said)
    message = said["login"]
    if message is not None and family & (EVENT | VPN):
        _login(event, message)
    return event


def _traffic(said: dict[str, str | None]) -> Event:
    action, utm = said["action"], said["utmaction"]
    kinds = ["connection"]
    if action:
        kinds.append("start" if action == "start" else "end")
    if said["app"] and action != "deny":
        kinds.append("protocol")
    if utm is None and action != "deny":
        kinds.append("allowed")
    if utm == "block" or action == "deny":
        kinds.append("denied")
    return {"event.category": ["network"], "event.type": kinds, "event.action": action, "event.outcome": "success" if action else None}


def _utm(said: dict[str, str | None]) -> Event:
    action = said["action"] or ""
    tests = (("denied", action in _DENIED), ("info", said["subtype"] == "dns"), ("allowed", action in _PASSED))
    kinds = [word for word, yes in tests if yes]
    return {"event.category": ["network"], "event.type": kinds or None, "event.outcome": "success" if action else None}


def _event(said: dict[str, str | None]) -> Event:
    action, subtype = said["action"], said["subtype"]
    categories, kinds = [], []
    if action in _LOGON or action in _LOGOFF:
        kinds.append("start" if action in _LOGON else "end")
    for yes, category, kind in (
        (subtype == "vpn", ["network"], ["connection"]),
        (action == "perf-stats", ["host"], ["info"]),
        (subtype == "update", ["host", "malware"], ["info"]),
        (subtype == "user", ["authentication"], []),
    ):
        if yes:
            categories += category
            kinds += kind
    outcome = _outcome(said)
    return {"event.category": categories or None, "event.type": kinds or None, "event.outcome": outcome, "event.action": action}


def _outcome(said: dict[str, str | None]) -> str | None:
    result, status, action = (said["result"] or "").lower(), (said["status"] or "").lower(), said["action"] or ""
    if result == "error" or status in ("negotiate_error", "failed", "failure") or "fail" in action:
        return "failure"
    if result == "ok" or status == "success" or action in _LOGON or action in _LOGOFF:
        return "success"
    return None


def _login(event: Event, message: str) -> None:
    """`Administrator admin login failed from https(2001:db8::1) because of invalid password`."""
    event["event.action"] = "login"
    event["event.type"] = event.get("event.type") or ["start"]
    categories = event.get("event.category")
    if not isinstance(categories, list) or "authentication" not in categories:
        event["event.category"] = [*(categories if isinstance(categories, list) else []), "authentication"]
    found = next((f for f in (pattern.match(message) for pattern in _LOGINS) if f), None)
    if found is None:
        return
    told = found.groupdict()
    word = told["outcome"].lower()
    event["event.outcome"] = "failure" if word.startswith("fail") else "success" if word.startswith("succ") else event.get("event.outcome")
    event |= {"user.roles": told.get("role"), "login user.name": told["user"], "login source.ip": ip(told["ip"])}
    event["login source.port"] = integer(told.get("port"))


_FAMILY: Final = {TRAFFIC: _traffic, UTM: _utm, EVENT: _event, VPN: _event}
