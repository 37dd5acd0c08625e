"""The roles that are shipped, loaded into a secured server: with each exactly its commands work, and what a user lacks is named."""

from __future__ import annotations

import json
import secrets
import urllib.error
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.servers import places
from tests.servers.cluster import Cluster
from tests.servers.security import SHIPPED

SAMPLE = places.ROOT / "docs" / "sample"


@dataclass
class Province:
    """A secured cluster with the shipped roles, under a prefix of its own."""

    cluster: Cluster
    prefix: str
    folder: Path
    password: str
    used: bool = False

    def user(self, role: str) -> str:
        return f"{self.prefix}-{role}"

    def config(self, role: str, access: str = "") -> Path:
        """soc.toml of a user; `access`: other lines than user and password."""
        assert self.cluster.access
        path = self.folder / f"{role}-{uuid.uuid4().hex}.toml"
        named = access or f'user = "{self.user(role)}"\npassword = "${{SECRET}}"'
        store = f'[store]\nurl = "{self.cluster.url}"\nca = "{self.cluster.access.ca}"\nindex_prefix = "{self.prefix}"\n{named}\n'
        path.write_text(f'lang = "en"\n{store}[[source]]\nid = "web"\ntype = "file"\npath = "{SAMPLE}/*"\n', encoding="utf-8")
        return path


def shipped(name, prefix):
    """Our entries of a shipped file, with another prefix in place of `thapcanh`, as it says itself."""
    entries = yaml.safe_load((SHIPPED / f"{name}.yml").read_text(encoding="utf-8").replace("thapcanh", prefix))
    return {key: {k: v for k, v in entry.items() if k != "reserved"} for key, entry in entries.items() if key.startswith(prefix)}


def load(cluster, kind, entries):
    """Entries of one shipped file, through the security plugin's REST API."""
    changes = [{"op": "add", "path": f"/{name}", "value": entry} for name, entry in entries.items()]
    cluster.call("PATCH", f"_plugins/_security/api/{kind}", changes)


@pytest.fixture(scope="module")
def province(secure_opensearch, tmp_path_factory):
    """The shipped roles and a user for each of them."""
    made = Province(secure_opensearch, f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("province"), f"Aa1-{secrets.token_urlsafe(24)}")
    roles, mapping = (shipped(name, made.prefix) for name in ("roles", "roles_mapping"))
    users = {user: {"password": made.password} for entry in mapping.values() for user in entry["users"]}
    with places.locked("security"):  # it takes one change at a time
        for kind, entries in (("internalusers", users), ("roles", roles), ("rolesmapping", mapping)):
            load(secure_opensearch, kind, entries)
    yield made
    secure_opensearch.forget(made.prefix)


@pytest.fixture
def soc_as(province, soc_here, tmp_path):
    """`soc` as the user who has this role."""

    def run(role, *args, access=""):
        return soc_here("--config", str(province.config(role, access)), *args, env={"SECRET": province.password})

    if not province.used:
        done = run("admin", "collect", "once")
        assert (done.returncode, "stored 125 events" in done.stderr) == (0, True), done.stderr
        province.used = True
    return run


@pytest.fixture
def log(tmp_path):
    """A folder with a log that nobody has collected yet."""

    def write(stamp="2026-11-24T03:00:00Z", more=""):
        folder = tmp_path / "logs"
        folder.mkdir()
        text = f"{stamp} gate sshd[77]: Failed password for {uuid.uuid4().hex} from 192.0.2.9 port 22 ssh2\n"
        (folder / "auth.log").write_text(text + more, encoding="utf-8")
        return str(folder)

    return write


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("collector", "collect once"),
        ("collector", "collect status"),
        ("soc", "search event.code:*"),
        ("soc", "scan"),
        ("soc", "alerts list"),
        ("soc", "queue"),
        ("soc", "incident open --title Test --t0 2026-11-24T08:00:00+07:00"),
        ("soc", "store info"),
        ("soc", "store verify"),
        ("soc", "store publish"),
        ("soc", "rules check"),
        ("admin", "collect once"),
        ("admin", "scan"),
        ("admin", "store verify"),
        ("admin", "store hold court --since 2026-11-01"),
        ("admin", "store hold court --release"),
    ],
)  # fmt: skip
def test_what_a_role_is_for_works(soc_as, role, command):
    done = soc_as(role, *command.split())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("role", "command", "lacks"),
    [
        ("collector", "search *", "indices:admin/refresh"),
        ("collector", "scan", "indices:admin/refresh"),
        ("soc", "collect once --path LOG", "indices:admin/index_template/get"),
        ("soc", "store hold court --since 2026-11-01", "indices:data/write/"),
        ("reader", "search *", "indices:data/read/get"),
        ("reader", "alerts list", "indices:data/read/get"),
        ("reader", "collect once --path LOG", "indices:data/read/get"),
    ],
)  # fmt: skip
def test_what_a_role_is_not_for_is_refused_by_name(soc_as, province, log, role, command, lacks):
    folder = log()
    if command == "scan":
        assert soc_as("collector", "collect", "once", "--path", folder).returncode == 0
    done = soc_as(role, *command.replace("LOG", folder).split())
    assert_refused(done, province, role, lacks)


def assert_refused(done, province, role, lacks):
    assert done.returncode == 6, done.stderr
    assert f"user {province.user(role)} may not do that: no permissions for [{lacks}" in done.stderr
    assert "docs/opensearch.md, Roles" in done.stderr
    assert province.password not in done.stderr


def test_an_analyst_sees_how_large_and_how_well_the_cluster_is(soc_as):
    done = soc_as("soc", "store", "info", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["engine"].startswith("OpenSearch 3.")
    assert told["bytes"] > 1000


def test_days_are_removed_by_the_administrator_only(soc_as, province, log):
    assert soc_as("collector", "collect", "once", "--path", log("2026-01-02T03:00:00Z")).returncode == 0
    for role, lacks in (
        ("collector", "indices:monitor/stats"),
        ("soc", "indices:data/write/"),
        ("reader", "indices:data/read/get"),
    ):
        assert_refused(soc_as(role, "store", "retain", "--before", "200d"), province, role, lacks)
    done = soc_as("admin", "store", "retain", "--before", "200d")
    assert (done.returncode, done.stderr[:15]) == (0, "1 events before"), done.stderr


def test_a_collector_fills_days_that_are_new_and_replays_what_was_refused(soc_as, log):
    folder = log("2026-11-20T03:00:00Z", more="x" * 2_000_000 + "\n")
    done = soc_as("collector", "collect", "once", "--path", folder)
    assert (done.returncode, "stored 1 events (0 unparsed), rejected 1" in done.stderr) == (0, True), done.stderr
    done = soc_as("collector", "collect", "replay")
    assert done.returncode == 0, done.stderr


def test_a_collector_brings_fields_that_nobody_has_seen(soc_as, province, tmp_path):
    """`winlog.event_data.*` and other open name spaces: a new name becomes a field of the index."""
    name, folder = f"Field{uuid.uuid4().hex}", tmp_path / "windows"
    folder.mkdir()
    line = {
        "EventTime": "2026-11-21T08:00:00+07:00", "Hostname": "PC1", "EventID": 4624, "Channel": "Security", "RecordNumber": 1,
        "SourceName": "Microsoft-Windows-Security-Auditing", "EventType": "AUDIT_SUCCESS", "TargetUserName": "lan", name: "x",
    }  # fmt: skip
    (folder / "events.json").write_text(json.dumps(line) + "\n", encoding="utf-8")
    done = soc_as("collector", "collect", "once", "--path", str(folder))
    assert (done.returncode, "stored 1 events (0 unparsed)" in done.stderr) == (0, True), done.stderr
    mapping = province.cluster.call("GET", f"{province.prefix}-events-windows-2026.11.21/_mapping")
    assert name in json.dumps(mapping)


def test_a_user_may_be_a_client_certificate(soc_as, province, log):
    assert province.cluster.access
    pem, key = province.cluster.access.certificate(province.user("soc"))
    access = f'client_cert = "{pem}"\nclient_key = "{key}"'
    assert soc_as("soc", "alerts", "list", access=access).returncode == 0
    refused = soc_as("soc", "collect", "once", "--path", log(), access=access)
    assert (refused.returncode, "this access may not do that" in refused.stderr) == (6, True)


def test_a_reader_reads_what_others_write_and_nothing_else(soc_as, province, soc_here, tmp_path):
    cluster, access = province.cluster, province.cluster.access
    assert access
    for name in (f"winlogbeat-{province.prefix}", f"private-{province.prefix}"):
        cluster.call(
            "PUT", f"{name}/_doc/1?refresh=true", {"@timestamp": "2026-11-24T01:00:00Z", "message": "hello", "event": {"code": "4624"}}
        )
    config = tmp_path / "soc.toml"
    source = (
        '[[source]]\nid = "{0}"\ntype = "opensearch"\nurl = "{1}"\nindex = "{0}-{2}"\nca = "{3}"\nuser = "{4}"\npassword = "${{SECRET}}"\n'
    )
    try:
        for name, code, said in (("winlogbeat", 0, "stored 1 events"), ("private", 6, "no permissions for [indices:data/read/")):
            config.write_text(
                'lang = "en"\n' + source.format(name, cluster.url, province.prefix, access.ca, province.user("reader")), encoding="utf-8"
            )
            done = soc_here("--config", str(config), "collect", "once", env={"SECRET": province.password})
            assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    finally:
        cluster.call("DELETE", f"winlogbeat-{province.prefix},private-{province.prefix}")


def test_the_administrator_takes_a_snapshot_and_puts_the_store_back(province, soc_as):
    """As docs/opensearch.md describes it."""

    def acting(role):
        access = replace(province.cluster.access, user=province.user(role), password=province.password)
        return replace(province.cluster, access=access)

    body = {"type": "fs", "settings": {"location": f"{province.cluster.folder}/repo/{province.prefix}"}}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        acting("soc").call("PUT", f"_snapshot/{province.prefix}", body)
    admin = acting("admin")
    admin.call("PUT", f"_snapshot/{province.prefix}", body)
    ours = {"indices": f"{province.prefix}-*", "include_global_state": False}
    made = admin.call("PUT", f"_snapshot/{province.prefix}/one?wait_for_completion=true", ours)
    assert made["snapshot"]["state"] == "SUCCESS"
    before = soc_as("admin", "collect", "status", "--json").stdout
    admin.call("DELETE", f"{province.prefix}-*")
    back = admin.call("POST", f"_snapshot/{province.prefix}/one/_restore?wait_for_completion=true", ours)
    assert back["snapshot"]["shards"]["failed"] == 0
    assert soc_as("admin", "store", "verify").returncode == 0
    assert soc_as("admin", "collect", "status", "--json").stdout == before
    admin.call("DELETE", f"_snapshot/{province.prefix}/one")
    admin.call("DELETE", f"_snapshot/{province.prefix}")
