"""What officials do on an ordinary day: sign in, browse, work from home; applications talk over the integration platform."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from playbooks.drills.base import Event, spread, uuid, weighted
from playbooks.drills.lines import apigw, fortigate, keycloak, suricata
from playbooks.drills.lines.fortigate import Flow
from playbooks.drills.lines.suricata import Pair
from playbooks.drills.world import User, World

_BACKEND: Final = "10.20.20.40"
"""Address from which the applications redeem codes and tokens."""


@dataclass(frozen=True)
class Caller:
    """Somebody at the sign-in page."""

    account: str
    ident: str
    """User id in Keycloak; empty = there is no such account."""
    address: str
    client: str
    """The application they want."""


def single_sign_on(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody signs in to an application, works with it, signs out; sometimes with a typing error or a new password first."""
    user = rng.choice(world.users)
    address = user.home if rng.random() < 0.04 else user.ip6 if rng.random() < 0.2 else user.ip
    who = Caller(user.account, user.uuid, address, rng.choice(world.ordinary["sso_clients"]))
    events: list[Event] = []
    while rng.random() < 0.07 and len(events) < 4:
        events.append(failed(world, rng, at, who))
        at += rng.randrange(4, 25)
    session, length = uuid(rng), rng.randrange(600, 9000)
    events += [login(world, at, who, session), token(at + 0.3, who, session)]
    for when in spread(rng, at + 60, length, rng.randrange(0, 4)):
        facts = {"clientId": who.client, "userId": who.ident, "sessionId": session, "ipAddress": _BACKEND, "grant_type": "refresh_token"}
        events.append(keycloak.event(when, "REFRESH_TOKEN", {**facts, "client_auth_method": "client-secret"}))
    if rng.random() < 0.012:
        events.append(credential(at + 90, "UPDATE_PASSWORD", who))
    if rng.random() < 0.004:
        events.append(credential(at + 120, "UPDATE_TOTP", who))
    if rng.random() < 0.6:
        facts = {"clientId": who.client, "userId": who.ident, "sessionId": session, "ipAddress": address}
        events.append(keycloak.event(at + length + 90, "LOGOUT", facts))
    return events


def credential(at: float, change: str, who: Caller) -> Event:
    """Somebody changed a password, authenticator app or security key: UPDATE_... or REMOVE_..."""
    kind = "password" if "PASSWORD" in change else "otp" if "TOTP" in change else "webauthn"
    facts = {"clientId": "account-console", "userId": who.ident, "ipAddress": who.address, "credential_type": kind, "username": who.account}
    return keycloak.event(at, change, facts)


def login(world: World, at: float, who: Caller, session: str) -> Event:
    """LOGIN."""
    facts = {"clientId": who.client, "userId": who.ident, "sessionId": session, "ipAddress": who.address, "auth_method": "openid-connect"}
    facts |= {"auth_type": "code", "redirect_uri": f"https://{who.client}.{world.domain}/oidc/callback", "consent": "no_consent_required"}
    return keycloak.event(at, "LOGIN", facts | {"code_id": session, "username": who.account})


def token(at: float, who: Caller, session: str) -> Event:
    """CODE_TO_TOKEN: the application redeemed the code of the sign-in."""
    facts = {"clientId": who.client, "userId": who.ident, "sessionId": session, "ipAddress": _BACKEND, "grant_type": "authorization_code"}
    return keycloak.event(at, "CODE_TO_TOKEN", facts | {"code_id": session, "client_auth_method": "client-secret"})


def failed(world: World, rng: Random, at: float, who: Caller) -> Event:
    """LOGIN_ERROR: a wrong password, or no such user."""
    error = "invalid_user_credentials" if who.ident else "user_not_found"
    facts = {
        "clientId": who.client,
        "userId": who.ident or "null",
        "ipAddress": who.address,
        "error": error,
        "auth_method": "openid-connect",
    }
    facts |= {"auth_type": "code", "redirect_uri": f"https://{who.client}.{world.domain}/oidc/callback", "code_id": uuid(rng)}
    return keycloak.event(at, "LOGIN_ERROR", facts | {"username": who.account})


def browsing(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody (or an updater on the workstation) uses the Internet through the firewall."""
    user = rng.choice(world.users)
    events: list[Event] = []
    for when in spread(rng, at, 900, rng.randrange(2, 12)):
        host, category, port = rng.choice(world.ordinary["internet"])
        address = user.ip6 if rng.random() < 0.3 else user.ip
        flow = Flow(address, _resolved(host, six=":" in address), port, "wan1", "lan", country="Reserved", to=_country(host))
        size = rng.randrange(700, 30000), rng.randrange(2000, 900_000)
        events.append(fortigate.traffic(rng, when, flow, "close", size, (4, "LAN-ra-Internet")))
        dice, own = rng.random(), rng.randrange(20000, 65000)
        if dice < 0.30:
            passed = category != "Streaming Media and Download" or dice < 0.1
            events.append(fortigate.webfilter(rng, when, flow, user.account, (host, category, passed)))
        elif dice < 0.45:
            events.append(suricata.dns(rng, when - 0.2, Pair(user.ip, world.province["watch"]["dns"], 53, own, "UDP"), host))
        elif dice < 0.55:
            events.append(suricata.tls(rng, when, Pair(address, flow.destination, port, own), host))
    return events


def _country(host: str) -> str:
    return "United States" if host.endswith("com") else "Viet Nam"


def _resolved(host: str, *, six: bool) -> str:
    number = sum(host.encode()) * 31
    return f"2001:db8:f000::{number % 65000:x}" if six else f"198.19.{220 + number % 30}.{number % 250 + 1}"


def remote_work(world: World, rng: Random, at: float) -> list[Event]:
    """Somebody works from home through the VPN."""
    user: User = rng.choice(world.users)
    events: list[Event] = []
    if rng.random() < 0.1:
        events.append(fortigate.vpn(rng, at, user.account, user.home, "ssl-login-fail"))
        at += 20
    events.append(fortigate.vpn(rng, at, user.account, user.home, "tunnel-up"))
    events.append(fortigate.vpn(rng, at + rng.randrange(900, 12000), user.account, user.home, "tunnel-down"))
    return events


def api_call(world: World, rng: Random, at: float) -> list[Event]:
    """One application asks another for some records over the integration platform."""
    lgsp = world.ordinary["lgsp"]
    client = weighted(rng, ((c, c["weight"]) for c in lgsp["clients"]))
    user = rng.choice(world.users)
    person = "" if client["ip"] else user.account
    caller = apigw.Caller(client["ip"] or user.ip, client["id"], person, agent_of(lgsp, client["id"]))
    events = []
    for when in spread(rng, at, 120, rng.randrange(1, 7)):
        path = rng.choice(lgsp["apis"][rng.choice(client["apis"])]).format(id=record_number(rng))
        method = "POST" if path.endswith(("tra-cuu", "xac-thuc", "goi-tin", "phieu")) else "GET"
        status = weighted(rng, ((200, 95), (404, 2.2), (401, 0.6), (400, 0.8), (500, 0.4), (504, 0.3)))
        events.append(apigw.call(rng, when, caller, (method, path), (status, answer_size(rng, status))))
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
