"""Both engines give the same rows, counts and groups, for any expression over any events."""

from __future__ import annotations

import random
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.event import SEP, table_of
from domain.query import And, Not, Or, Query, Test
from domain.window import TimeWindow
from store import open_store
from store.base import Delivery
from tests.store.events import T0, identity, numbers

TEXTS = (
    "root", "ROOT", "Root\\admin", "Đỗ Văn Ánh", "ĐỖ VĂN ÁNH", "do van anh", "a*b", "a?b", "a\\*b", "\\", "\\\\host\\share", "", " ", "x" * 9000,
    "X" * 8191, "ab\x00c", "tab\tnew\nline", "İstanbul", "ΣΑΣ", "ß", "😀 emoji", "4688", "04688", "4688.0", "1e3", "-7", "true", "False", '"quoted"',
    "C:\\Windows\\System32\\cmd.exe", "c:\\windows\\system32\\CMD.EXE", "10.0.0.1", "%41", "a.b..c", "<script>", "cmd /c whoami && net user",
)  # fmt: skip
ADDRESSES = (
    "10.0.0.1",
    "10.0.0.200",
    "192.168.1.1",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "::ffff:10.0.0.7",
    "fe80::1%eth0",
    "[2001:db8::2]",
    "::1",
    "none",
    "010.0.0.1",
)
WORDS = ("user.name", "process.command_line", "winlog.event_data.Image", "labels.x", "unmapped.a..b", "json.deep.key", "host.name")
FIELDS = (*WORDS, "host.ip", "source.ip", "http.response.status_code", "event.risk_score", "tls.established", "message", "tags")
NETWORKS = ("10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32", "::/0", "0.0.0.0/0", "::ffff:10.0.0.0/104", "fe80::/10")
PATTERNS = ("root*", "*ADMIN", "a\\*b", "*\\\\*", "?oot", "*văn*", "c:\\windows\\*", "*", "", "*\x00*", "x*", "\\\\\\\\host*")
PARTS = ("ROO", "\\", "văn", "*", "?", "", "x" * 50, "4688", ".", "\n", "😀", "%", "σ", "i")
COUNT = 240


def _some(rng: random.Random, pool):
    return rng.choice(pool) if rng.random() < 0.75 else None


def _event(rng: random.Random, number: int) -> dict[str, object]:
    row: dict[str, object] = {
        "event.id": identity(number), "@timestamp": T0 + timedelta(seconds=rng.randrange(40), microseconds=rng.choice((0, 0, 1, 999_999))),
        "event.ingested": T0 + timedelta(minutes=5), "event.original": f"record {number}".encode(), "event.dataset": "test.log", "thapcanh.source": "w",
    }  # fmt: skip
    row |= {name: _some(rng, TEXTS) for name in WORDS}
    row["message"], row["source.ip"] = _some(rng, TEXTS), _some(rng, ADDRESSES)
    row["host.ip"] = SEP.join(sorted(rng.sample(ADDRESSES, rng.randrange(1, 4)))) if rng.random() < 0.7 else None
    row["tags"] = SEP.join(rng.sample(TEXTS[:8], rng.randrange(1, 3))) if rng.random() < 0.5 else None
    row["http.response.status_code"] = _some(rng, (0, 200, 404, 4688, -7, 2**40))
    row["event.risk_score"] = _some(rng, (0.0, 1.5, -2.25, 4688.0))
    row["tls.established"] = _some(rng, (True, False))
    return row


@pytest.fixture(scope="module")
def both(tmp_path_factory, opensearch_url, module_prefix):
    local = open_store(f"file:{tmp_path_factory.mktemp('agree')}")
    cluster = open_store(opensearch_url, {"index_prefix": module_prefix})
    rng = random.Random(7)
    rows = [_event(rng, n) for n in range(COUNT)]
    for start in range(0, COUNT, 60):
        delivery = Delivery({("nginx", "sshd")[start // 60 % 2]: [table_of(rows[start : start + 60])]})
        for store in (local, cluster):
            store.events.append(delivery)
    yield local, cluster
    for store in (local, cluster):
        store.close()


fields = st.sampled_from(FIELDS)
texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple)
leaves = st.one_of(
    st.builds(Test, fields, st.just("eq"), st.one_of(texts, st.tuples(st.sampled_from((200, 4688, -7, 1.5, True)))), st.booleans()),
    st.builds(Test, fields, st.sampled_from(("contains", "startswith", "endswith")), st.tuples(st.sampled_from(PARTS)), st.booleans()),
    st.builds(Test, fields, st.just("like"), st.tuples(st.sampled_from(PATTERNS)), st.booleans()),
    st.builds(Test, fields, st.just("re"), st.tuples(st.sampled_from(("(?i)root", "^a", "\\d+", "ă", "n$")))),
    st.builds(Test, fields, st.just("cidr"), st.tuples(st.sampled_from(NETWORKS))),
    st.builds(Test, fields, st.sampled_from(("lt", "lte", "gt", "gte")), st.tuples(st.sampled_from((0, 200, 1.5, -7, 4688, 1e30)))),
    st.builds(Test, fields, st.just("exists"), st.tuples(st.booleans())),
    st.builds(Test, fields, st.just("null")),
    st.builds(Test, fields, st.sampled_from(("fieldref", "fieldref_contains")), st.tuples(fields)),
    st.builds(
        Test, st.none(), st.sampled_from(("fold", "contains", "eq")), st.tuples(st.sampled_from(("do van", "root", "10.0.0", "zzz")))
    ),
    st.builds(
        Test, st.just("event.id"), st.sampled_from(("eq", "startswith")), st.tuples(st.sampled_from((identity(3).hex(), "0" * 31, "zz")))
    ),
    st.builds(Test, st.just("@timestamp"), st.just("contains"), st.tuples(st.sampled_from(("01:00:1", "2026")))),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda c: And(tuple(c))),
        st.lists(inner, max_size=3).map(lambda c: Or(tuple(c))),
    ),
    max_leaves=5,
)
windows = st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(1, 20)).map(
    lambda w: TimeWindow(T0 + timedelta(seconds=w[0]), T0 + timedelta(seconds=w[0] + w[1]))
))  # fmt: skip
relaxed = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def found(store, query):
    return [n for table in store.events.search(query) for n in numbers(table)]


@relaxed
@given(where=expressions, window=windows, newest=st.booleans(), limit=st.sampled_from((0, 0, 1, 7)))
def test_the_same_rows_in_the_same_order(both, where, window, newest, limit):
    local, cluster = both
    query = Query(where, window, newest_first=newest, limit=limit)
    assert found(cluster, query) == found(local, query)
    assert cluster.events.count(query) == local.events.count(query)


@relaxed
@given(where=expressions, window=windows, by=st.lists(fields, max_size=2, unique=True), every=st.sampled_from(("", "1s", "7s", "1h", "1d")))
def test_the_same_groups(both, where, window, by, every):
    local, cluster = both
    query = Query(where, window)
    mine, theirs = (sorted(map(str, s.events.aggregate(query, by, every).to_pylist())) for s in (cluster, local))
    assert mine == theirs


def test_the_same_columns_and_values(both):
    local, cluster = both
    for number in range(0, COUNT, 17):
        mine, theirs = (s.events.fetch([identity(number).hex()]).to_pylist()[0] for s in (cluster, local))
        assert {k: v for k, v in mine.items() if v is not None} == {k: v for k, v in theirs.items() if v is not None}


def test_the_same_events_are_scanned(both):
    local, cluster = both
    for upto in (1, 59, 60, 61, 200, 240):
        mine, theirs = (
            sorted(n for c in s.events.scan(0, upto) for n in numbers(pa.table({"event.id": c.ids()}))) for s in (cluster, local)
        )
        assert mine == theirs
    assert cluster.events.coverage() == local.events.coverage()
