"""What officials do on an ordinary day: sign in, browse, work from home; applications talk over the integration platform."""

from __future__ import annotations

from random import Random
from typing import Any

from playbooks.drills.base import Event, spread, uuid, weighted
from playbooks.drills.lines import apigw, fortigate, keycloak, suricata
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.world import User, World


def single_sign_on(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody signs in to an application, works with it, signs out; sometimes with a typing error or a new password first."""
    user = rng.choice(world.users)
    address = user.home if rng.random() < 0.04 else user.ip6 if rng.random() < 0.2 else user.ip
    client = rng.choice(world.ordinary["sso_clients"])
    events: list[Event] = []
    while rng.random() < 0.07 and len(events) < 4:
        events.append(failed(world, rng, at, (user.account, user.uuid, address), client))
        at += rng.randrange(4, 25)
    session = uuid(rng)
    events.append(login(world, rng, at, (user.account, user.uuid, address), client, session))
    token = {"clientId": client, "userId": user.uuid, "sessionId": session, "ipAddress": "10.20.20.40"}
    events.append(
        keycloak.event(
            at + 0.3,
            "CODE_TO_TOKEN",
            {**token, "grant_type": "authorization_code", "code_id": session, "client_auth_method": "client-secret"},
        )
    )
    length = rng.randrange(600, 9000)
    for when in spread(rng, at + 60, length, rng.randrange(0, 4)):
        events.append(
            keycloak.event(when, "REFRESH_TOKEN", {**token, "grant_type": "refresh_token", "client_auth_method": "client-secret"})
        )
    if rng.random() < 0.012:
        events.append(
            keycloak.event(
                at + 90,
                "UPDATE_PASSWORD",
                {**_who(user, address), "credential_type": "password", "custom_required_action": "UPDATE_PASSWORD"},
            )
        )
    if rng.random() < 0.004:
        events.append(
            keycloak.event(
                at + 120, "UPDATE_TOTP", {**_who(user, address), "credential_type": "otp", "custom_required_action": "CONFIGURE_TOTP"}
            )
        )
    if rng.random() < 0.6:
        events.append(
            keycloak.event(
                at + length + 90, "LOGOUT", {"clientId": client, "userId": user.uuid, "sessionId": session, "ipAddress": address}
            )
        )
    return events


def _who(user: User, address: str) -> dict[str, str]:
    return {"clientId": "account-console", "userId": user.uuid, "ipAddress": address, "username": user.account}


def login(world: World, rng: Random, at: float, who: tuple[str, str, str], client: str, session: str) -> Event:
    """LOGIN; who = (account, id, address)."""
    account, ident, address = who
    return keycloak.event(at, "LOGIN", {
        "clientId": client, "userId": ident, "sessionId": session, "ipAddress": address, "auth_method": "openid-connect", "auth_type": "code",
        "redirect_uri": f"https://{client}.{world.domain}/oidc/callback", "consent": "no_consent_required", "code_id": session, "username": account,
    })  # fmt: skip


def failed(world: World, rng: Random, at: float, who: tuple[str, str, str], client: str) -> Event:
    """LOGIN_ERROR: a wrong password, or no such user when the id is empty."""
    account, ident, address = who
    return keycloak.event(at, "LOGIN_ERROR", {
        "clientId": client, "userId": ident or "null", "ipAddress": address, "error": "invalid_user_credentials" if ident else "user_not_found",
        "auth_method": "openid-connect", "auth_type": "code", "redirect_uri": f"https://{client}.{world.domain}/oidc/callback", "code_id": uuid(rng), "username": account,
    })  # fmt: skip


def browsing(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody (or an updater on the workstation) uses the Internet through the firewall."""
    user = rng.choice(world.users)
    events: list[Event] = []
    for when in spread(rng, at, 900, rng.randrange(2, 12)):
        host, category, port = rng.choice(world.ordinary["internet"])
        address = user.ip6 if rng.random() < 0.3 else user.ip
        target = _resolved(host, six=":" in address)
        flow = Flow(
            address,
            target,
            port,
            inside="wan1",
            outside="lan",
            country="Reserved",
            to="United States" if host.endswith("com") else "Viet Nam",
        )
        events.append(
            fortigate.traffic(rng, when, flow, "close", (rng.randrange(700, 30000), rng.randrange(2000, 900_000)), (4, "LAN-ra-Internet"))
        )
        dice = rng.random()
        if dice < 0.30:
            events.append(
                fortigate.webfilter(
                    rng, when, flow, user.account, (host, category, category != "Streaming Media and Download" or dice < 0.1)
                )
            )
        elif dice < 0.45:
            pair = Pair(address, world.province["watch"]["dns"], 53, rng.randrange(20000, 65000), "UDP")
            events.append(suricata.dns(rng, when - 0.2, pair, host))
        elif dice < 0.55:
            events.append(suricata.tls(rng, when, Pair(address, target, port, rng.randrange(20000, 65000)), host))
    return events


def _resolved(host: str, *, six: bool) -> str:
    number = sum(host.encode()) * 31
    return f"2001:db8:f000::{number % 65000:x}" if six else f"198.19.{220 + number % 30}.{number % 250 + 1}"


def remote_work(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody works from home through the VPN."""
    user = rng.choice(world.users)
    events: list[Event] = []
    if rng.random() < 0.1:
        events.append(fortigate.vpn(rng, at, user.account, user.home, "ssl-login-fail"))
        at += 20
    length = rng.randrange(900, 12000)
    return [
        *events,
        fortigate.vpn(rng, at, user.account, user.home, "tunnel-up"),
        fortigate.vpn(rng, at + length, user.account, user.home, "tunnel-down"),
    ]


def api_call(world: World, rng: Random, at: float) -> list[Event]:
    """One application asks another for some records over the integration platform."""
    lgsp = world.ordinary["lgsp"]
    client = weighted(rng, ((c, c["weight"]) for c in lgsp["clients"]))
    user = rng.choice(world.users)
    events = []
    for when in spread(rng, at, 120, rng.randrange(1, 7)):
        api = rng.choice(client["apis"])
        path = rng.choice(lgsp["apis"][api]).format(id=record_number(rng))
        status = weighted(rng, ((200, 95), (404, 2.2), (401, 0.6), (400, 0.8), (500, 0.4), (504, 0.3)))
        caller = apigw.Caller(client["ip"] or user.ip, client["id"], user.account if not client["ip"] else "", agent_of(lgsp, client["id"]))
        events.append(
            apigw.call(
                rng,
                when,
                caller,
                ("POST" if path.endswith(("tra-cuu", "xac-thuc", "goi-tin", "phieu")) else "GET", path),
                (status, answer_size(rng, status)),
            )
        )
    return events


def agent_of(lgsp: dict[str, Any], client: str) -> str:
    """Every application has its own HTTP library."""
    return str(lgsp["agents"][sum(client.encode()) % len(lgsp["agents"])])


def record_number(rng: Random) -> str:
    """Number of a record, like the twelve digits of a citizen's card."""
    return f"0{rng.randrange(1, 97):02d}{rng.choice('0123')}{rng.randrange(40, 99):02d}{rng.randrange(10**6):06d}"


def answer_size(rng: Random, status: int) -> int:
    """Bytes of an answer."""
    return rng.randrange(600, 4800) if status == 200 else rng.randrange(120, 340)
