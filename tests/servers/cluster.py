"""Nodes that belong together: asked as administrator, waited for, ended."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.servers import security
from tests.servers.node import Node
from tests.servers.security import Access


@dataclass(frozen=True)
class Cluster:
    """Nodes that belong together, in one folder."""

    folder: Path
    nodes: tuple[Node, ...]
    access: Access | None = None
    """How to get in, with the security plugin."""

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """A cluster that another process started; without nodes when it never came to be."""
        try:
            data = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        except OSError:
            return cls(folder, ())
        nodes = tuple(Node(**{**node, "folder": Path(node["folder"]), "home": Path(node["home"])}) for node in data["nodes"])
        return cls(folder, nodes, security.access(folder) if data["secure"] else None)

    def remember(self) -> None:
        """Write down what `attach` needs."""
        data = {"secure": self.access is not None, "nodes": [asdict(node) for node in self.nodes]}
        (self.folder / "cluster.json").write_text(json.dumps(data, default=str), encoding="utf-8")

    @property
    def urls(self) -> list[str]:
        """One a node."""
        return [node.url for node in self.nodes]

    @property
    def url(self) -> str:
        """As `store.url` takes it: all nodes, separated by commas."""
        return ",".join(self.urls)

    def call(self, method: str, path: str, body: Any = None, *, node: int = 0, timeout: float = 30) -> Any:
        """One request as administrator, JSON both ways; urllib.error.HTTPError for an error status."""
        request = urllib.request.Request(f"{self.nodes[node].url}/{path.lstrip('/')}", method=method)
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            request.add_header("Content-Type", "application/json")
        context = None
        if self.access:
            token = base64.b64encode(f"{self.access.user}:{self.access.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
            context = ssl.create_default_context(cafile=str(self.access.ca))
        with urllib.request.urlopen(request, data, timeout=timeout, context=context) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def wait(self, status: str = "yellow", *, nodes: int = 0, seconds: float = 120) -> None:
        """Until every node that runs says that the cluster has this health and number of nodes (0 = all). RuntimeError when one ends, or it takes longer."""
        path = f"_cluster/health?wait_for_nodes={nodes or len(self.nodes)}&wait_for_status={status}&timeout=1s"
        end = time.monotonic() + seconds
        for number, node in enumerate(self.nodes):
            if not node.running or node.paused:
                continue
            while not self._healthy(path, number):
                if not node.running or time.monotonic() > end:
                    happened = f"is not {status}" if node.running else "ended"
                    raise RuntimeError(f"OpenSearch {happened}; {node.folder}/out.log ends with:\n{node.output()}")
                time.sleep(0.1)

    def _healthy(self, path: str, node: int) -> bool:
        with suppress(OSError, ValueError):  # refused, 503 while it elects, 408 while it waits
            return not self.call("GET", path, node=node, timeout=5)["timed_out"]
        return False

    def heal(self) -> None:
        """Every node again as it was started; what it stored is still there."""
        for node in self.nodes:
            node.resume()
            if not node.running:
                node.start()
        self.wait()

    def forget(self, prefix: str) -> None:
        """Remove the indices and templates whose names start with `PREFIX-`."""
        for kind in ("", "_index_template/", "_component_template/"):
            with suppress(urllib.error.HTTPError):  # 404: there are none
                self.call("DELETE", f"{kind}{prefix}-*")

    def stop(self) -> None:
        """End every node by its id and remove the data."""
        for node in self.nodes:
            if node.running and node.first_of_its_kind:
                node.stop()
            else:
                node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
