"""What collectors need of the configuration, which they do not know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from domain.clock import Clock

if TYPE_CHECKING:
    from collectors.shard import Cluster


class Settings(Protocol):
    """One `[[source]]`."""

    @property
    def id(self) -> str:
        """Source id."""

    @property
    def path(self) -> str:
        """Glob of files."""

    @property
    def parser(self) -> str:
        """Parser name or `auto`."""

    @property
    def encoding(self) -> str:
        """Of records; a byte order mark says otherwise."""

    @property
    def tz(self) -> str:
        """Zone of time stamps that carry none."""

    @property
    def record_start(self) -> str:
        """RE2 for the first line of a record; empty = every line is one."""


class Place(Protocol):
    """Where sources live on this machine."""

    @property
    def root(self) -> Path:
        """Relative patterns start here."""

    @property
    def spool(self) -> Path:
        """Folder of all spools."""

    @property
    def clock(self) -> Clock:
        """What time it is."""


class Indexed(Settings, Protocol):
    """One `[[source]]` of type opensearch."""

    @property
    def index(self) -> str:
        """Pattern of indices, aliases, data streams; several separated by commas."""

    @property
    def profile(self) -> str:
        """Who wrote the documents: a name of `collectors.profiles.PROFILES`."""

    @property
    def since(self) -> str:
        """At first sight of a shard, documents before this time are passed over: 2026-11-01, 7d; empty = none."""


class Connected(Place, Protocol):
    """A place that knows how to reach clusters."""

    def connect(self, settings: Indexed) -> tuple[Cluster, str]:
        """A connection for a source, and the prefix of our own indices there."""
