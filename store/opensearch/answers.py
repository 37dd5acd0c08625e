"""What OpenSearch answers, told from what stands between us and it: load balancers, gateways, half an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from opensearchpy.exceptions import TransportError

from domain.errors import StoreError
from domain.text import one_line

_SIGNS: Final = tuple(
    (re.compile(pattern), signs)
    for pattern, signs in (
        (r"\S+ \S*/_bulk$", ("errors",)),
        (r"\S+ \S*/_mget$", ("docs",)),
        (r"\S+ \S*/_search/point_in_time$", ("pit_id", "pits")),
        (r"\S+ \S*/_search$", ("hits", "aggregations")),
        (r"\S+ \S*/_count$", ("count",)),
        (r"\S+ \S*/_refresh$", ("_shards",)),
        (r"GET \S*/_doc/[^/]+$", ("found",)),
        (r"\S+ \S*/(_doc|_create)/[^/]+$", ("result",)),
        (r"PUT /[^/_][^/]*$", ("acknowledged",)),
        (r"DELETE /[^/_][^/]*$", ("acknowledged",)),
        (r"PUT /(_index_template/[^/]+|[^/]+/_(mapping|settings))$", ("acknowledged",)),
        (r"GET /_index_template/[^/]+$", ("index_templates",)),
        (r"GET /$", ("version", "tagline", "name")),
    )
)
"""Method and path -> keys of which an answer has one at least. An empty object would else be taken for success."""
_ABSENT: Final = frozenset({"error", "found", "result", "pits"})
_LIMITS: Final = (
    ("maxClauseCount", "indices.query.bool.max_clause_count", 1_024),
    ("too many buckets", "search.max_buckets", 10_000),
)
"""What an error says, the setting that it is about, and what we need."""
_TOLD: Final = {
    "badstatusline": "what answers there speaks no HTTP",
    "refused": "connection refused",
    "resolve": "unknown host name",
    "not known": "unknown host name",
    "reset": "connection reset",
    "unreachable": "no route to the host",
    "timed out": "no connection in time",
    "aborted": "the connection broke off",
    "incomplete": "the connection broke off in mid-answer",
}


def genuine(method: str, path: str, answer: object) -> bool:
    """Whether this is an answer of OpenSearch to that request."""
    if isinstance(answer, dict):
        line = f"{method} {path}"
        return next((any(sign in answer for sign in signs) for pattern, signs in _SIGNS if pattern.match(line)), True)
    return not isinstance(answer, str)  # that is no JSON, or nothing at all


def absent(error: TransportError) -> bool:
    """Whether a 404 is the cluster's own: a gateway's would make what is there look empty."""
    return isinstance(error.info, dict) and bool(_ABSENT & error.info.keys())


def reason(error: TransportError) -> tuple[str, str]:
    """(type, reason) of a refusal."""
    info = error.info if isinstance(error.info, dict) else {}
    told = info.get("error")
    if not isinstance(told, dict):
        return str(info.get("status") or "error"), said(error, 200) if told is None else one_line(str(told), 200)
    kind, why, cause = str(told.get("type") or "error"), str(told.get("reason") or ""), told
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    inner = str(cause.get("reason") or "")
    return kind, one_line(f"{why}: {inner}" if inner and inner not in why else why, 500)


def said(error: TransportError, limit: int) -> str:
    """An answer that is none, as it came."""
    return one_line(str(error.error if error.info is None else error.info), limit)


def innermost(error: BaseException) -> str:
    """What happened to a connection, in words."""
    text = one_line(str(getattr(error, "info", None) or error), 400)
    return next((said for known, said in _TOLD.items() if known in text.lower()), text[:160] or type(error).__name__)


def lowered(why: str, where: str) -> StoreError | None:
    """A limit that somebody has set below what OpenSearch comes with; waiting does not help."""
    for sign, setting, least in _LIMITS:
        if sign in why:
            hint = f"set {setting} of the cluster to {least} or more"
            return StoreError(f"a limit of this cluster is too low: {why}", where=where, hint=hint)
    return None


def blocked(why: str, where: str) -> StoreError:
    """An index that takes nothing for the time being."""
    if "disk usage" in why or "read-only-allow-delete" in why or "allow delete" in why:
        what, hint = (
            "a disk of the cluster is too full, its indices are read-only",
            "make room on its disks (the block goes by itself then), and run it again",
        )
    else:
        what, hint = "the index is read-only", "lift the block (PUT INDEX/_settings: index.blocks.write null), then run it again"
    return StoreError(f"{what}: {why}", where=where, hint=f"{hint}; what was not stored is read again")


def untrusted(error: TransportError, where: str) -> StoreError:
    """TLS."""
    text = one_line(str(error.info or error), 400)
    if "expired" in text:
        what, hint = "the server's certificate has expired", "renew it on the cluster"
    elif "not yet valid" in text:
        what, hint = "the server's certificate is not yet valid", "are the clocks right, here and there?"
    elif "mismatch" in text or "doesn't match" in text:
        what, hint = "the server's certificate is for another name", "use the name that stands in the certificate in store.url"
    elif "WRONG_VERSION" in text or "wrong version" in text or "record layer" in text:
        what, hint = "the server does not speak TLS here", "store.url: http:// instead of https://, or switch TLS on"
    elif "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
        what, hint = "the server's certificate is signed by nobody we trust", '[store] ca = "PATH of the authority\'s PEM file"'
    else:
        what, hint = f"no safe connection: {text[:200]}", "docs/opensearch.md, TLS"
    return StoreError(what, where=where, hint=hint)


def about(answer: Any, where: str) -> None:
    """StoreError when what greets us is no OpenSearch."""
    version: Mapping[str, Any] = answer.get("version", {}) if isinstance(answer, dict) else {}
    if not isinstance(version, dict) or version.get("distribution") != "opensearch":
        number = version.get("number") if isinstance(version, dict) else None
        is_a = f"Elasticsearch {one_line(str(number), 20)}" if number else "no OpenSearch"
        raise StoreError(f"something answers here, but it is {is_a}", where=where, hint="store.url names an OpenSearch 2.x or 3.x cluster")
