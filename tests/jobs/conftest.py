"""A second store beside `tmp_store`."""

from __future__ import annotations

import pytest

from store import open_store


@pytest.fixture
def other(tmp_path):
    store = open_store(f"file:{tmp_path / 'other'}")
    yield store
    store.close()


@pytest.fixture(params=["embedded", "cluster"])
def target(request):
    """An empty store of either engine."""
    return request.getfixturevalue({"embedded": "other", "cluster": "cluster_store"}[request.param])
