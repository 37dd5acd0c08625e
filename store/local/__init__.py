"""The embedded engine: Parquet segments, and one SQLite file that says which of them are the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from domain.errors import StoreError
from store.base import About, Coordination, EventStore, RecordStore
from store.local import upkeep
from store.local.db import Database
from store.local.events import LocalEvents
from store.local.folder import Folder
from store.local.records import LocalCoordination, LocalRecords

CATALOG = "catalog.sqlite"


class LocalStore:
    """A store in one folder. Several processes may have it open, all of them reading and writing."""

    def __init__(self, db: Database, folder: Folder) -> None:
        self._db = db
        self._folder = folder
        self.events: EventStore = LocalEvents(db, folder)
        self.records: RecordStore = LocalRecords(db)
        self.coordination: Coordination = LocalCoordination(db)
        self.url = f"file:{folder.path}"

    @classmethod
    def open(cls, path: Path) -> LocalStore:
        """Open the store in a folder, making it when absent; what crashed writers left is removed. StoreError when it cannot be opened."""
        folder = Folder(path.absolute())
        catalog = folder.path / CATALOG
        if not (catalog.exists() and catalog.stat().st_size) and folder.holds_segments():
            raise StoreError(
                "the catalog is gone, but events are there; nothing was changed", where=str(catalog),
                hint="restore the folder from a backup (docs/operations.md), or start a new store: --data DIR",
            )  # fmt: skip
        db = Database(catalog)
        upkeep.sweep(db, folder)
        return cls(db, folder)

    def publish(self, name: str, documents: Mapping[str, Mapping[str, object]]) -> int:  # noqa: ARG002  the contract's
        """Dashboards read clusters only."""
        raise StoreError("an embedded store has no dashboards", where=self.url, hint='store.url = "https://HOST:9200": docs/dashboards.md')

    def about(self) -> About:
        """Size of the folder."""
        files = (p for p in self._folder.path.rglob("*") if p.is_file())
        return About("Parquet + SQLite", sum(p.stat().st_size for p in files))

    def snapshot(self, repository: str, name: str) -> str:
        """The embedded engine has none: its folder is copied (`soc store backup`)."""
        raise StoreError(f"no snapshot {repository}/{name}: only a cluster has them", where=self.url, hint="soc store backup DIR")

    def close(self) -> None:
        """Release files and connections."""
        self._folder.close()
        self._db.close()
