"""Alerts and ledger laid out for dashboards: what a document says, and that only what changed is written again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain import i18n
from domain.alert import Alert, Entity, RuleRef
from domain.clock import FixedClock
from domain.errors import ConflictError, UsageError
from domain.published import published
from domain.registers import Asset, Registers, Unit
from jobs import alerts as alert_jobs
from jobs import publish as job
from jobs.config import Config
from jobs.runtime import Runtime
from store.base import Store
from store.opensearch.client import connect
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
    assert flat["threat.technique.name"] == ["T1110.001 Đoán mật khẩu", "T1078 Dùng tài khoản hợp lệ"]
    assert flat["threat.tactic.name"] == ["truy cập thông tin xác thực"]
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


class Seen:
    """What dashboards see of the store on the cluster."""

    def __init__(self, url: str, prefix: str) -> None:
        self.cluster, self.prefix = connect(url), prefix

    def __call__(self, name: str) -> dict[str, Any]:
        return {key: hit["_source"] for key, hit in self._hits(name).items()}

    def versions(self, name: str) -> dict[str, int]:
        """How often each document was written."""
        return {key: hit["_version"] for key, hit in self._hits(name).items()}

    def delete(self, name: str) -> None:
        self.cluster.call("DELETE", f"/{self.prefix}-{name}")

    def _hits(self, name: str) -> dict[str, Any]:
        self.cluster.call("POST", f"/{self.prefix}-{name}/_refresh")
        found = self.cluster.call("POST", f"/{self.prefix}-{name}/_search", {"size": 1000, "version": True})
        return {hit["_id"]: hit for hit in found["hits"]["hits"]}


@pytest.fixture
def seen(opensearch_url: str, index_prefix: str) -> Iterator[Seen]:
    made = Seen(opensearch_url, index_prefix)
    yield made
    made.cluster.close()


@pytest.fixture
def runtime(cluster_store: Store, opensearch_url: str, tmp_path: Path) -> Runtime:
    made = Runtime(Config(tmp_path / "soc.toml", store_url=opensearch_url, content=(tmp_path / "content",)), FixedClock(seed.NOW))
    made.store = cluster_store
    return made


def _two(runtime: Runtime) -> tuple[str, str]:
    store = runtime.store
    ids = seed.store_events(store, [seed.event("fw", seed.MONDAY, host__name="web01"), seed.event("dc", seed.MONDAY, host__name="dc01")])
    return seed.alert(store, "một", ids[:1], [Entity("ip", "8.8.8.8")]), seed.alert(store, "hai", ids[1:], [Entity("host", "dc01")])


def test_what_dashboards_see(runtime: Runtime, seen: Seen) -> None:
    first, second = _two(runtime)
    assert job.publish(runtime) == job.Published(2, 2, whole=True)
    shown = seen("alerts")
    assert sorted(shown) == sorted([first, second])
    assert (shown[first]["rule.title"], shown[first]["source"], shown[first]["open"], shown[first]["status"]) == (
        "một",
        ["fw"],
        True,
        "new",
    )
    assert seen("sources")["fw"]["received"] == 1
    assert seen("sources")["fw"]["unparsed_share"] == 0.0


def test_only_what_changed_is_written_again(runtime: Runtime, seen: Seen) -> None:
    _, second = _two(runtime)
    third = seed.alert(runtime.store, "ba", [], [Entity("host", "dc02")])
    job.publish(runtime)
    assert job.publish(runtime) == job.Published(0, 2, whole=False)
    alert_jobs.verdict(runtime, [third], "benign", "kiểm thử")
    assert job.publish(runtime) == job.Published(1, 2, whole=False)
    shown, versions = seen("alerts"), seen.versions("alerts")
    assert (shown[third]["status"], shown[third]["verdict"], shown[third]["open"]) == ("closed", "benign", False)
    assert (shown[second]["status"], versions[second], versions[third]) == ("new", 1, 2)
    assert job.publish(runtime, everything=True) == job.Published(3, 2, whole=True)


def test_an_index_that_was_deleted_is_made_again_as_a_whole(runtime: Runtime, seen: Seen) -> None:
    first, second = _two(runtime)
    job.publish(runtime)
    seen.delete("alerts")
    assert job.publish(runtime) == job.Published(2, 2, whole=True)
    assert sorted(seen("alerts")) == sorted([first, second])
    third = seed.alert(runtime.store, "ba", [], [Entity("host", "dc02")])
    assert job.publish(runtime) == job.Published(1, 2, whole=False)
    seen.delete("alerts")
    fourth = seed.alert(runtime.store, "bốn", [], [Entity("host", "dc03")])
    assert job.publish(runtime) == job.Published(4, 2, whole=True)
    assert sorted(seen("alerts")) == sorted([first, second, third, fourth])


def test_a_store_without_alerts(runtime: Runtime, seen: Seen) -> None:
    assert job.publish(runtime) == job.Published(0, 0, whole=True)
    assert seen("alerts") == {}
    assert job.publish(runtime) == job.Published(0, 0, whole=False)
    first, second = _two(runtime)
    assert job.publish(runtime) == job.Published(2, 2, whole=False)
    assert sorted(seen("alerts")) == sorted([first, second])


def test_registers_and_language_change_every_document(runtime: Runtime, seen: Seen, tmp_path: Path) -> None:
    first, _ = _two(runtime)
    job.publish(runtime)
    assert "unit.name" not in seen("alerts")[first]
    folder = tmp_path / "content" / "registers"
    folder.mkdir(parents=True)
    (folder / "units.csv").write_text("code,name,networks\nS,Sở Y tế,8.8.8.0/24\n", encoding="utf-8")
    assert job.publish(runtime) == job.Published(2, 2, whole=True)
    assert seen("alerts")[first]["unit.name"] == ["Sở Y tế"]
    i18n.use("en")
    try:
        assert job.publish(runtime).whole
    finally:
        i18n.use("vi")


def test_one_process_at_a_time(runtime: Runtime) -> None:
    runtime.store.coordination.lease(job.NAME, "somebody else", 60, seed.NOW)
    with pytest.raises(ConflictError, match="another process is publishing right now"):
        job.publish(runtime)
    assert job.after_scan(runtime) == []
    runtime.store.coordination.release(job.NAME, "somebody else")
    assert job.publish(runtime).whole


def test_a_scan_goes_on_without_its_dashboards(runtime: Runtime, seen: Seen) -> None:
    _two(runtime)
    assert job.after_scan(runtime) == []
    assert len(seen("alerts")) == 2
    seen.delete("alerts")
    seen.cluster.call("PUT", f"/{seen.prefix}-alerts", {"mappings": {"properties": {"id": {"type": "long"}}}})
    (note,) = job.after_scan(runtime)
    assert "the index was made with other types of id" in note


def test_a_scan_publishes(soc_here: Soc, seen: Seen, tmp_path: Path) -> None:
    """The whole command line against the cluster: collect, scan, and the charts have something to show."""
    config = f'[store]\nurl = "{seen.cluster.where}"\nindex_prefix = "{seen.prefix}"\n'
    (tmp_path / "soc.toml").write_text(config, encoding="utf-8")
    sample = Path(__file__).parents[2] / "docs" / "sample"
    assert soc_here("collect", "once", "--path", str(sample)).returncode == 0
    scanned = soc_here("scan", "--json")
    assert scanned.returncode == 0, scanned.stderr
    opened = orjson.loads(scanned.stdout)["opened"]
    assert opened
    assert sorted(seen("alerts")) == sorted(opened)
    assert sum(one["stored"] for one in seen("sources").values()) == 125


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
