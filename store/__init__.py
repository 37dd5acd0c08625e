"""The only place that knows Parquet, DuckDB, SQLite and OpenSearch. `open_store` picks the engine by URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.errors import ConfigError
from store.base import Store


def open_store(url: str, options: Mapping[str, Any] | None = None) -> Store:  # noqa: ARG001  for engines with passwords
    """`file:DIR` = embedded engine in that folder (made when absent). StoreError when it cannot be opened."""
    if url.startswith("file:"):
        from store.local import LocalStore  # engines are loaded when used

        return LocalStore.open(Path(url.removeprefix("file:")))
    raise ConfigError(f"store.url {url}: this version knows file:DIR", hint="OpenSearch is prepared in the contract, not built yet")
