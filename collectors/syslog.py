"""Syslog receivers: UDP and TCP, IPv4 and IPv6, into synced spools. Framing only; headers are the envelope's business.

One process, one loop, nothing but receiving: parsing can never starve it. A TCP connection that its sender has closed is closed by us only
after everything it sent is synced: that is the acknowledgement syslog over TCP can give. At the quota, or while the disk is full, TCP is
not read (the sender waits) and UDP is read and counted as dropped.
"""

from __future__ import annotations

import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from collectors.rfc6587 import TRAILER, Framer
from collectors.spool_writer import WINDOW, Writer
from domain.clock import Clock
from domain.errors import ConfigError, SourceError

BUFFER: Final = 64 << 20
"""Bytes of socket buffer asked for (UDP)."""
BLOCK: Final = 256 << 10
"""Most bytes read from a connection at once."""
BURST: Final = 2_000
"""Datagrams read before other sockets get their turn."""
WAIT: Final = 0.2
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: should we die, the sender sees a reset, not the orderly close that acknowledges."""
_ORDERLY: Final = struct.pack("ii", 0, 0)
_MEMINFO, _DROPS = 55, 8  # SO_MEMINFO, SK_MEMINFO_DROPS of linux/sock_diag.h


@dataclass(frozen=True)
class Listener:
    """Where one source listens."""

    source: str
    listen: str
    """udp://[::]:5514 or tcp://[::]:5514."""
    spool: Path
    framing: str = "auto"
    quota: int = 0
    floor: int = 0
    """Last record number that the store knows of."""


def opened(listen: str) -> socket.socket:
    """The bound socket of an address; IPv6 wildcards serve IPv4 too. ConfigError, SourceError."""
    parts = urlsplit(listen)
    try:
        host, port = parts.hostname or "::", parts.port or 514
    except ValueError:
        host, port = "", -1
    if parts.scheme not in ("udp", "tcp") or port < 0:
        raise ConfigError(f"listen {listen}: udp://[::]:5514 | tcp://[::]:5514")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6() and host == "::":
        family, host = socket.AF_INET, "0.0.0.0"  # noqa: S104  the configuration says "every address"
    made = socket.socket(family, socket.SOCK_DGRAM if parts.scheme == "udp" else socket.SOCK_STREAM)
    try:
        _prepare(made, family)
        made.bind((host, port))
        if parts.scheme == "tcp":
            made.listen(512)
    except OSError as error:
        made.close()
        hint = "another program may use the port; ports below 1024 need rights"
        raise SourceError(f"cannot listen on {listen}: {error.strerror or error}", hint=hint) from None
    return made


def _prepare(made: socket.socket, family: int) -> None:
    made.setblocking(False)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if made.type == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return
    for option in (33, socket.SO_RCVBUF):  # SO_RCVBUFFORCE goes beyond net.core.rmem_max but needs CAP_NET_ADMIN
        try:
            made.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        except PermissionError:
            continue
        return


def kernel_drops(made: socket.socket) -> int:
    """Datagrams that the kernel dropped for this socket so far (32-bit counter); 0 where the system does not tell."""
    try:
        return int(struct.unpack_from("<I", made.getsockopt(socket.SOL_SOCKET, _MEMINFO, 64), 4 * _DROPS)[0])
    except (OSError, struct.error):
        return 0


def _peer(address: tuple[str, int]) -> bytes:
    return address[0].removeprefix("::ffff:").partition("%")[0].encode()


class Port:
    """One listening source: its socket, its spool, its connections."""

    def __init__(self, listener: Listener, loop: Loop) -> None:
        self.listener = listener
        self.loop = loop
        self.spool = Writer(listener.spool, listener.quota, listener.floor, loop.wake)
        try:
            self.socket = opened(listener.listen)
        except BaseException:
            self.spool.close()
            raise
        self.udp = self.socket.type == socket.SOCK_DGRAM
        self.ended: deque[tuple[int, socket.socket]] = deque()
        """Connections whose last record number is not synced yet."""
        self.dropped = 0
        self._drops = 0
        self._peers: dict[str, bytes] = {}
        self.connections: dict[socket.socket, _Connection] = {}
        self.paused = False
        loop.register(self.socket, self.read if self.udp else self.accept)

    @property
    def stuck(self) -> bool:
        """Nothing more can be taken."""
        return bool(self.spool.error) or self.spool.full

    def read(self) -> None:
        """Datagrams, until there is none or others must have their turn."""
        receive, add, peers, stuck = self.socket.recvfrom, self.spool.add, self._peers, self.stuck
        arrival = self.loop.micros()
        for _ in range(BURST):
            try:
                data, address = receive(65536)
            except BlockingIOError:
                return
            data = data.rstrip(TRAILER)
            if stuck:
                self.dropped += 1
            elif data:
                host = address[0]
                if host not in peers:
                    peers[host] = _peer(address)
                add(arrival, peers[host], data)

    def accept(self) -> None:
        """New connections."""
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connections[connection] = made = _Connection(self, connection, _peer(address))
            if not self.paused:
                self.loop.register(connection, made.read)

    def pause(self) -> None:
        """Stop or go on reading connections, as there is room: their senders wait."""
        if self.paused == (self.stuck or self.spool.unsynced > WINDOW):
            return
        self.paused = not self.paused
        for connection, made in self.connections.items():
            if self.paused:
                self.loop.forget(connection)
            else:
                self.loop.register(connection, made.read)

    def tick(self) -> None:
        """Once a second: what the kernel and the quota dropped, what the reader has freed."""
        self.spool.used = self.spool.usage()
        if not self.udp:
            return
        now = kernel_drops(self.socket)
        fresh, self._drops = (now - self._drops) & 0xFFFFFFFF, now
        if fresh or self.dropped:
            self.spool.note_drops(self.loop.micros(), fresh, self.dropped)
            self.dropped = 0

    def acknowledge(self) -> None:
        """Close connections whose records are all synced."""
        while self.ended and self.ended[0][0] <= self.spool.synced:
            connection = self.ended.popleft()[1]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ORDERLY)
            connection.close()

    def close(self) -> None:
        """Take what has arrived, sync, close."""
        if self.udp:
            self.read()
            self.tick()
        self.socket.close()
        for connection in list(self.connections.values()):
            connection.finish()
        self.spool.flush()
        self.spool.close()
        self.acknowledge()


class _Connection:
    """One TCP sender."""

    def __init__(self, port: Port, connection: socket.socket, peer: bytes) -> None:
        self._port = port
        self._socket = connection
        self._peer = peer
        self._framer = Framer(port.listener.framing)

    def read(self) -> None:
        """One block; at the end of the connection, its rest."""
        try:
            block = self._socket.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError:  # reset
            block = b""
        self._take(self._framer.feed(block) if block else self._framer.end())
        if not block:
            self._port.loop.forget(self._socket)
            self._end()

    def finish(self) -> None:
        """We stop: take what is here."""
        while True:
            try:
                block = self._socket.recv(BLOCK)
            except OSError:
                block = b""
            if not block:
                break
            self._take(self._framer.feed(block))
        self._take(self._framer.end())
        self._end()

    def _end(self) -> None:
        del self._port.connections[self._socket]
        self._port.ended.append((self._port.spool.number, self._socket))

    def _take(self, frames: list[tuple[int, bytes]]) -> None:
        arrival, add = self._port.loop.micros(), self._port.spool.add
        for kind, data in frames:
            add(arrival, self._peer, data, kind)


class Loop:
    """All receivers of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakes = socket.socketpair()
        for end in (self._waker, self._wakes):
            end.setblocking(False)
        self.register(self._wakes, lambda: self._wakes.recv(4096))
        self.ports: list[Port] = []

    def micros(self) -> int:
        """The present."""
        return int(self._clock.now().timestamp() * 1_000_000)

    def register(self, made: socket.socket, read: Callable[[], object]) -> None:
        """Call `read` when there is something to read."""
        self._selector.register(made, selectors.EVENT_READ, read)

    def watch(self, descriptor: int, read: Callable[[], object]) -> None:
        """The same for a file descriptor."""
        self._selector.register(descriptor, selectors.EVENT_READ, read)

    def forget(self, made: socket.socket) -> None:
        """Do not."""
        self._selector.unregister(made)

    def wake(self) -> None:
        """From another thread: something was synced."""
        try:
            self._waker.send(b"\0")
        except OSError:
            return

    def turn(self) -> None:
        """One round: read, hand to the system, acknowledge."""
        for key, _ in self._selector.select(WAIT):
            key.data()
        for port in self.ports:
            port.spool.flush()
            port.acknowledge()
            port.pause()

    def close(self) -> None:
        """Take what has arrived, sync, acknowledge."""
        for port in self.ports:
            port.close()
        self._selector.close()
        self._waker.close()
        self._wakes.close()
