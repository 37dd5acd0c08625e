"""Keycloak's event log: logger `org.keycloak.events`, success at level INFO.

https://www.keycloak.org/server/logging
"""

from __future__ import annotations

from typing import Final

from playbooks.drills.base import Event, iso

FILE: Final = "sso/keycloak.log"
_REALM: Final = {"realmId": "9d2a4c1e-5a6b-4f0e-8c63-2f1f0f6f7a11", "realmName": "lamgiang"}


def event(at: float, kind: str, facts: dict[str, str]) -> Event:
    """One user event; `facts` in the order in which Keycloak prints them; an `error` makes it a warning."""
    return _line(at, "WARN" if "error" in facts else "INFO", {"type": kind, **_REALM, **facts})


def admin(at: float, operation: str, who: str, address: str, path: str) -> Event:
    """One administration event: a person changed users, clients or roles (`path`) in the console."""
    kind = path.split("/", maxsplit=1)[0].rstrip("s").upper()
    facts = {"clientId": "security-admin-console", "userId": who, "ipAddress": address, "resourceType": kind, "resourcePath": path}
    return _line(at, "INFO", {"operationType": operation, **_REALM, **facts})


def _line(at: float, level: str, pairs: dict[str, str]) -> Event:
    when = iso(at, 3).replace("T", " ").replace(".", ",")
    text = ", ".join([f'{k}="{v}"' for k, v in pairs.items()])
    return at, FILE, f"{when} {level:<5} [org.keycloak.events] (executor-thread-{int(at * 7) % 48}) {text}".encode()
