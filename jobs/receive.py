"""The receiving process: sockets and spools, nothing else. It ends when its parent closes the pipe, or dies."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Final

from collectors.syslog import Listener, Loop, Port
from domain.clock import SystemClock
from domain.errors import SocError

AGAIN: Final = 2.0
"""Seconds until a port or spool that another process holds is tried again."""


def serve(listeners: Sequence[Listener], pipe: Connection) -> None:
    """Receive for all listeners until the pipe ends. What happens is sent as (source, event, text)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    loop = Loop(SystemClock())
    ends: list[bool] = []
    loop.watch(pipe.fileno(), lambda: ends.append(True))
    waiting, said = list(listeners), dict[str, str]()

    def tell(source: str, event: str, text: str = "") -> None:
        if said.get(source) != event + text:
            said[source] = event + text
            _send(pipe, (source, event, text))

    due = second = 0.0
    while not ends:
        now = time.monotonic()
        if waiting and now >= due:
            waiting, due = _opened(loop, waiting, tell), now + AGAIN
        if now >= second:
            second = now + 1.0
            for port in loop.ports:
                port.tick()
                tell(port.listener.source, *_state(port))
        loop.turn()
    loop.close()


def _opened(loop: Loop, waiting: Sequence[Listener], tell: Callable[[str, str, str], None]) -> list[Listener]:
    """Open what can be opened; returns the rest."""
    rest = []
    for listener in waiting:
        try:
            loop.ports.append(Port(listener, loop))
            tell(listener.source, "listening", listener.listen)
        except (SocError, OSError) as error:
            rest.append(listener)
            tell(listener.source, "waiting", str(error))
    return rest


def _state(port: Port) -> tuple[str, str]:
    if port.spool.error:
        return "stuck", port.spool.error
    return ("full", str(port.spool.quota)) if port.spool.full else ("listening", port.listener.listen)


def _send(pipe: Connection, message: tuple[str, str, str]) -> None:
    try:
        pipe.send(message)
    except OSError:
        return


class Receivers:
    """The receiving process as its parent sees it."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def said(self) -> list[tuple[str, str, str]]:
        """What happened since the last call; a process that died is started again."""
        out = []
        try:
            while self._pipe.poll():
                out.append(self._pipe.recv())
        except (EOFError, OSError):
            pass
        if not self._process.is_alive():
            out.append(("", "died", str(self._process.exitcode)))
            self._start()
        return out

    def stop(self) -> None:
        """Let it take what has arrived, sync and end."""
        self._pipe.close()
        self._process.join()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(self._listeners, theirs), name="soc-receive", daemon=False)
        self._process.start()
        theirs.close()
