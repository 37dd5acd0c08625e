"""Alerts and ledger laid out for dashboards: what a document says, and that only what changed is written again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain import i18n
from domain.alert import Alert, Entity, RuleRef
from domain.clock import FixedClock
from domain.errors import StoreError, UsageError
from domain.published import published
from domain.registers import Asset, Registers, Unit
from jobs import alerts as alert_jobs
from jobs import publish as job
from jobs.config import Config
from jobs.runtime import Runtime
from store.base import EventStore, Store
from store.opensearch.client import Cluster, connect
from store.opensearch.publish import publish
from tests.conftest import Soc
from tests.reports import seed

AT = datetime(2025, 6, 30, 10, tzinfo=UTC)
REGISTERS = Registers(
    units=(
        Unit(code="H", name="Huyện Bình Minh", networks=("10.20.50.0/23",), valid_to=date(2025, 6, 30)),
        Unit(code="X", name="Xã Bình An", networks=("10.20.50.0/24",), valid_from=date(2025, 7, 1)),
        Unit(code="S", name="Sở Y tế", networks=("2001:db8:20::/48",)),
    ),
    assets=(
        Asset(id="web", name="Cổng thông tin", unit="S", hosts=("web01", "nginx-log"), level=3),
        Asset(id="db", name="Cơ sở dữ liệu", unit="S", addresses=("10.20.50.9",), level=4, valid_from=date(2025, 7, 1)),
    ),
)


def _alert(*entities: Entity, at: datetime = AT, related: tuple[Entity, ...] = (), **more: Any) -> Alert:
    tags = ("attack.credential-access", "attack.t1110.001", "attack.g0049", "car.2013-05-004", "attack.T1078")
    rule = RuleRef("r1", "Dò mật khẩu", "high", "v1", tags)
    values = {"count": 3, "events": (), "opened_at": at + timedelta(minutes=5), **more}
    return Alert("a1", rule, entities, at, at + timedelta(minutes=1), related=related, **values)


def _flat(alert: Alert, *events: Mapping[str, object]) -> dict[str, object]:
    return job.flat_alert(alert, REGISTERS, events)


def test_a_document_has_the_fields_of_the_dictionary() -> None:
    assert set(_flat(_alert())) == set(published()["alerts"])


def test_tactics_and_techniques_in_words() -> None:
    flat = _flat(_alert())
    assert flat["threat.technique.id"] == ["T1110.001", "T1078"]
    assert flat["threat.technique.name"] == ["T1110.001 đoán mật khẩu", "T1078 dùng tài khoản hợp lệ"]
    assert flat["threat.tactic.name"] == ["lấy thông tin đăng nhập"]
    assert (flat["rule.level"], flat["rule.rank"]) == ("high", 4)


@pytest.mark.parametrize(
    ("alert", "events", "units", "assets"),
    [
        pytest.param(_alert(Entity("ip", "10.20.50.9")), (), ["Huyện Bình Minh"], [], id="the unit of that day"),
        pytest.param(_alert(Entity("ip", "10.20.50.9"), at=AT + timedelta(days=2)), (), ["Sở Y tế"], ["Cơ sở dữ liệu"], id="a day later: the asset"),
        pytest.param(_alert(Entity("ip", "2001:db8:20::7")), (), ["Sở Y tế"], [], id="v6"),
        pytest.param(_alert(Entity("host", "WEB01.saomai.example")), (), ["Sở Y tế"], ["Cổng thông tin"], id="host with domain"),
        pytest.param(_alert(Entity("user", "web01")), (), [], [], id="a user is no machine"),
        pytest.param(_alert(Entity("ip", "8.8.8.8"), related=(Entity("host", "web01"),)), (), ["Sở Y tế"], ["Cổng thông tin"], id="related"),
        pytest.param(_alert(Entity("ip", "8.8.8.8")), ({"destination.ip": "10.20.50.4"},), ["Huyện Bình Minh"], [], id="machine of the event"),
        pytest.param(_alert(Entity("ip", "8.8.8.8")), ({"thapcanh.source": "nginx-log"},), ["Sở Y tế"], ["Cổng thông tin"], id="source"),
        pytest.param(_alert(Entity("source", "nginx-log")), (), ["Sở Y tế"], ["Cổng thông tin"], id="silent source"),
        pytest.param(_alert(Entity("ip", "8.8.8.8")), ({"host.name": "elsewhere"},), [], [], id="nobody's"),
    ],
)  # fmt: skip
def test_units_and_assets_as_they_were(alert: Alert, events: tuple[Mapping[str, object], ...], units: list[str], assets: list[str]) -> None:
    flat = _flat(alert, *events)
    assert (flat["unit.name"], flat["asset.name"]) == (units, assets)


class OnCluster:
    """A store whose publications go to a real cluster; all else is the embedded engine."""

    def __init__(self, local: Store, cluster: Cluster, prefix: str) -> None:
        self.events: EventStore = local.events
        self.records, self.coordination, self.url = local.records, local.coordination, cluster.where
        self.events.capabilities = dataclasses.replace(self.events.capabilities, dashboards=True)
        self.written: list[tuple[str, list[str]]] = []
        self.cluster, self.prefix = cluster, prefix

    def publish(self, name: str, documents: Mapping[str, Mapping[str, object]]) -> int:
        self.written.append((name, list(documents)))
        return publish(self.cluster, self.prefix, name, documents)

    def found(self, name: str) -> dict[str, Any]:
        """What dashboards see."""
        self.cluster.call("POST", f"/{self.prefix}-{name}/_refresh")
        hits = self.cluster.call("POST", f"/{self.prefix}-{name}/_search", {"size": 1000})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}

    def close(self) -> None:
        self.cluster.close()


@pytest.fixture
def store(tmp_store: Store, opensearch_url: str, index_prefix: str) -> Iterator[OnCluster]:
    made = OnCluster(tmp_store, connect(opensearch_url), index_prefix)
    yield made
    made.close()


@pytest.fixture
def runtime(store: OnCluster, tmp_path: Path) -> Runtime:
    config = Config(tmp_path / "soc.toml", store_url=f"file:{tmp_path / 'store'}", content=(tmp_path / "content",))
    made = Runtime(config, FixedClock(seed.NOW))
    made.store = store
    return made


def _two(store: Store) -> tuple[str, str]:
    ids = seed.store_events(store, [seed.event("fw", seed.MONDAY, host__name="web01"), seed.event("dc", seed.MONDAY, host__name="dc01")])
    return seed.alert(store, "một", ids[:1], [Entity("ip", "8.8.8.8")]), seed.alert(store, "hai", ids[1:], [Entity("host", "dc01")])


def test_what_dashboards_see(runtime: Runtime, store: OnCluster) -> None:
    first, second = _two(store)
    assert job.publish(runtime) == job.Published(2, 2, whole=True)
    seen = store.found("alerts")
    assert sorted(seen) == sorted([first, second])
    assert (seen[first]["rule.title"], seen[first]["source"], seen[first]["open"], seen[first]["status"]) == ("một", ["fw"], True, "new")
    assert store.found("sources")["fw"]["received"] == 1
    assert store.found("sources")["fw"]["unparsed_share"] == 0.0


def test_only_what_changed_is_written_again(runtime: Runtime, store: OnCluster) -> None:
    first, second = _two(store)
    job.publish(runtime)
    assert job.publish(runtime) == job.Published(0, 2, whole=False)
    alert_jobs.verdict(runtime, [second], "benign", "kiểm thử")
    store.written.clear()
    assert job.publish(runtime) == job.Published(1, 2, whole=False)
    assert [(name, sorted(ids)) for name, ids in store.written] == [("alerts", sorted([first, second])), ("sources", ["dc", "fw"])]
    seen = store.found("alerts")
    assert (seen[second]["status"], seen[second]["verdict"], seen[second]["open"]) == ("closed", "benign", False)
    assert seen[first]["status"] == "new"
    assert job.publish(runtime, everything=True).alerts == 2


def test_registers_and_language_change_every_document(runtime: Runtime, store: OnCluster, tmp_path: Path) -> None:
    first, _ = _two(store)
    job.publish(runtime)
    assert "unit.name" not in store.found("alerts")[first]
    folder = tmp_path / "content" / "registers"
    folder.mkdir(parents=True)
    (folder / "units.csv").write_text("code,name,networks\nS,Sở Y tế,8.8.8.0/24\n", encoding="utf-8")
    assert job.publish(runtime) == job.Published(2, 2, whole=True)
    assert store.found("alerts")[first]["unit.name"] == ["Sở Y tế"]
    i18n.use("en")
    try:
        assert job.publish(runtime).whole
    finally:
        i18n.use("vi")


def test_one_process_at_a_time(runtime: Runtime, store: OnCluster) -> None:
    store.coordination.lease(job.NAME, "somebody else", 60, seed.NOW)
    with pytest.raises(StoreError, match="another process is publishing right now"):
        job.publish(runtime)
    assert store.written == []


def test_a_scan_goes_on_without_its_dashboards(runtime: Runtime, store: OnCluster) -> None:
    _two(store)
    assert job.after_scan(runtime) == []
    assert len(store.found("alerts")) == 2
    store.cluster.call("DELETE", f"/{store.prefix}-alerts")
    store.cluster.call("PUT", f"/{store.prefix}-alerts", {"mappings": {"properties": {"id": {"type": "long"}}}})
    (note,) = job.after_scan(runtime)
    assert "the index was made with other types of id" in note


def test_an_embedded_store_says_what_is_needed(soc_here: Soc, tmp_path: Path) -> None:
    done = soc_here("store", "publish", "--data", str(tmp_path / "d"))
    assert done.returncode == 2
    assert "has no dashboards: OpenSearch Dashboards read a cluster" in done.stderr
    assert 'url = "https://HOST:9200"' in done.stderr
    runtime = Runtime(Config(None), FixedClock(seed.NOW), str(tmp_path / "d"))
    with pytest.raises(UsageError):
        job.publish(runtime)
    assert job.after_scan(runtime) == []
    runtime.store.close()


def test_the_objects_are_written_without_a_store(soc_here: Soc, tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text('[store]\nurl = "https://unreachable.example:9200"\nindex_prefix = "saomai"\n', encoding="utf-8")
    out = tmp_path / "boards.ndjson"
    done = soc_here("store", "dashboards", "--out", str(out))
    lines = out.read_bytes().splitlines()
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{len(lines)} objects written to {out}" in done.stderr
    assert orjson.loads(lines[0])["attributes"]["title"] == "saomai-events-*"
    assert soc_here("store", "dashboards").stdout.encode() == out.read_bytes()
    assert "Tháp Canh – Tổng quan" in soc_here("store", "dashboards", "--lang", "vi").stdout
    refused = soc_here("store", "dashboards", "--out", str(tmp_path / "no" / "such"))
    assert (refused.returncode, "No such file or directory" in refused.stderr) == (2, True)
