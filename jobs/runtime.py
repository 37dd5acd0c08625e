"""What a job needs: configuration, clock, store, content folders, actor."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from domain.clock import Clock, SystemClock
from jobs.config import Config, load

if TYPE_CHECKING:
    from store.base import Store


@dataclass
class Runtime:
    """Opened once per command; the store only when somebody asks for it."""

    config: Config
    clock: Clock = field(default_factory=SystemClock)
    data: str = ""
    """`--data DIR`: an embedded store there."""
    packs: Path | None = None
    """Folder of imported rule packs; None = `rules` beside the store."""

    @classmethod
    def open(cls, *, config: str = "", data: str = "", clock: Clock | None = None) -> Runtime:
        """Read the configuration; the store is opened at first use."""
        return cls(load(config), clock or SystemClock(), data)

    @cached_property
    def store(self) -> Store:
        """The store that `--data` or `store.url` names."""
        from store import open_store

        return open_store(self.store_url, self.config.store)

    @property
    def store_url(self) -> str:
        """`file:` URLs are absolute."""
        if self.data:
            return f"file:{Path(self.data).resolve()}"
        url = self.config.store_url
        return f"file:{(self.config.root / url.removeprefix('file:')).resolve()}" if url.startswith("file:") else url

    @property
    def state_dir(self) -> Path:
        """Folder of caches, spool and logs: inside the embedded store's folder, else beside the configuration."""
        url = self.store_url
        return Path(url.removeprefix("file:")) if url.startswith("file:") else self.config.root / "state"

    def content(self, kind: str) -> list[Path]:
        """Existing content folders of a kind (rules, filters, playbooks, registers, templates), in overlay order."""
        return [folder / kind for folder in self.config.content if (folder / kind).is_dir()]

    @property
    def actor(self) -> str:
        """Who acts: the operating system's user."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"
