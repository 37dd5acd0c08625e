"""A proxy on loopback between a client and a server, that does what networks and load balancers do to requests.

    with Proxy(url) as proxy:
        with proxy.fault("PUT .*/_create/", DropAnswer(), times=1):
            ...

One thread a connection; a fault is asked for each request that its pattern (`METHOD /path?query`) fits, until it was used up.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, Self
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True)
class Message:
    """A request or an answer."""

    first: str
    """`POST /x HTTP/1.1`, `HTTP/1.1 200 OK`."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """Method and path of a request."""
        return self.first.rpartition(" ")[0]

    def wire(self) -> bytes:
        """As bytes, with the right length."""
        headers = {**self.headers, "content-length": str(len(self.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.first}\r\n{head}\r\n".encode("latin-1") + self.body


def answer(status: int, body: bytes | object, kind: str = "application/json; charset=UTF-8") -> Message:
    """An answer of our own making; `body` that is no bytes as JSON."""
    return Message(f"HTTP/1.1 {status} As Asked", {"content-type": kind}, body if isinstance(body, bytes) else orjson.dumps(body))


class _ClosedError(Exception):
    """This connection ends here."""


class Fault(Protocol):
    """What happens to one request."""

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        """The answer to send. `ask` hands a request to the server; raising _ClosedError ends the connection."""


@dataclass(frozen=True)
class Drop:
    """The connection ends, by FIN or by RST, before the server hears of the request."""

    reset: bool = False

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        if self.reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _ClosedError


@dataclass(frozen=True)
class DropAnswer:
    """The server has done it, but nobody hears so."""

    reset: bool = False

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        ask(request)
        return Drop(self.reset)(request, ask, client)


@dataclass(frozen=True)
class Silence:
    """Nothing comes for some seconds; then the request is done (if it is `late`) and the connection ends."""

    seconds: float
    late: bool = False

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        time.sleep(self.seconds)
        if self.late:
            ask(request)
        raise _ClosedError


@dataclass(frozen=True)
class Slow:
    """The answer comes at so many bytes a second."""

    rate: int

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        wire = ask(request).wire()
        step = max(1, self.rate // 20)
        for start in range(0, len(wire), step):
            client.sendall(wire[start : start + step])
            time.sleep(step / self.rate)
        raise _ClosedError


@dataclass(frozen=True)
class Cut:
    """Half of the answer, then the end."""

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        wire = ask(request).wire()
        client.sendall(wire[: len(wire) - max(1, len(wire) // 3)])
        raise _ClosedError


@dataclass(frozen=True)
class Garbage:
    """Bytes that are no HTTP."""

    data: bytes = bytes(range(128, 256)) * 4

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        client.sendall(self.data)
        raise _ClosedError


@dataclass(frozen=True)
class Says:
    """An answer that is not the server's; the server never hears of the request, or (`done`) has done it."""

    what: Message
    done: bool = False

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        if self.done:
            ask(request)
        return self.what


@dataclass(frozen=True)
class Busy:
    """Of a bulk request, every n-th item is refused as a full queue does it; the server sees only the others."""

    every: int = 2
    error: Mapping[str, object] = field(
        default_factory=lambda: {
            "type": "opensearch_rejected_execution_exception",
            "reason": "rejected execution of coordinating operation",
        }
    )
    status: int = 429

    def __call__(self, request: Message, ask: Callable[[Message], Message], client: socket.socket) -> Message:
        lines = request.body.split(b"\n")[:-1]
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        passed = [pair for number, pair in enumerate(pairs) if number % self.every]
        items: Iterator[Mapping[str, object]] = iter(())
        if passed:
            line = re.sub(r"[?&]filter_path=[^ &]*", "", request.first)
            body = b"".join(part + b"\n" for pair in passed for part in pair)
            items = iter(orjson.loads(ask(replace(request, first=line, body=body)).body)["items"])
        refused = {"create": {"status": self.status, "error": dict(self.error)}}
        return answer(200, {"errors": True, "items": [next(items) if n % self.every else refused for n in range(len(pairs))]})


@dataclass
class _Rule:
    pattern: re.Pattern[str]
    fault: Fault
    left: int
    used: int = 0


class Proxy:
    """Listens on a port of its own; with no fault it hands everything through."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._to = (str(parts.hostname), int(parts.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[str] = []
        """Method and path of every request."""
        threading.Thread(target=self._listen, daemon=True).start()

    @contextmanager
    def fault(self, pattern: str, fault: Fault, times: int = 1) -> Iterator[_Rule]:
        """Do that to the next requests that fit; `.used` tells how often it happened."""
        rule = _Rule(re.compile(pattern), fault, times)
        with self._lock:
            self._rules.append(rule)
        try:
            yield rule
        finally:
            with self._lock:
                self._rules.remove(rule)

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: list[socket.socket] = []

        def ask(request: Message) -> Message:
            if not server:
                server.append(socket.create_connection(self._to, timeout=120))
            server[0].sendall(request.wire())
            return _read(server[0])

        with suppress(_ClosedError, OSError), client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                request = _read(client)
                fault = self._fault(request.line)
                client.sendall((fault(request, ask, client) if fault else ask(request)).wire())
        for other in server:
            other.close()

    def _fault(self, line: str) -> Fault | None:
        with self._lock:
            self.seen.append(line)
            for rule in self._rules:
                if rule.left and rule.pattern.search(line):
                    rule.left -= 1
                    rule.used += 1
                    return rule.fault
        return None


def _read(connection: socket.socket) -> Message:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    if headers.pop("transfer-encoding", "") == "chunked":
        return Message(first, headers, _chunked(connection, body))
    parts, missing = [body], int(headers.get("content-length", "0")) - len(body)
    while missing > 0:
        parts.append(_more(connection))
        missing -= len(parts[-1])
    return Message(first, headers, b"".join(parts))


def _chunked(connection: socket.socket, data: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        while b"\r\n" not in data:
            data += _more(connection)
        size, _, data = data.partition(b"\r\n")
        count = int(size.partition(b";")[0], 16)
        while len(data) < count + 2:
            data += _more(connection)
        parts.append(data[:count])
        data = data[count + 2 :]
        if not count:
            return b"".join(parts)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise _ClosedError
    return data


ANSWERS: Sequence[tuple[str, Message]] = (
    ("html 200", answer(200, b"<html><body>Maintenance</body></html>", "text/html")),
    ("html 502", answer(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")),
    ("no json 200", answer(200, b'{"took": 3, "err')),
    ("empty object 200", answer(200, {})),
    ("429", answer(429, {"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}, "status": 429})),
    ("503", answer(503, {"error": {"type": "cluster_manager_not_discovered_exception", "reason": None}, "status": 503})),
    ("gateway's 404", answer(404, {"message": "no Route matched with those values"})),
)
"""What stands between us and a cluster says sometimes."""
