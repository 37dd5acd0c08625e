"""OpenSearch on loopback, for tests: `start(nodes=3)` for a cluster of one's own, `shared()` for the one server of a whole test run.

Whatever is started belongs to a process (the test run, unless said otherwise) and is ended when that is gone, however it went
(watchdog.py). On the command line, for development: `python -m tests.servers.opensearch start | stop`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import artifacts, java, places, security
from tests.servers.cluster import Cluster
from tests.servers.node import Node

_PORTS = range(20_000, 32_000)
"""Below those that the system gives to outgoing connections: a port found free stays free until its node binds it."""


@dataclass(frozen=True)
class Plan:
    """What to start."""

    nodes: int = 1
    heap: str = "512m"
    fast: bool = True
    """C1 compiler only; False for benchmarks."""
    secure: bool = False
    """The security plugin: TLS on both layers, users, roles (version 3.4.0)."""
    port: int = 0
    """HTTP port of the first node, the next ones follow; 0 = free ones."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """More lines of opensearch.yml."""


def unavailable(plan: Plan = Plan()) -> str:
    """Why no server can be had on this machine; "" when one can."""
    if not artifacts.cached(*_kind(plan)) and not shutil.which("mvn"):
        return f"no OpenSearch: neither mvn on PATH nor a server in {places.cache()} (install the package maven)"
    try:
        java.find()
    except RuntimeError as error:
        return str(error)
    return ""


def start(nodes: int = 1, *, name: str = "own", owner: str = "", **wishes: Any) -> Cluster:
    """Start a cluster and wait until it can be used; `wishes` are fields of Plan. It belongs to this process, or to the one that `owner` names."""
    plan = Plan(nodes, **wishes)
    _sweep()
    owner = owner or places.identity(os.getpid())
    folder = places.runs() / f"{name}-{owner.replace(':', '-')}-{random.randrange(10**6):06}"
    return _launch(folder, plan, owner)


def shared(*, secure: bool = False) -> Cluster:
    """The one node of this test run; whoever asks first starts it. RuntimeError, the same for all, when that fails."""
    return _shared(_shared_plan(secure=secure), places.run_owner())


def end_shared() -> None:
    """End what `shared` started for this run."""
    with suppress(RuntimeError):  # no cache of ours, no servers
        for secure in (False, True):
            folder = _shared_folder(secure=secure, owner=places.run_owner())
            if folder.is_dir():
                Cluster.attach(folder).stop()


def _shared_plan(*, secure: bool) -> Plan:
    """Tests run side by side on it, and each makes a dozen indices."""
    return Plan(secure=secure, heap="512m" if secure else "1g", settings={"cluster.max_shards_per_node": 5000})


def _shared_folder(*, secure: bool, owner: str) -> Path:
    return places.runs() / f"{'secure' if secure else 'plain'}-{owner.replace(':', '-')}"


def _shared(plan: Plan, owner: str) -> Cluster:
    folder = _shared_folder(secure=plan.secure, owner=owner)
    with places.locked("shared-secure" if plan.secure else "shared"):
        failed = folder / "failed"
        if failed.is_file():
            raise RuntimeError(failed.read_text(encoding="utf-8"))
        if (folder / "ready").is_file():
            return Cluster.attach(folder)
        _sweep()
        try:
            cluster = _launch(folder, plan, owner)
        except Exception as error:
            folder.mkdir(exist_ok=True)
            failed.write_text(f"OpenSearch could not be started: {error}", encoding="utf-8")
            raise
        (folder / "ready").touch()
        return cluster


def _launch(folder: Path, plan: Plan, owner: str) -> Cluster:
    home = artifacts.home(*_kind(plan))
    places.open_folder(folder)
    (folder / "owner").write_text(owner, encoding="utf-8")
    if owner != FOREVER:
        places.detached([sys.executable, str(Path(__file__).with_name("watchdog.py")), owner, str(folder)], folder)
    cluster = _lay_out(folder, home, plan)
    try:
        for node in cluster.nodes:
            node.start()
        cluster.wait()
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _kind(plan: Plan) -> tuple[str, Sequence[str]]:
    return (artifacts.SECURE_VERSION, artifacts.SECURITY) if plan.secure else (artifacts.VERSION, ())


def _lay_out(folder: Path, home: Path, plan: Plan) -> Cluster:
    """Configuration of all nodes: they know each other, and listen on loopback only."""
    ports = _free_ports(2 * plan.nodes)
    http = [plan.port + i for i in range(plan.nodes)] if plan.port else ports[: plan.nodes]
    peers = ports[plan.nodes :]
    (folder / "repo").mkdir()
    places.hand_over(folder / "repo")
    common = {
        "cluster.name": folder.name, "network.host": "127.0.0.1", "path.repo": str(folder / "repo"),
        "cluster.routing.allocation.disk.threshold_enabled": False, **_discovery(peers),
        **(security.settings() if plan.secure else {}), **plan.settings,
    }  # fmt: skip
    scheme = "https" if plan.secure else "http"
    environment = security.environment() if plan.secure else {}
    nodes = []
    for number, (port, peer) in enumerate(zip(http, peers, strict=True), 1):
        node = Node(f"n{number}", folder / f"n{number}", home, f"{scheme}://127.0.0.1:{port}", plan.heap, plan.fast, environment)
        node.prepare({**common, "http.port": port, "transport.port": peer})
        nodes.append(node)
    access = security.set_up(folder, home, [node.folder / "config" for node in nodes]) if plan.secure else None
    cluster = Cluster(folder, tuple(nodes), access)
    cluster.remember()
    return cluster


def _discovery(peers: Sequence[int]) -> dict[str, Any]:
    if len(peers) == 1:
        return {"discovery.type": "single-node"}
    names = [f"n{number}" for number in range(1, len(peers) + 1)]
    return {"discovery.seed_hosts": [f"127.0.0.1:{port}" for port in peers], "cluster.initial_cluster_manager_nodes": names}


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports from {_PORTS.start} to {_PORTS.stop}")


def _sweep() -> None:
    """End and remove what belongs to processes that are gone: a watchdog may have been killed, or the machine switched off."""
    for folder in places.runs().iterdir():
        with suppress(OSError):
            owner = (folder / "owner").read_text(encoding="utf-8")
            if owner and owner != FOREVER and not places.alive(owner):
                Cluster.attach(folder).stop()


FOREVER = "nobody"
"""Owner of a server for development: it runs until somebody stops it."""


def _command_line(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.opensearch", description="A server for development, on loopback.")
    parser.add_argument("command", choices=["start", "stop"])
    parser.add_argument("--name", default="dev")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--heap", default="1g")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--secure", action="store_true", help="security plugin: TLS and users")
    asked = parser.parse_args(words)
    folder = places.runs() / f"dev-{asked.name}"
    running = Cluster.attach(folder)
    if asked.command == "stop":
        running.stop()
        return
    if not running.nodes or not all(node.running for node in running.nodes):
        running.stop()
        running = _launch(folder, Plan(asked.nodes, asked.heap, fast=False, secure=asked.secure, port=asked.port), FOREVER)
    print(running.url)  # noqa: T201
    if running.access:
        print(f"user {running.access.user}, password {running.access.password}, ca {running.access.ca}")  # noqa: T201


if __name__ == "__main__":
    try:
        _command_line(sys.argv[1:])
    except RuntimeError as error:
        sys.exit(str(error))
