"""Keycloak's event log (logger `org.keycloak.events`, level INFO for success). https://www.keycloak.org/server/logging"""

from __future__ import annotations

from playbooks.drills.base import Event, iso

FILE = "sso/keycloak.log"


def event(at: float, kind: str, facts: dict[str, str]) -> Event:
    """One user event; `facts` in the order in which Keycloak prints them; an `error` makes it a warning."""
    level = "WARN " if "error" in facts else "INFO "
    logger = "org.keycloak.events"
    pairs = ", ".join(
        [
            f'type="{kind}"',
            'realmId="9d2a4c1e-5a6b-4f0e-8c63-2f1f0f6f7a11"',
            'realmName="lamgiang"',
            *(f'{k}="{v}"' for k, v in facts.items()),
        ]
    )
    line = f"{iso(at, 3).replace('T', ' ').replace('.', ',')} {level}[{logger}] (executor-thread-{int(at * 7) % 48}) {pairs}"
    return at, FILE, line.encode()


def admin(at: float, operation: str, who: str, address: str, path: str) -> Event:
    """One administration event (a person changed users, clients or roles in the console)."""
    kind = path.split("/", maxsplit=1)[0].rstrip("s").upper()
    line = (
        f'{iso(at, 3).replace("T", " ").replace(".", ",")} INFO [org.keycloak.events] (executor-thread-{int(at * 7) % 48}) operationType="{operation}", '
        f'realmId="9d2a4c1e-5a6b-4f0e-8c63-2f1f0f6f7a11", realmName="lamgiang", clientId="security-admin-console", userId="{who}", ipAddress="{address}", '
        f'resourceType="{kind}", resourcePath="{path}"'
    )
    return at, FILE, line.encode()
