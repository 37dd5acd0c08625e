"""nginx: access log in the `combined` format, error log.

https://nginx.org/en/docs/http/ngx_http_log_module.html
"""

from __future__ import annotations

from dataclasses import dataclass

from playbooks.drills.base import Event, stamp


@dataclass(frozen=True)
class Client:
    """Who asks."""

    address: str
    agent: str
    referrer: str = "-"


def access(at: float, folder: str, client: Client, request: tuple[str, str], answer: tuple[int, int]) -> Event:
    """One request: (method, target), answered with (status, bytes of the body)."""
    when, agent = stamp(at, "%d/%b/%Y:%H:%M:%S"), client.agent.replace('"', "\\x22")
    asked = f"{request[0]} {request[1]} HTTP/1.1".replace('"', "\\x22")
    line = f'{client.address} - - [{when} +0700] "{asked}" {answer[0]} {answer[1]} "{client.referrer}" "{agent}"'
    return at, f"{folder}/access.log", line.encode()


def error(at: float, folder: str, client: Client, request: tuple[str, str], what: tuple[str, str]) -> Event:
    """What went wrong while answering: (host, message)."""
    worker = 811 + sum(client.address.encode()) % 4
    line = (
        f"{stamp(at, '%Y/%m/%d %H:%M:%S')} [error] {worker}#{worker}: *{int(at * 3) % 9_999_999} {what[1]}, client: {client.address}, "
        f'server: {what[0]}, request: "{request[0]} {request[1]} HTTP/1.1", host: "{what[0]}"'
    )
    return at, f"{folder}/error.log", line.encode()
