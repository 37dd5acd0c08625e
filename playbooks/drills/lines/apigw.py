"""API gateway of the integration platform: WSO2 API Manager's access log.

https://apim.docs.wso2.com/en/latest/observe/api-manager/logging/monitoring-http-access-logs/
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from playbooks.drills.base import Event, iso, uuid

FILE = "lgsp/gateway.log"


@dataclass(frozen=True)
class Caller:
    """Who calls: address, application (consumer), person on whose behalf, HTTP library."""

    address: str
    client: str
    user: str
    agent: str


def call(rng: Random, at: float, caller: Caller, request: tuple[str, str], answer: tuple[int, int]) -> Event:
    """One call: (method, path), answered with (status, bytes)."""
    latency = rng.randrange(8, 240) if answer[0] != 504 else 30000 + rng.randrange(40)
    when = iso(at, 3).replace("T", " ").replace(".", ",")
    fields = (when, uuid(rng), caller.address, caller.client, caller.user or "-", *request, *answer, latency, caller.agent)
    line = "|".join(map(str, fields))
    return at, FILE, line.encode()
