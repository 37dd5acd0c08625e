"""One connection to a cluster: TLS, credentials, retries, and errors in words. All that the engine says to it goes through here."""

from __future__ import annotations

import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import opensearchpy
import orjson
from opensearchpy.exceptions import AuthenticationException, ConnectionTimeout, SerializationError, SSLError, TransportError
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.serializer import Serializer

from domain.errors import ConfigError, StoreError
from domain.text import one_line, paired
from store.opensearch import answers

FIRST_PATIENCE: Final = 5.0
"""Seconds that a cluster never heard of is tried."""
PATIENCE: Final = 60.0
"""Seconds that a cluster which answered before is waited for: a node dies, a primary moves, a queue is full."""
FIRST_TIMEOUT: Final = 15.0
"""Seconds for one request at first: a node that hangs is found out then, and another one asked."""
TIMEOUT: Final = 60.0
"""Seconds for one request at most, when it is asked again."""
_AGAIN: Final = frozenset({429, 502, 503, 504})
_FAILING: Final = re.compile(r"node_|no_shard_|.*transport_exception|search_phase_execution_exception|unavailable_shards_exception")
"""Errors with status 500 that come of a node that goes away."""
MISSING: Final = "index_not_found_exception"
GONE: Final = {"ignore_unavailable": "true", "allow_no_indices": "true"}
"""Of indices that may be gone, or none yet."""
ALWAYS: Final = {"default_pipeline": "_none", "final_pipeline": "_none", "max_result_window": 10_000, "auto_expand_replicas": "0-1"}
"""Settings of every index of ours, whatever a template of others says: documents are stored as they are sent, a page is a page."""
OWN: Final = {**ALWAYS, "number_of_shards": 1, "mapping.total_fields.limit": 1_000, "mapping.depth.limit": 20}
"""Settings of our bookkeeping."""
_PORT: Final = 9200
_WANTED: Final = "store.url names an OpenSearch 2.x or 3.x cluster"
_FOR_GOOD: Final = re.compile(r"CERTIFICATE|certificate|WRONG_VERSION|wrong version|record layer|match|ALERT|alert")
"""TLS failures that do not pass by themselves."""

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


class TooLarge(Refused):
    """The request was too large for what stands between us and the cluster, or for the cluster."""

    def __init__(self, where: str) -> None:
        super().__init__(413, "too_large", "the request is larger than the cluster, or what stands before it, lets through", where)
        self.hint = "raise http.max_content_length of the cluster (100mb unless somebody lowered it) or the limit of the proxy before it"


class _Json(Serializer):
    """JSON by orjson; bytes go out as they are."""

    mimetype = "application/json"

    def dumps(self, data: object) -> bytes | str:
        return data if isinstance(data, bytes | str) else orjson.dumps(data)

    def loads(self, text: str) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        try:
            return orjson.loads(paired(text))  # documents of others may hold half a surrogate pair
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

    def search(self, index: str, body: Mapping[str, Any], patience: float | None = None) -> list[dict[str, Any]]:
        """The hits of one search (index "": the body names a point in time)."""
        return list(self.found(index, body, patience)["hits"]["hits"])

    def found(self, index: str, body: Mapping[str, Any], patience: float | None = None) -> dict[str, Any]:
        """The whole answer to a search. StoreError when a shard does not answer in time: a part of the truth is none."""
        params = {"allow_partial_search_results": "false", **({"ignore_unavailable": "true", "allow_no_indices": "true"} if index else {})}
        return self.complete(self.call("POST", f"/{index}/_search" if index else "/_search", body, params, patience=patience))

    def complete(self, answer: Any) -> dict[str, Any]:
        """The answer, when every shard has contributed to it."""
        if answer.get("_shards", {}).get("failed") or answer.get("timed_out"):
            raise self._partial(answer)
        return dict(answer)

    def refresh(self, index: str) -> None:
        """What was acknowledged can be found in every copy from now on."""
        self._until("POST", f"/{index}/_refresh", None, GONE, lambda answer: not answer["_shards"]["failed"])

    def documents(self, index: str, ids: Sequence[str], params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Documents by id as they are now, in that order: `found` says whether it is there, `error` that the whole index is not.

        A shard that does not answer is waited for: what cannot be read must not be taken for what is not there. Only the primary is
        asked: another copy may not have yet what was read a moment ago.
        """
        params = {"preference": "_primary", **(params or {})}
        answer = self._until("POST", f"/{index}/_mget", {"ids": list(ids)}, params, lambda a: not any(map(_unread, a["docs"])))
        return list(answer["docs"])

    def _until(self, method: str, path: str, body: object, params: Mapping[str, Any] | None, whole: Callable[[Any], bool]) -> Any:
        """Asked again until every shard has answered."""
        end, pause = time.monotonic() + PATIENCE, 0.1
        while not whole(answer := self.call(method, path, body, params)):
            if time.monotonic() + pause > end:
                raise self._partial(answer)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
        return answer

    def _partial(self, answer: Any) -> StoreError:
        shards = answer.get("_shards", {})
        told = [f.get("reason", {}) for f in shards.get("failures", ())] + [d["error"] for d in answer.get("docs", ()) if "error" in d]
        why = one_line(str(told[0].get("reason") or told[0].get("type")), 300) if told else "timed out"
        failed, total = shards.get("failed", 1), shards.get("total", 1)
        return StoreError(f"{failed} of {total} shards did not answer: {why}", where=self.where, hint="soc doctor")

    def make(self, index: str, properties: Mapping[str, object], settings: Mapping[str, object] | None = None) -> None:
        """An index of our own bookkeeping, when it is not there: one shard, a replica where there are nodes for it."""
        body = {
            "settings": {**OWN, **(settings or {})},
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
        with suppress(Lacking):  # a narrow role may not ask; what it may do, it may
            answers.about(self._patiently("GET", "/", None, None, FIRST_PATIENCE), self.where)
        self._known = True

    def _patiently(self, method: str, path: str, body: object, params: Mapping[str, Any] | None, patience: float) -> Any:
        """Every node is tried once at least; one that hangs costs FIRST_TIMEOUT, then the next ones are asked."""
        end, pause, limit = time.monotonic() + patience, 0.05, min(FIRST_TIMEOUT, max(patience, FIRST_PATIENCE))
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._open().perform_request(
                    method, path, params=dict(params or {}), body=body, headers=_headers(body), timeout=limit
                )
                if answers.genuine(method, path, answer):
                    return answer
                error = TransportError(200, "strange", answer)
            except SerializationError as strange:
                error = TransportError(200, "strange", str(strange))
            except TransportError as failed:
                error = failed
                if (said := self._explained(failed)) is not None:
                    raise said from None
            if tried >= len(self.access.hosts) and time.monotonic() + pause > end:
                raise self._given_up(error, time.monotonic() - end + patience)
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311  spreads retries, guards nothing
            pause = min(pause * 2, 2.0)
            limit = min(2 * limit, max(FIRST_TIMEOUT, end - time.monotonic()), TIMEOUT)

    def _explained(self, error: TransportError) -> StoreError | None:
        """What to tell; None when it may pass by itself."""
        if isinstance(error, SSLError) and _FOR_GOOD.search(str(error.info)):
            return answers.untrusted(error, self.where)
        if isinstance(error, Unreachable) or (error.status_code == 404 and not answers.absent(error)):
            return None
        kind, reason = answers.reason(error)
        if kind == "cluster_block_exception" and error.status_code in (403, 429):
            return answers.blocked(reason, self.where)
        if (lowered := answers.lowered(reason, self.where)) is not None:
            return lowered
        passing = error.status_code in _AGAIN or (error.status_code == 500 and _FAILING.match(kind))
        return None if passing else self._refused(error, kind, reason)

    def _refused(self, error: TransportError, kind: str, reason: str) -> StoreError:
        if isinstance(error, AuthenticationException) or error.status_code == 401:
            return self._unknown()
        if error.status_code == 403 and kind == "security_exception":
            return Lacking(reason, self.access.user, self.where)
        if error.status_code == 413:
            return TooLarge(self.where)
        if not isinstance(error.info, dict):
            return StoreError("something answers here, but it is no OpenSearch", where=self.where, hint=_WANTED)
        return Refused(int(error.status_code), kind, reason, self.where, error.info)

    def _unknown(self) -> StoreError:
        how = self.access
        if how.api_key:
            what = "the cluster does not accept this API key"
        elif how.user:
            what = f"the cluster does not know user {how.user} with this password"
        else:
            what = "the cluster does not accept this client certificate" if how.client_cert else "the cluster wants to know who asks"
        hint = "[store] user and password (${ENV} or file:PATH), api_key, or client_cert and client_key"
        return StoreError(what, where=self.where, hint=hint)

    def _given_up(self, error: TransportError, waited: float) -> StoreError:
        if isinstance(error, ConnectionTimeout):
            what = f"the cluster did not answer within {waited:.0f} s"
        elif isinstance(error, Unreachable):
            what = f"the cluster cannot be reached: {answers.innermost(error)}"
        elif error.status_code in (200, 404):
            what = f"what answers here is no OpenSearch, or not all of it: {answers.said(error, 120)}"
            return StoreError(what, where=self.where, hint=_WANTED)
        else:
            kind, reason = answers.reason(error)
            what = f"the cluster is too busy or has lost nodes ({error.status_code} {kind}): {reason}; tried for {waited:.0f} s"
        hint = "what was not stored is read again; is the cluster up? soc doctor"
        if not self._known and isinstance(error, Unreachable) and not isinstance(error, ConnectionTimeout):
            hint = "is the cluster up, and are host, port and https:// or http:// in store.url right? soc doctor"
        return StoreError(what, where=self.where, hint=hint)

    def _open(self) -> Any:
        if self._transport is None:
            self._transport = opensearchpy.Transport(
                [_host(h) for h in self.access.hosts], serializer=_Json(), serializers={"application/json": _Json(), "text/plain": _Json()},
                max_retries=0, retry_on_timeout=True, timeout=TIMEOUT, pool_maxsize=4,
                dead_timeout=5, timeout_cutoff=4, randomize_hosts=False, **self._credentials(),
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


def _unread(document: Mapping[str, Any]) -> bool:
    return "error" in document and document["error"].get("type") != MISSING


def _host(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port, "use_ssl": parts.scheme == "https", "url_prefix": parts.path.strip("/")}


def _headers(body: object) -> dict[str, str]:
    return {"content-type": "application/x-ndjson" if isinstance(body, bytes) else "application/json"}


def _bare(text: str) -> str:
    """A URL without credentials, for messages."""
    return text.rpartition("@")[2] if "@" in text else text
