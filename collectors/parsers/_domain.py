"""Registered domain of a host name, without a list: enough for names under .vn and the common second-level registries."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from collectors.parsers.common import Event

_SECOND: Final = frozenset((
    "com", "net", "org", "edu", "gov", "ac", "co", "int", "mil", "info", "biz", "name", "pro", "health", "go", "or", "ne",
    "re", "gob", "nom",
))  # fmt: skip


@lru_cache(1 << 14)
def split(name: str) -> tuple[str, str, str] | None:
    """(registered domain, top-level domain, rest) of `www.tayninh.gov.vn`: (`tayninh.gov.vn`, `gov.vn`, `www`); None for addresses."""
    labels = name.strip(".").lower().split(".")
    if len(labels) < 2 or labels[-1].isdigit() or not all(labels):
        return None
    suffix = 2 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND else 1
    if labels[-1] == "arpa":
        return None
    return ".".join(labels[-suffix - 1 :]), ".".join(labels[-suffix:]), ".".join(labels[: -suffix - 1])


def question_fields(name: str) -> Event:
    """dns.question.registered_domain, top_level_domain and subdomain of a queried name."""
    parts = split(name)
    if parts is None:
        return {}
    registered, top, rest = parts
    return {"dns.question.registered_domain": registered, "dns.question.top_level_domain": top, "dns.question.subdomain": rest or None}
