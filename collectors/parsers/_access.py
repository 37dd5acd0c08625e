"""Access log lines of web servers: common, combined, with virtual host in front, X-Forwarded-For in front or behind.

https://httpd.apache.org/docs/2.4/logs.html#accesslog  https://nginx.org/en/docs/http/ngx_http_log_module.html
Whole blocks go through one pattern; a block in which one line is odd goes line by line, so that no byte a client sends costs a record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.parsers.common import (
    V4_ONLY,
    Event,
    blank,
    clf_times,
    constant,
    failed,
    integer,
    integers,
    internal,
    ip,
    map_distinct,
    merge,
    outcome,
    several,
)  # fmt: skip

STAMP: Final = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
NGINX_START: Final = rf'^[^\[{{<]+ (?:.* )?{STAMP} ".*" (?:\d{{3}}|-) \d+ "'
"""RE2: nginx always writes a number of bytes, and referrer and agent."""
_QUOTED: Final = r'"([^"\\\n]*(?:\\.[^"\\\n]*)*)"'
_BLOCK: Final = re.compile(
    rf'^([^ \n"]+) [^ \n]+ ([^ \n]+) '
    rf"\[(\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d [+-]\d{{4}})\] {_QUOTED} (\d{{3}}|-) (\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}([^\n]*))?$",
    re.MULTILINE,
)
_TIME: Final = re.compile(r' ?\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "', re.ASCII)
_STATUS: Final = re.compile(r'" (\d{3}|-) (\d+|-)(?= |$)', re.ASCII)
_ENDING: Final = re.compile(rf" {_QUOTED} {_QUOTED}(.*)", re.DOTALL)
_REQUEST: Final = re.compile(r"([A-Za-z_-]{1,32}) (.*) HTTP/(\d(?:\.\d)?)", re.DOTALL)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(\d{1,5}))?")
_EXTENSION: Final = re.compile(r"\.([A-Za-z0-9_]{1,16})$")
_CHUNK: Final = 4096
Line = tuple[str, ...]
"""left, user, time, request, status, bytes, referrer, agent, tail."""
_ODD: Final[Line] = ("",) * 9


def lines_of(records: Sequence[str]) -> tuple[list[Line], list[int]]:
    """The nine parts of every line, and the numbers of the lines that are no access log lines (their parts are empty)."""
    out: list[Line] = []
    bad: list[int] = []
    for start in range(0, len(records), _CHUNK):
        part = records[start : start + _CHUNK]
        block = "\n".join(part)
        found = _BLOCK.findall(block)
        if len(found) == len(part) and block.count("\n") == len(part) - 1:
            out += found
            continue
        for number, record in enumerate(part, start):
            line = one(record)
            if line is None:
                bad.append(number)
            out.append(line or _ODD)
    return out, bad


def one(record: str) -> Line | None:
    """One line, however odd what clients put between the quotes; linear in its length."""
    stamp = _TIME.search(record)
    if stamp is None:
        return None
    left, dash, user = _head(record[: stamp.start()])
    status = _STATUS.search(record, stamp.end() - 1)
    if status is None or not dash:
        return None
    request = record[stamp.end() : status.start()]
    ending = _ENDING.fullmatch(record, status.end())
    referrer, agent, tail = ending.groups() if ending else _lenient(record[status.end() :])
    return (left, user, stamp[1], request, status[1], status[2], referrer, agent, tail)


def _head(head: str) -> tuple[str, str, str]:
    """`address - user`, `address ident user`, `address -`: (address, anything, user); empty when it is none of them."""
    if " - " in head:
        return head.partition(" - ")
    if head.endswith(" -"):
        return head[:-2], "-", "-"
    words = head.rsplit(" ", 2)
    return (words[0], " ", words[2]) if len(words) == 3 else ("", "", "")


def _lenient(rest: str) -> tuple[str, str, str]:
    """Referrer and agent where quotes are not escaped: up to the first `" "`, then up to the last quote."""
    referrer, _, agent = rest.strip().strip('"').partition('" "')
    return referrer, agent, ""


def parse(records: pa.Array, product: str, wanted: frozenset[str] | None) -> pa.Table:
    """Rows of data set `<product>.access`; a line that is none is a failed row."""
    lines, bad = lines_of(records.to_pylist())
    rows = np.arange(len(records), dtype=np.int32)
    if not bad:
        return _table(lines, product, wanted) if lines else failed(records, "")
    odd = np.array(bad, np.int32)
    good = np.setdiff1d(rows, odd).astype(np.int32)
    table = _table([lines[i] for i in good], product, wanted) if len(good) else failed(records[:0], "")
    return merge(len(records), [(good, table), (odd, failed(records.take(pa.array(odd)), f"not an access log line of {product}"))])


def _table(lines: Sequence[Line], product: str, wanted: frozenset[str] | None) -> pa.Table:
    left, user, time, request, status, size, referrer, agent, tail = (_coded(column) for column in zip(*lines, strict=True))
    keep = ("-",) if product == "nginx" else ()
    columns = {
        "@timestamp": clf_times(time),
        "event.kind": constant("event", len(lines)),
        "event.module": constant(product, len(lines)),
        "event.dataset": constant(f"{product}.access", len(lines)),
        "event.category": constant("web", len(lines)),
        "event.type": constant("access", len(lines)),
        "event.outcome": map_distinct(status, pa.string(), lambda v: outcome(integer(v))),
        "user.name": blank(user, *keep),
        "http.response.status_code": _numbers(status),
        "http.response.body.bytes": _numbers(size),
        "http.request.referrer": blank(referrer, *keep),
        "user_agent.original": blank(agent, *keep),
        **_both(spread(request, request_fields, REQUEST_FIELDS), _left(left, product)),
        **spread(tail, tail_fields, ("network.forwarded_ip",)),
    }
    return pa.table({n: c for n, c in columns.items() if c.null_count < len(c) and (wanted is None or n in wanted or n[0] in "@e")})


def _coded(column: Iterable[str]) -> pa.DictionaryArray:
    return pa.array(column, pa.string()).dictionary_encode()


def _numbers(column: pa.DictionaryArray) -> pa.Array:
    return integers(blank(column.dictionary, "-")).take(column.indices)


def _left(column: pa.DictionaryArray, product: str) -> dict[str, pa.Array]:
    """Addresses: nearly always plain IPv4, which is address, IP and list at once."""
    if pc.all(pc.match_substring_regex(column.dictionary, V4_ONLY)).as_py():
        names = ["source.address", "source.ip", "related.ip"] + ["nginx.access.remote_ip_list"] * (product == "nginx")
        return dict.fromkeys(names, column)
    return spread(column, lambda text: left_fields(text, product), LEFT_FIELDS)


def _both(asked: dict[str, pa.Array], host: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The virtual host is the domain; where the log has none, that of an absolute URL."""
    name = "url.domain"
    if name in asked and name in host:
        host[name] = pc.coalesce(host[name].cast(pa.string()), asked[name].cast(pa.string()))
    return asked | host


def spread(column: pa.DictionaryArray, of: Callable[[str], Event], names: Sequence[str]) -> dict[str, pa.Array]:
    """Fields derived once per distinct value, spread over the rows."""
    derived = [of(value) for value in column.dictionary.to_pylist()]
    out: dict[str, pa.Array] = {}
    for name in names:
        values = [event.get(name) for event in derived]
        if values.count(None) == len(values):
            continue
        if any(type(value) is list for value in values):
            values = [several(*value) if isinstance(value, list) else value for value in values]
        if name.endswith("port"):
            out[name] = pa.array(values, pa.int64()).take(column.indices)
        else:
            short = pa.array(values, pa.string()).dictionary_encode()
            out[name] = pa.DictionaryArray.from_arrays(short.indices.take(column.indices), short.dictionary)
    return out


REQUEST_FIELDS: Final = ("http.request.method", "url.original", "http.version", "url.path", "url.query", "url.extension", "url.domain")


def request_fields(request: str) -> Event:
    """`GET /a%20b.php?q=1 HTTP/1.1` -> method, url.*, http.version; anything else is kept as url.original."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        return {"url.original": request} if request not in ("", "-") else {}
    method, original, version = found.groups()
    return {"http.request.method": method, "http.version": version, "url.original": original, **url_fields(original)}


def url_fields(original: str) -> Event:
    """Path and query, percent-decoded; extension; domain of an absolute URL (a request through a proxy)."""
    path, mark, query = original.partition("?")
    out: Event = {}
    if path[:1] != "/" and "://" in path:
        rest = path.partition("://")[2]
        out["url.domain"] = rest.partition("/")[0].rpartition("@")[2].rpartition(":")[0] or rest.partition("/")[0]
        path = f"/{rest.partition('/')[2]}"
    if "%" in path:
        path = unquote(path)
    if path:
        out["url.path"] = path
        if "." in path:
            found = _EXTENSION.search(path[-20:])
            if found:
                out["url.extension"] = found[1]
    if mark and query:
        out["url.query"] = unquote(query) if "%" in query else query
    return out


LEFT_FIELDS: Final = (
    "source.address", "source.ip", "source.domain", "related.ip", "nginx.access.remote_ip_list", "destination.domain", "destination.ip",
    "destination.port", "url.domain", "apache.access.remote_addresses",
)  # fmt: skip


def left_fields(left: str, product: str) -> Event:
    """What stands before `- user`: `[virtual host[:port]] address[, address…]`, the list quoted or not."""
    address = ip(left)
    if address is not None and ":" not in left.removeprefix(address):
        out: Event = {"source.address": left, "source.ip": address, "related.ip": address}
        return out | ({"nginx.access.remote_ip_list": left} if product == "nginx" else {})
    host, addresses = _host_and_list(left.replace('"', " ").split())
    found = [a for a in (ip(word) for word in addresses) if a]
    chosen = next((a for a in found if not internal(a)), found[0] if found else None)
    label = next((word for word in addresses if ip(word) == chosen), "") if chosen else (addresses[0] if addresses else left)
    out = {"source.address": label, "source.ip": chosen}
    if product == "nginx" and addresses and addresses[0] != "unix:":
        out["nginx.access.remote_ip_list"] = several(*addresses)
    elif product == "apache" and not chosen:
        out["source.domain"] = label
    if product == "apache" and len(addresses) > 1:
        out["apache.access.remote_addresses"] = several(*addresses)
    out |= _destination(host)
    related = dict.fromkeys(a for a in (chosen, out.get("destination.ip")) if isinstance(a, str))
    return out | ({"related.ip": several(*related)} if related else {})


def _host_and_list(words: list[str]) -> tuple[str, list[str]]:
    """A first word that no comma follows, with more behind it, is the virtual host, unless all are one list."""
    listed = [word.rstrip(",") for word in words if word != "-"]
    if len(words) < 2 or words[0].endswith(","):
        return "", listed
    if len(words) == 2 or words[1].endswith(",") or not ip(listed[0]):
        return listed[0], listed[1:]
    return "", listed


def _destination(host: str) -> Event:
    found = _HOST.fullmatch(host)
    if not found:
        return {}
    name, port = found[1].strip("[]"), integer(found[2]) if found[2] else None
    address = ip(name)
    where: Event = {"destination.ip": address} if address else {"destination.domain": name, "url.domain": name}
    return where | {"destination.port": port}


def tail_fields(tail: str) -> Event:
    """`"203.0.113.7, 10.0.0.1"` after the agent: what the client's proxy says, never trusted as the source."""
    if not tail:
        return {}
    return {"network.forwarded_ip": ip(tail.strip().strip('"').partition(",")[0])}
