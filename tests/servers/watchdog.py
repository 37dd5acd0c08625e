"""Ends the servers of a run whose process is gone: `python watchdog.py OWNER FOLDER`, started with them, in a session of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.servers import places
from tests.servers.cluster import Cluster


def main(owner: str, folder: Path) -> None:
    """Wait until the owner or the folder is gone."""
    while folder.is_dir() and places.alive(owner):
        time.sleep(0.5)
    if folder.is_dir():
        Cluster.attach(folder).stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
