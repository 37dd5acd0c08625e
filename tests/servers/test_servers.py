"""What the tests of the cluster engine rely on: nodes that die, hang and come back; one server for a run; nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import pytest

from tests.servers import opensearch, places


def names(cluster, node=0):
    return sorted(row["name"] for row in cluster.call("GET", "_cat/nodes?format=json", node=node))


def test_a_node_that_is_killed_leaves_and_comes_back(three_nodes):
    assert names(three_nodes) == ["n1", "n2", "n3"]
    three_nodes.nodes[2].kill()
    assert not three_nodes.nodes[2].running
    three_nodes.wait("green", nodes=2)
    assert names(three_nodes) == ["n1", "n2"]
    three_nodes.nodes[2].start()
    three_nodes.wait("green")
    assert names(three_nodes, node=2) == ["n1", "n2", "n3"]


def test_a_node_that_is_paused_keeps_its_connections_and_answers_nothing(three_nodes):
    hung = three_nodes.nodes[1]
    hung.pause()
    with pytest.raises(TimeoutError):
        three_nodes.call("GET", "/", node=1, timeout=0.5)
    assert (hung.running, hung.paused) == (True, True)
    hung.resume()
    assert three_nodes.call("GET", "/", node=1)["name"] == "n2"


def test_a_cluster_heals(three_nodes):
    three_nodes.nodes[0].pause()
    three_nodes.nodes[1].kill()
    three_nodes.heal()
    assert [names(three_nodes, node) for node in range(3)] == [["n1", "n2", "n3"]] * 3


def test_what_a_prefix_made_can_be_forgotten(plain_opensearch, index_prefix):
    plain_opensearch.call("PUT", f"{index_prefix}-a")
    plain_opensearch.call("PUT", f"{index_prefix}more-b")
    plain_opensearch.call("PUT", f"_index_template/{index_prefix}-t", {"index_patterns": [f"{index_prefix}-x*"]})
    plain_opensearch.forget(index_prefix)
    left = plain_opensearch.call("GET", f"_cat/indices/{index_prefix}*?format=json")
    assert [row["index"] for row in left] == [f"{index_prefix}more-b"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        plain_opensearch.call("GET", f"_index_template/{index_prefix}-t")
    plain_opensearch.call("DELETE", f"{index_prefix}more-b")


def test_another_process_of_the_run_gets_the_same_server(opensearch_url):
    code = (
        f"from tests.servers import opensearch, places; places.run_owner = lambda: {places.run_owner()!r}; print(opensearch.shared().url)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=places.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == opensearch_url


def test_servers_end_with_the_process_they_belong_to(plain_opensearch):
    """However it goes: this one is killed while its server runs."""
    code = "from tests.servers import opensearch; c = opensearch.start(); print(c.folder, c.nodes[0].process, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], cwd=places.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder, node = owner.stdout.readline().split()
        assert places.alive(node)
        owner.kill()
    end = time.monotonic() + 20
    while places.alive(node) or Path(folder).exists():
        assert time.monotonic() < end, "the watchdog did not end it"
        time.sleep(0.1)


def test_a_start_that_fails_says_what_the_server_said(plain_opensearch):
    with pytest.raises(RuntimeError, match=r"OpenSearch ended; (?s:.*)no\.such\.setting"):
        opensearch.start(settings={"no.such.setting": 1})


def test_the_secured_server_asks_who_is_there(secure_opensearch):
    info = secure_opensearch.call("GET", "_plugins/_security/authinfo")
    assert (info["user_name"], info["roles"]) == ("admin", ["all_access"])


@pytest.mark.parametrize("missing", ["maven", "java"])
def test_what_is_missing_is_said(missing, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENSEARCH_DEV_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path) if missing == "maven" else os.environ["PATH"])
    if missing == "java":
        monkeypatch.setattr("shutil.which", lambda _: "/bin/true")
        monkeypatch.setenv("OPENSEARCH_JAVA_HOME", str(tmp_path))
        opensearch.java.find.cache_clear()
    reason = opensearch.unavailable()
    opensearch.java.find.cache_clear()
    assert {"maven": "install the package maven", "java": f"no Java 21+ in {tmp_path}"}[missing] in reason
