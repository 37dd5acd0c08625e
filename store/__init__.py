"""The only place that knows Parquet, DuckDB, SQLite and OpenSearch. `open_store` picks the engine by URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.errors import ConfigError
from store.base import Store


def open_store(url: str, options: Mapping[str, Any] | None = None) -> Store:
    """`file:DIR` = embedded engine in that folder (made when absent); `https://HOST:PORT` = OpenSearch. StoreError when it is unfit."""
    if url.startswith("file:"):
        from store.local import LocalStore  # engines are loaded when used

        return LocalStore.open(Path(url.removeprefix("file:")))
    if url.startswith(("http://", "https://")):
        from store.opensearch import ClusterStore

        return ClusterStore(url, options or {})
    raise ConfigError(f"store.url {url}: file:FOLDER | https://HOST:PORT", hint="soc config check")


def exists(url: str) -> bool:
    """Whether there may be a store: an embedded one has its catalog; of a cluster only opening it tells."""
    if not url.startswith("file:"):
        return True
    from store.local import CATALOG

    return (Path(url.removeprefix("file:")) / CATALOG).is_file()
