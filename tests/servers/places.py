"""Where servers lie on this machine, which process they belong to, and processes that outlive the one that starts them."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Root of the checkout."""
NOBODY = 65534
"""User and group of the servers when root runs the tests: OpenSearch refuses to run as root."""


def cache() -> Path:
    """Folder of servers and their data: OPENSEARCH_DEV_CACHE, else one a user in /var/tmp. Never below root's home, which NOBODY cannot read."""
    folder = Path(os.environ.get("OPENSEARCH_DEV_CACHE") or f"/var/tmp/thapcanh-opensearch-{os.getuid()}")
    if folder.exists() and folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else: set OPENSEARCH_DEV_CACHE to a folder of your own")
    return open_folder(folder)


def runs() -> Path:
    """One folder in here for each set of nodes that is, or was, running."""
    return open_folder(cache() / "run")


def open_folder(folder: Path) -> Path:
    """A folder that others may enter and read, whatever the umask."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time, on this machine; others wait."""
    with (cache() / f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def identity(pid: int) -> str:
    """`pid:start time`: a process that no later one with the same number can be taken for. "" when there is none, or only a zombie."""
    fields = _stat(pid)
    return f"{pid}:{fields[19]}" if fields and fields[0] not in "ZX" else ""


def state(pid: int) -> str:
    """A letter as `ps` shows it: R, S, T (stopped), ...; "" when there is no such process."""
    return (_stat(pid) or [""])[0]


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def alive(process: str) -> bool:
    """Whether the process that `identity` named still runs."""
    return bool(process) and identity(int(process.partition(":")[0])) == process


def run_owner() -> str:
    """The pytest process that the whole run belongs to: under xdist the one that started the workers."""
    return identity(os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid())


def detached(words: Sequence[str], folder: Path, *, user: int | None = None, env: Mapping[str, str] | None = None) -> int:
    """Start a process of its own session in `folder`, output to `folder/out.log`; its pid. It goes on when its starter ends."""
    rights = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    done = subprocess.run(
        ["sh", "-c", '"$@" </dev/null >>out.log 2>&1 & echo $!', "sh", *words],
        cwd=folder, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(folder), **(env or {})}, start_new_session=True,
        capture_output=True, text=True, check=True, **rights,  # type: ignore[call-overload]
    )  # fmt: skip
    return int(done.stdout)


def hand_over(folder: Path) -> None:
    """Hand a folder to the user that the server runs as."""
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
