"""One connection to a cluster: TLS, credentials, retries, and errors in words. All that the engine says to it goes through here."""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import opensearchpy
import orjson
from opensearchpy.exceptions import AuthenticationException, ConnectionTimeout, SSLError, TransportError
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.serializer import Serializer

from domain.errors import ConfigError, StoreError

FIRST_PATIENCE: Final = 5.0
"""Seconds that a cluster never heard of is tried."""
PATIENCE: Final = 60.0
"""Seconds that a cluster which answered before is waited for: a node dies, a primary moves, a queue is full."""
TIMEOUT: Final = 60
"""Seconds for one request."""
_AGAIN: Final = frozenset({429, 502, 503, 504})
_PORT: Final = 9200
_WANTED: Final = "store.url names an OpenSearch 2.x or 3.x cluster"
_TOLD: Final = {
    "refused": "connection refused",
    "resolve": "unknown host name",
    "reset": "connection reset",
    "unreachable": "no route to the host",
}

logging.getLogger("opensearch").setLevel(logging.CRITICAL)  # its lines hold addresses; we say what failed ourselves


class Refused(StoreError):
    """The cluster understood the request and said no."""

    def __init__(self, status: int, kind: str, reason: str, where: str, info: object = None) -> None:
        super().__init__(f"OpenSearch refused ({status} {kind}): {reason}", where=where, hint="soc doctor")
        self.status = status
        self.kind = kind
        self.reason = reason
        self.info: Mapping[str, Any] = info if isinstance(info, dict) else {}


class Lacking(Refused):
    """The user lacks a privilege."""

    def __init__(self, reason: str, user: str, where: str) -> None:
        super().__init__(403, "security_exception", reason, where)
        self.what = f"{f'user {user}' if user else 'this access'} may not do that: {reason}"
        self.hint = "docs/opensearch.md, Roles: give the user the role that holds this privilege"


class _Json(Serializer):
    """JSON by orjson; bytes go out as they are."""

    mimetype = "application/json"

    def dumps(self, data: object) -> bytes | str:
        return data if isinstance(data, bytes | str) else orjson.dumps(data)

    def loads(self, text: str) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text


@dataclass(frozen=True)
class Access:
    """How to reach a cluster."""

    hosts: tuple[str, ...]
    """URLs of nodes, without credentials."""
    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca: str = ""
    """PEM file of the authority that signed the server's certificate; empty = the system's."""
    client_cert: str = ""
    client_key: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        """For messages."""
        return ",".join(self.hosts)


def access(url: str, options: Mapping[str, Any]) -> Access:
    """From `store.url` (nodes separated by commas) and the options beside it. ConfigError when they make no sense."""
    hosts, user, password = [], str(options.get("user", "")), str(options.get("password", ""))
    for text in url.split(","):
        parts = urlsplit(text.strip())
        try:
            port = parts.port or _PORT
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise ConfigError(f"store.url {_bare(text)}: https://HOST:PORT, several nodes separated by commas", hint="soc config check")
        if parts.username:
            user, password = unquote(parts.username), unquote(parts.password or "")
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        hosts.append(f"{parts.scheme}://{name}:{port}{parts.path.rstrip('/')}")
    rest = {k: str(options.get(k, "")) for k in ("api_key", "ca", "client_cert", "client_key")}
    return Access(tuple(hosts), user, password, **rest)


def connect(url: str, options: Mapping[str, Any] | None = None) -> Cluster:
    """A connection that is made at the first call. ConfigError for wrong options."""
    return Cluster(access(url, options or {}))


class Cluster:
    """Sends requests, retries what may pass, and says what does not."""

    def __init__(self, how: Access) -> None:
        self.access = how
        self.where = how.where
        self._transport: Any = None
        self._known = False

    def call(
        self, method: str, path: str, body: object = None, params: Mapping[str, Any] | None = None, *, missing: bool = False,
        patience: float | None = None,
    ) -> Any:  # fmt: skip
        """The parsed answer; None for a 404 when `missing` is allowed. `body`: bytes (NDJSON) as they are, all else as JSON.

        Refused when the cluster says no, StoreError when it does not answer for `patience` seconds.
        """
        if not self._known:
            self._greet()
        try:
            return self._patiently(method, path, body, params, PATIENCE if patience is None else patience)
        except Refused as error:
            if error.status == 404 and missing:
                return None
            raise

    def bulk(self, body: bytes) -> Sequence[Mapping[str, Any]]:
        """The items of one `_bulk` request, in order: each {"status", "error"?, "_id", ...}."""
        answer = self.call("POST", "/_bulk", body)
        return [next(iter(item.values())) for item in answer["items"]]

    def search(self, index: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The hits of one search (index "": the body names a point in time).

        StoreError when a shard did not answer: a part of the truth is none.
        """
        answer = self.call("POST", f"/{index}/_search" if index else "/_search", body, {"ignore_unavailable": "true"} if index else {})
        return list(self.complete(answer)["hits"]["hits"])

    def complete(self, answer: Any) -> dict[str, Any]:
        """The answer, when every shard has contributed to it."""
        shards = answer.get("_shards", {})
        if shards.get("failed") or answer.get("timed_out"):
            why = next((str(f.get("reason", {}).get("reason", "")) for f in shards.get("failures", ())), "timed out")
            raise StoreError(
                f"{shards.get('failed', 0)} of {shards.get('total', 0)} shards did not answer: {why[:300]}",
                where=self.where,
                hint="soc doctor",
            )
        return dict(answer)

    def make(self, index: str, properties: Mapping[str, object], settings: Mapping[str, object] | None = None) -> None:
        """An index of our own bookkeeping, when it is not there: one shard, a replica where there are nodes for it."""
        body = {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1", **(settings or {})},
            "mappings": {"dynamic": False, "properties": dict(properties)},
        }
        try:
            self.call("PUT", f"/{index}", body)
        except Refused as error:
            if error.kind != "resource_already_exists_exception":
                raise

    def close(self) -> None:
        """Release the sockets."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _greet(self) -> None:
        """First contact: whether anybody is there, and whether it is OpenSearch."""
        try:
            about = self._patiently("GET", "/", None, None, FIRST_PATIENCE)
        except Lacking:
            about = {"version": {"distribution": "opensearch"}}  # a narrow role may not ask; what it may do, it may
        version = about.get("version", {}) if isinstance(about, dict) else {}
        if version.get("distribution") != "opensearch":
            is_a = f"Elasticsearch {version.get('number')}" if version.get("number") else "no OpenSearch"
            raise StoreError(
                f"something answers here, but it is {is_a}", where=self.where, hint="store.url names an OpenSearch 2.x or 3.x cluster"
            )
        self._known = True

    def _patiently(self, method: str, path: str, body: object, params: Mapping[str, Any] | None, patience: float) -> Any:
        end, pause = time.monotonic() + patience, 0.05
        while True:
            try:
                return self._open().perform_request(method, path, params=dict(params or {}), body=body, headers=_headers(body))
            except TransportError as error:
                said = self._explained(error)
                if said is not None:
                    raise said from None
                if time.monotonic() + pause > end:
                    raise self._given_up(error, patience) from None
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311  spreads retries, guards nothing
            pause = min(pause * 2, 2.0)

    def _explained(self, error: TransportError) -> StoreError | None:
        """What to tell; None when it may pass by itself."""
        if isinstance(error, SSLError):
            return self._untrusted(error)
        if isinstance(error, Unreachable) or error.status_code in _AGAIN:
            return None
        if isinstance(error, AuthenticationException) or error.status_code == 401:
            who = f"user {self.access.user}" if self.access.user else "nobody" if not self.access.api_key else "this API key"
            return StoreError(
                f"the cluster does not know {who} with this password", where=self.where,
                hint="[store] user and password (${ENV} or file:PATH), api_key, or client_cert and client_key",
            )  # fmt: skip
        kind, reason = _reason(error)
        if error.status_code == 403 and kind == "security_exception":
            return Lacking(reason, self.access.user, self.where)
        if not isinstance(error.info, dict):
            return StoreError(
                "something answers here, but it is no OpenSearch", where=self.where, hint="store.url names an OpenSearch 2.x or 3.x cluster"
            )
        return Refused(int(error.status_code), kind, reason, self.where, error.info)

    def _untrusted(self, error: TransportError) -> StoreError:
        text = str(error.info or error)
        if "expired" in text:
            what, hint = "the server's certificate has expired", "renew it on the cluster"
        elif "mismatch" in text or "doesn't match" in text:
            what, hint = "the server's certificate is for another name", "use the name that stands in the certificate in store.url"
        elif "WRONG_VERSION" in text or "wrong version" in text or "record layer" in text:
            what, hint = "the server does not speak TLS here", "store.url: http:// instead of https://, or switch TLS on"
        elif "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
            what, hint = "the server's certificate is signed by nobody we trust", '[store] ca = "PATH of the authority\'s PEM file"'
        else:
            what, hint = f"no safe connection: {text.splitlines()[0][:200]}", "docs/opensearch.md, TLS"
        return StoreError(what, where=self.where, hint=hint)

    def _given_up(self, error: TransportError, patience: float) -> StoreError:
        if isinstance(error, ConnectionTimeout):
            what = f"the cluster did not answer within {TIMEOUT} s"
        elif isinstance(error, Unreachable):
            what = f"the cluster cannot be reached: {_innermost(error)}"
        else:
            kind, reason = _reason(error)
            what = f"the cluster is too busy or has lost nodes ({error.status_code} {kind}): {reason}; tried for {patience:.0f} s"
        return StoreError(what, where=self.where, hint="what was not stored is read again; is the cluster up? soc doctor")

    def _open(self) -> Any:
        if self._transport is None:
            self._transport = opensearchpy.Transport(
                [_host(h) for h in self.access.hosts], serializer=_Json(), serializers={"application/json": _Json(), "text/plain": _Json()},
                max_retries=max(1, len(self.access.hosts) - 1), retry_on_timeout=False, timeout=TIMEOUT, pool_maxsize=4,
                dead_timeout=1, timeout_cutoff=0, randomize_hosts=False, **self._credentials(),
            )  # fmt: skip
        return self._transport

    def _credentials(self) -> dict[str, Any]:
        how = self.access
        out: dict[str, Any] = {}
        if how.api_key:
            out["headers"] = {"Authorization": f"ApiKey {how.api_key}"}
        elif how.user:
            out["http_auth"] = (how.user, how.password)
        if any(h.startswith("https:") for h in how.hosts):
            out["ssl_context"] = _context(how)
        return out


def _context(how: Access) -> ssl.SSLContext:
    """Verified always."""
    try:
        context = ssl.create_default_context(cafile=how.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"store.ca {how.ca}: {getattr(error, 'strerror', None) or 'not a PEM certificate'}", hint="soc config check"
        ) from None
    if how.client_cert:
        for name, path in (("client_cert", how.client_cert), ("client_key", how.client_key)):
            if path and not Path(path).is_file():
                raise ConfigError(f"store.{name}: no such file: {path}", hint="soc config check")
        try:
            context.load_cert_chain(how.client_cert, how.client_key or None)
        except (OSError, ssl.SSLError):
            raise ConfigError(f"store.client_cert {how.client_cert}: not a PEM certificate with its key", hint="soc config check") from None
    return context


def _host(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port, "use_ssl": parts.scheme == "https", "url_prefix": parts.path.strip("/")}


def _headers(body: object) -> dict[str, str]:
    return {"content-type": "application/x-ndjson" if isinstance(body, bytes) else "application/json"}


def _reason(error: TransportError) -> tuple[str, str]:
    """(type, reason) of an answer."""
    info = error.info if isinstance(error.info, dict) else {}
    told = info.get("error")
    if not isinstance(told, dict):
        return str(error.error or "error"), str(told or error.info or "")[:300]
    kind, reason, cause = str(told.get("type") or "error"), str(told.get("reason") or ""), told
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    inner = str(cause.get("reason") or "")
    return kind, (f"{reason}: {inner}" if inner and inner not in reason else reason)[:500]


def _innermost(error: BaseException) -> str:
    text = str(getattr(error, "info", None) or error)
    for known, said in (
        ("refused", "connection refused"),
        ("resolve", "unknown host name"),
        ("reset", "connection reset"),
        ("unreachable", "no route to the host"),
    ):
        if known in text.lower():
            return said
    return text.splitlines()[0][:160] if text else type(error).__name__


def _bare(text: str) -> str:
    """A URL without credentials, for messages."""
    return text.rpartition("@")[2] if "@" in text else text
