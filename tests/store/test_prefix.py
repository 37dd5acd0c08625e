"""Names of indices: what may stand before them, so that no store touches another one."""

from __future__ import annotations

import pytest

from domain.errors import ConfigError
from store import open_store
from store.prefix import index_prefix


@pytest.mark.parametrize("prefix", ["thapcanh", "soc", "soc-test", "so_c", "0", "a.b", "x" * 80, "soc-eventslog", "events"])
def test_what_an_index_may_begin_with(prefix: str) -> None:
    assert index_prefix({"index_prefix": prefix}) == prefix


@pytest.mark.parametrize(
    "prefix",
    ["", "SOC", "a b", "_x", "-a", "+a", "*", "a*", "..", ".", ".soc", "a,b", "a/b", "a#", "a?b", "a:b", "vi\u1ec7t", "x" * 81, "a\n", 5,
     "soc-events", "soc-events-x"],
)  # fmt: skip
def test_what_it_may_not(prefix: object) -> None:
    with pytest.raises(ConfigError, match=r"at most 80 of a-z 0-9 - _ \."):
        open_store("http://127.0.0.1:9", {"index_prefix": prefix})


def test_shards_are_a_number() -> None:
    with pytest.raises(ConfigError, match="shards many: a number"):
        open_store("http://127.0.0.1:9", {"shards": "many"}).events  # noqa: B018  made when it is asked for
