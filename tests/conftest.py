"""Fixtures that every test shares: public data, a store of its own, the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from tests.servers import opensearch, places
from tests.servers.cluster import Cluster

if TYPE_CHECKING:
    from store.base import Store

ROOT = Path(__file__).resolve().parents[1]
"""Root of the checkout."""


hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")
# A slow machine is no failure, and a red CI is about the change, not about a new example.


class Soc(Protocol):
    """Runs `soc`; stdout and stderr are text."""

    def __call__(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The finished run; never raises for a non-zero exit code."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public test data: SOC_TEST_DATA, else ../shared/data beside the checkout; skips where it is absent."""
    folder = Path(os.environ.get("SOC_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"public test data is not here: {folder} (set SOC_TEST_DATA)")
    return folder


@pytest.fixture
def tmp_store(tmp_path: Path) -> Iterator[Store]:
    """An empty embedded store in `tmp_path/store`."""
    from store import open_store

    store = open_store(f"file:{tmp_path / 'store'}", {})
    yield store
    store.close()


@pytest.fixture(scope="session")
def plain_opensearch() -> Cluster:
    """One OpenSearch node without security, shared by the whole run: keep to an index prefix of your own (`index_prefix`)."""
    return _server(opensearch.Plan())


@pytest.fixture(scope="session")
def opensearch_url(plain_opensearch: Cluster) -> str:
    """The URL of that node."""
    return plain_opensearch.url


@pytest.fixture(scope="session")
def secure_opensearch() -> Cluster:
    """One node with TLS and users, shared by the whole run: `.url`, `.access` (user, password, ca, client certificates), `.call` as administrator."""
    return _server(opensearch.Plan(secure=True))


@pytest.fixture(scope="module")
def _three_nodes(plain_opensearch: Cluster) -> Iterator[Cluster]:
    """One at a time on this machine: 600 MB a node. Asking for the shared node first skips where no server can be had."""
    with places.locked("several-nodes"), opensearch.start(nodes=3) as cluster:
        yield cluster


@pytest.fixture
def three_nodes(_three_nodes: Cluster) -> Iterator[Cluster]:
    """A cluster to break: `.nodes[i].kill()`, `.pause()`, `.start()`; whole again for the next test of the module."""
    yield _three_nodes
    _three_nodes.heal()


def _server(plan: opensearch.Plan) -> Cluster:
    """Where no server can be had its tests are skipped, but never in CI."""
    reason = opensearch.unavailable(plan)
    if reason and "CI" not in os.environ:
        pytest.skip(reason)
    if reason:
        pytest.fail(reason)
    return opensearch.shared(secure=plan.secure)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The servers end with the run; if it crashes, their watchdog ends them."""
    if not hasattr(config, "workerinput"):
        opensearch.end_shared()


@pytest.fixture
def index_prefix(plain_opensearch: Cluster) -> Iterator[str]:
    """A prefix that no other test uses; what was made under it is removed afterwards."""
    yield from _prefix(plain_opensearch)


@pytest.fixture(scope="module")
def module_prefix(plain_opensearch: Cluster) -> Iterator[str]:
    """The same for all tests of a module: its tests may run in several workers at once, so no name that is written down will do."""
    yield from _prefix(plain_opensearch)


def _prefix(cluster: Cluster) -> Iterator[str]:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield prefix
    cluster.forget(prefix)


@pytest.fixture
def cluster_store(opensearch_url: str, index_prefix: str) -> Iterator[Store]:
    """An empty store on the shared node."""
    from store import open_store

    store = open_store(opensearch_url, {"index_prefix": index_prefix})
    yield store
    store.close()


@pytest.fixture
def soc(tmp_path: Path) -> Soc:
    """`soc` as users run it: a process of its own, in `tmp_path` unless told otherwise, in English, without the user's configuration."""

    def run(*args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), *args], cwd=cwd or tmp_path, env=environment(tmp_path, env),
            capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture
def soc_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Soc:
    """The same within this process: ten times as quick, for the many small checks."""
    import cli
    from domain import i18n

    def run(*args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        out, err = _captured(), _captured()
        before = i18n.lang()
        with monkeypatch.context() as patch:
            for name, value in environment(tmp_path, env).items():
                patch.setenv(name, value)
            patch.chdir(cwd or tmp_path)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as left:
                cli.main(list(args))
        i18n.use(before)
        code = left.value.code
        return subprocess.CompletedProcess(list(args), code if isinstance(code, int) else 0, _text(out), _text(err))

    return run


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a test run: nothing of the user's own settings, English unless asked."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("SOC_") or name == "SOC_TEST_DATA"}
    own = {"SOC_LANG": "en", "XDG_CONFIG_HOME": str(home / "no-config"), "SOC_STATE": str(home), "PYTHONUTF8": "1", "COLUMNS": "200"}
    return {**keep, **own, **(more or {})}


def _captured() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "replace")
