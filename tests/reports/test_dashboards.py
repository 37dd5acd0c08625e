"""The saved objects: as Dashboards wants them, and every panel answered by a real server with the real mappings."""

from __future__ import annotations

import copy
import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from domain import i18n
from domain.errors import StoreError
from reports.dashboards import ndjson
from store.opensearch import mapping
from store.opensearch.client import Cluster, connect
from store.opensearch.publish import publish
from tests.conftest import ROOT
from tests.reports import saved_objects as check
from tests.servers import places
from tests.servers.cluster import Cluster as Server

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
Object = dict[str, Any]


@pytest.fixture(scope="module")
def made() -> list[Object]:
    return check.read(ndjson("thapcanh"))


@pytest.fixture(params=i18n.LANGS)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    before = i18n.lang()
    i18n.use(request.param)
    yield request.param
    i18n.use(before)


def test_nothing_is_wrong_with_them(language: str) -> None:
    found = check.read(ndjson("thapcanh"))
    assert check.problems(found) == []
    titles = [o["attributes"]["title"] for o in found if o["type"] == "dashboard"]
    assert titles[0] == {"vi": "Tháp Canh – Tổng quan", "en": "Tháp Canh – Overview"}[language]
    assert len(titles) == 3


def test_ids_do_not_depend_on_the_language_but_on_the_prefix(made: list[Object]) -> None:
    before = i18n.lang()
    i18n.use("en")
    english = check.read(ndjson("thapcanh"))
    i18n.use(before)
    assert [(o["type"], o["id"]) for o in english] == [(o["type"], o["id"]) for o in made]
    other = check.read(ndjson("tinh2"))
    assert not {o["id"] for o in other} & {o["id"] for o in made}
    assert {o["attributes"]["title"] for o in other if o["type"] == "index-pattern"} == {"tinh2-events-*", "tinh2-alerts", "tinh2-sources"}


def test_every_panel_stands_on_a_dashboard(made: list[Object]) -> None:
    shown = {(r["type"], r["id"]) for o in made if o["type"] == "dashboard" for r in o["references"]}
    assert shown == {(o["type"], o["id"]) for o in made if o["type"] in ("visualization", "search")}


def _state(change: Callable[[Object], None]) -> Callable[[list[Object]], None]:
    """A change to the bars of alerts over time."""

    def spoil(made: list[Object]) -> None:
        item = next(o for o in made if o["id"] == "thapcanh-alerts-over-time")
        state = json.loads(item["attributes"]["visState"])
        change(state)
        item["attributes"]["visState"] = json.dumps(state)

    return spoil


def _board_query(made: list[Object]) -> None:
    meta = made[-1]["attributes"]["kibanaSavedObjectMeta"]
    meta["searchSourceJSON"] = meta["searchSourceJSON"].replace("not status:", "not state:")


def _grid(made: list[Object]) -> None:
    board = next(o for o in made if o["type"] == "dashboard")
    panels = json.loads(board["attributes"]["panelsJSON"])
    panels[1]["gridData"]["x"] -= 1
    panels[3]["gridData"]["w"] += 1
    board["attributes"]["panelsJSON"] = json.dumps(panels)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda made: made.append(made[5]), "1 ids are given twice", id="twice"),
        pytest.param(lambda made: made.pop(0), "refers to index-pattern thapcanh-events, which is not there", id="dangling"),
        pytest.param(lambda made: made[-1]["references"].pop(), "but its attributes name", id="reference"),
        pytest.param(lambda made: made[0].update(migrationVersion={"index-pattern": "7.11.0"}), "migrationVersion {'index", id="newer"),
        pytest.param(_state(lambda s: s["aggs"][1]["params"].update(field="rule.title")), "date_histogram of rule.title", id="type"),
        pytest.param(_state(lambda s: s["aggs"][1]["params"].update(field="nothing")), "date_histogram of nothing: None", id="field"),
        pytest.param(_state(lambda s: s["aggs"][1]["params"].update(field="first")), "`auto` only for the time field last", id="auto"),
        pytest.param(lambda made: made[-1]["attributes"].update(panels=1), "has no field for: ['panels']", id="strict"),
        pytest.param(_state(lambda s: s["aggs"].pop(0)), "0 aggregations as metric: 1 to 99", id="no metric"),
        pytest.param(_state(lambda s: s["aggs"][2].update(schema="bucket")), "filters as bucket of histogram", id="place"),
        pytest.param(_state(lambda s: s["aggs"][2]["params"]["filters"][0]["input"].update(query="rule.levl:x")), "query on rule.levl", id="query"),
        pytest.param(_state(lambda s: s["params"]["seriesParams"][0]["data"].update(id="7")), "draws series 7", id="series"),
        pytest.param(_board_query, "query on state: None", id="query of a board"),
        pytest.param(_grid, "panels 0 and 1 overlap", id="overlap"),
        pytest.param(_grid, "panel 3 lies outside", id="outside"),
    ],
)  # fmt: skip
def test_the_check_finds_what_is_wrong(made: list[Object], spoil: Callable[[list[Object]], None], said: str) -> None:
    spoiled = copy.deepcopy(made)
    spoil(spoiled)
    found = check.problems(spoiled)
    assert any(said in one for one in found), found


@pytest.fixture
def cluster(opensearch_url: str, index_prefix: str) -> Iterator[Cluster]:
    """A cluster with events, alerts and sources under the prefix, laid out as the product does."""
    opened = connect(opensearch_url)
    _fill(opened, index_prefix)
    yield opened
    opened.close()


def _fill(opened: Cluster, index_prefix: str) -> None:
    mapping.install(opened, index_prefix, {})
    lines = []
    for number, document in enumerate(_events()):
        action = {"create": {"_index": f"{index_prefix}-events-linux_auth-2026.11.23", "_id": f"{number:032x}"}}
        lines += [json.dumps(action).encode(), json.dumps(document).encode()]
    items = opened.bulk(b"\n".join([*lines, b""]))
    assert [item for item in items if item["status"] >= 300] == []
    publish(opened, index_prefix, "alerts", _alerts())
    publish(opened, index_prefix, "sources", _ledger())
    opened.call("POST", f"/{index_prefix}-*/_refresh")


def _events() -> Iterator[Object]:
    for number in range(60):
        at = (NOW - timedelta(minutes=20 * number)).isoformat().replace("+00:00", "Z")
        common = {"@timestamp": at, "thapcanh.source": f"src{number % 4}", "thapcanh.parser": "linux_auth", "host.name": f"Máy{number % 5}"}
        if number % 6 == 0:
            yield {**common, "event.kind": "pipeline_error", "error.message": "no match", "message": "???"}
        else:
            yield {
                **common, "event.dataset": "system.auth", "event.category": ["authentication", "session"], "source.ip": f"2001:db8::{number % 7}",
                "event.outcome": "failure" if number % 3 == 0 else "success", "user.name": f"Nguyễn{number % 3}",
            }  # fmt: skip


def _alerts() -> dict[str, Object]:
    levels, statuses, verdicts = (
        ("critical", "high", "medium", "low", "informational"),
        ("new", "assigned", "ack", "silenced"),
        ("", "benign"),
    )
    out = {}
    for number in range(40):
        closed = number % 5 == 4
        out[f"a{number}"] = {
            "id": f"a{number}", "kind": "sigma", "rule.id": f"r{number % 3}", "rule.title": f"Luật Đỏ {number % 3}",
            "rule.level": levels[number % 5], "rule.rank": 5 - number % 5, "first": NOW - timedelta(hours=number),
            "last": NOW - timedelta(minutes=30 * number), "count": number + 1, "status": "closed" if closed else statuses[number % 4],
            "incident": "SC-1", "verdict": verdicts[1] if closed else "", "open": not closed, "entities": [f"ip=10.0.0.{number}"], "exercise": False,
            **({"unit.code": ["SYT"], "unit.name": ["Sở Y tế"], "asset.name": ["Cổng dịch vụ công"]} if number % 2 else {}),
            **({"threat.technique.name": ["T1110 dò mật khẩu"], "threat.tactic.name": ["truy cập ban đầu"]} if number % 3 else {}),
        }  # fmt: skip
    return out


def _ledger() -> dict[str, Object]:
    return {
        f"src{n}": {
            "source": f"src{n}", "received": 100, "stored": 90, "unparsed": 9 * n, "unparsed_share": n / 10, "rejected": n, "duplicates": n,
            "spooled": 0, "lag_seconds": 12.5, "last_event": NOW, "last_delivery": NOW, "silent": n == 1, "configured": True, "published": NOW,
        }
        for n in range(3)
    }  # fmt: skip


def test_every_panel_gets_an_answer(cluster: Cluster, index_prefix: str) -> None:
    assert _unanswered(cluster, index_prefix) == []


def _unanswered(cluster: Cluster, prefix: str) -> list[str]:
    """Panels whose query, as Dashboards sends it, finds nothing."""
    found = check.read(ndjson(prefix))
    known = {(o["type"], o["id"]): o for o in found}
    times = (NOW - timedelta(days=30)).isoformat(), NOW.isoformat()
    shown = [(board, known[r["type"], r["id"]]) for board in found if board["type"] == "dashboard" for r in board["references"]]
    assert len(shown) > 35
    empty = []
    for board, item in shown:
        index = known["index-pattern", item["references"][0]["id"]]["attributes"]["title"]
        answer = cluster.call("POST", f"/{index}/_search", check.body(item, known, times, board))
        assert answer["_shards"]["failed"] == 0
        if not answer["hits"]["total"]["value"] or not _filled(item, answer):
            empty.append(item["id"])
    return empty


def test_silenced_alerts_are_in_no_chart(cluster: Cluster, index_prefix: str) -> None:
    found = check.read(ndjson(index_prefix))
    known = {(o["type"], o["id"]): o for o in found}
    board = known["dashboard", f"{index_prefix}-board-alerts"]
    times = (NOW - timedelta(days=30)).isoformat(), NOW.isoformat()
    body = check.body(known["visualization", f"{index_prefix}-alerts-count"], known, times, board)
    heard = sum(one["status"] != "silenced" for one in _alerts().values())
    assert 0 < heard < len(_alerts())
    assert cluster.call("POST", f"/{index_prefix}-alerts/_count", {"query": body["query"]})["count"] == heard


def _filled(item: Object, answer: Object) -> bool:
    """Whether every level of buckets and every figure holds something."""
    if item["type"] == "search":
        return bool(answer["hits"]["hits"])
    aggs = json.loads(item["attributes"]["visState"])["aggs"]
    at = answer.get("aggregations", {})
    for one in [a for a in aggs if a["schema"] != "metric"]:
        buckets = at[one["id"]]["buckets"]
        full = [b for b in (buckets.values() if isinstance(buckets, dict) else buckets) if b["doc_count"]]
        if not full:
            return False
        at = full[0]
    return all(at[a["id"]]["value"] is not None for a in aggs if a["schema"] == "metric" and a["type"] != "count")


def test_who_looks_may_look_and_nothing_else(secure_opensearch: Server) -> None:
    """The role of docs/dashboards.md, on a secured server."""
    server, prefix, password = secure_opensearch, f"t{uuid.uuid4().hex[:12]}", f"Aa1-{secrets.token_urlsafe(24)}"
    assert server.access
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    ((_, role),) = yaml.safe_load(block.replace("thapcanh-", f"{prefix}-")).items()
    with places.locked("security"):  # it takes one change at a time
        for kind, body in (("internalusers", {"password": password}), ("roles", role), ("rolesmapping", {"users": [prefix]})):
            server.call("PUT", f"_plugins/_security/api/{kind}/{prefix}", body)
    ca = str(server.access.ca)
    admin = connect(server.url, {"user": server.access.user, "password": server.access.password, "ca": ca})
    viewer = connect(server.url, {"user": prefix, "password": password, "ca": ca})
    try:
        _fill(admin, prefix)
        admin.call("PUT", f"/{prefix}-records")
        assert _unanswered(viewer, prefix) == []
        for index in (f"{prefix}-events-*", f"{prefix}-alerts", f"{prefix}-sources"):
            viewer.call("GET", f"/{index}/_field_caps", params={"fields": "*"})
            viewer.call("GET", f"/_resolve/index/{index}")
            asked = json.dumps({"index": index}).encode() + b'\n{"query":{"match_all":{}}}\n'
            assert viewer.call("POST", "/_msearch", asked)["responses"][0]["status"] == 200
        with pytest.raises(StoreError, match=rf"user {prefix} may not do that: no permissions for \[indices:data/read/search\]"):
            viewer.call("GET", f"/{prefix}-records/_search")
        with pytest.raises(StoreError, match=rf"user {prefix} may not do that: no permissions for \[indices:data/write/bulk"):
            publish(viewer, prefix, "alerts", _alerts())
    finally:
        viewer.close()
        admin.close()
        server.forget(prefix)


def test_charts_show_names_as_they_are_written(cluster: Cluster, index_prefix: str) -> None:
    query = {"size": 0, "aggs": {"u": {"terms": {"field": "unit.name"}}, "r": {"terms": {"field": "rule.title"}}}}
    answer = cluster.call("POST", f"/{index_prefix}-alerts/_search", query)["aggregations"]
    assert [b["key"] for b in answer["u"]["buckets"]] == ["Sở Y tế"]
    assert answer["r"]["buckets"][0]["key"] == "Luật Đỏ 0"


def test_index_patterns_say_what_the_indices_have(cluster: Cluster, index_prefix: str) -> None:
    """Types, searchable, aggregatable: as the server itself reports them."""
    names = {"number": {"long", "double"}, "string": {"keyword", "text"}, "date": {"date"}, "boolean": {"boolean"}, "ip": {"ip"}}
    wrong = []
    for pattern in (o for o in check.read(ndjson(index_prefix)) if o["type"] == "index-pattern"):
        there = cluster.call("GET", f"/{pattern['attributes']['title']}/_field_caps", params={"fields": "*"})["fields"]
        for field in json.loads(pattern["attributes"]["fields"]):
            if field["name"].startswith("_"):
                continue
            (kind, caps), *_ = there.get(field["name"], {"absent": {}}).items()
            as_it_is = kind in names[field["type"]] and (caps["searchable"], caps["aggregatable"]) == (
                field["searchable"],
                field["aggregatable"],
            )
            wrong += [] if as_it_is else [f"{pattern['id']} {field['name']}: {kind} {caps}"]
    assert wrong == []
