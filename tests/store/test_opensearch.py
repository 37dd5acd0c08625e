"""The cluster engine on a real server: the contract of every store, and what is its own."""

from __future__ import annotations

import pytest

from tests.store.contract import *  # noqa: F403  every test of the contract runs here


@pytest.fixture
def store(cluster_store):
    return cluster_store
