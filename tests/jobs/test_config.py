"""soc.toml: every problem in one run, each with file and line; secrets stay secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain.errors import ConfigError
from jobs.config import load
from tests.conftest import Soc

BROKEN = """\
lang = "vi"
sorce = 1
[store]
url = "file:data"
pasword = "x"
password = "${NO_SUCH_VARIABLE}"
[[source]]
id = "a"
type = "file"
path = "*.log"
[[source]]
id = "a"
typ = "file"
exercise = "yes"
[spool]
quota = "10 gig"
"""


def test_every_problem_is_found_in_one_run_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "soc.toml"
    path.write_text(BROKEN, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert caught.value.what.splitlines() == [
        f"{path}:6: password: environment variable NO_SUCH_VARIABLE is not set",
        f"{path}:2: unknown key sorce; did you mean source?",
        f"{path}:5: unknown key pasword in [store]; did you mean password?",
        f"{path}:13: unknown key typ in [source]; did you mean type?",
        f"{path}:11: [[source]] lacks type",
        f"{path}:14: exercise must be true or false",
        f"{path}:12: source id a is used twice",
        f"{path}:16: quota 10 gig: bytes, or a number with KiB, MiB, GiB, TiB",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("lang =", "not valid TOML", id="not TOML"),
        pytest.param("store = 3", "store is a table: write [store]", id="no table"),
        pytest.param("[content]\npaths = 'x'", 'paths is a list of folders: paths = ["content"]', id="no list"),
        pytest.param("[rules]\nrequire_signature = 'yes'", "soc.toml:2: require_signature is true or false", id="no flag"),
        pytest.param("[rules]\ntrusted_keys = 'a.pem'", "soc.toml:2: trusted_keys is a list", id="no list of keys"),
        pytest.param("[store]\npassword = 'file:none'", "password: No such file or directory: file:none", id="no secret file"),
    ],
)
def test_wrong_shapes_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "soc.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert said in str(caught.value)


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pw").write_text("s3cret\n", encoding="utf-8")
    monkeypatch.setenv("SOC_TEST_HOST", "logs.example")
    path = tmp_path / "soc.toml"
    path.write_text('[store]\nurl = "https://${SOC_TEST_HOST}:9200"\npassword = "file:pw"\n[spool]\nquota = "2GiB"\n', encoding="utf-8")
    config = load(str(path))
    assert (config.store_url, config.store["password"], config.spool_quota) == ("https://logs.example:9200", "s3cret", 2**31)


def test_certificates_are_found_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[store]\nurl = "https://h:9200"\nca = "certs/ca.pem"\nclient_key = "/etc/x.key"\n[[source]]\nid = "a"\ntype = "opensearch"\nca = "b.pem"\n'
    (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load()
    assert (config.store["ca"], config.store["client_key"]) == (str(tmp_path / "certs" / "ca.pem"), "/etc/x.key")
    assert config.sources[0].ca == str(tmp_path / "b.pem")


def test_the_file_is_searched_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soc.toml").write_text('lang = "en"\n', encoding="utf-8")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    config = load()
    assert config.path == tmp_path / "soc.toml"
    assert config.root == tmp_path


VALUES = """\
lang = "fr"
[store]
url = "s3://bucket"
[schedule]
scan = "61 * * * *"
report = "off"
[[source]]
id = "web"
type = "fille"
path = "none/*.log"
parser = "nginxx"
tz = "Mars"
encoding = "tcvn3"
expect_every = "often"
[[source]]
id = "store.copy"
type = "syslog"
listen = "udp://5514"
"""


def test_check_looks_at_the_values_too(tmp_path: Path, soc_here: Soc) -> None:
    (tmp_path / "soc.toml").write_text(VALUES, encoding="utf-8")
    done = soc_here("config", "check", "--json")
    assert done.returncode == 3
    problems = json.loads(done.stdout)["problems"]
    said = {problem.removeprefix(f"{tmp_path}/soc.toml:").split(":")[0]: problem for problem in problems}
    assert {"1", "3", "5", "9", "10", "11", "12", "13", "14", "18"} <= set(said)
    assert 'scan = "61 * * * *"' in said["5"]
    assert "parser nginxx: auto | " in said["11"]
    assert "listen udp://5514: udp://[::]:5514 | tcp://[::]:5514" in said["18"]
    assert "id store.copy: names that begin with store. belong to the store itself" in said["16"]
    assert not any("report" in problem for problem in problems)
    assert "soc config check" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('index_prefix = "SOC"', "index_prefix 'SOC': at most 80 of a-z 0-9"),
        ('index_prefix = "*"', "store.index_prefix '*'"),
        ('index_prefix = ""', "store.index_prefix ''"),
        ("shards = 0", "shards 0: 1 to 100"),
        ('shards = "many"', "shards many: 1 to 100"),
        ('ca = "none.pem"', "ca: no such file: "),
        ('client_cert = "none.pem"', "client_cert: no such file: "),
    ],
)
def test_check_looks_at_what_a_cluster_needs(tmp_path: Path, soc_here: Soc, line: str, said: str) -> None:
    text = f'[store]\nurl = "https://u:hunter2@h:9200"\n{line}\n[content]\npaths = []\n'
    (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
    done = soc_here("config", "check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem.startswith(f"{tmp_path}/soc.toml:3: ")
    assert said in problem


@pytest.mark.parametrize("url", ["https://u:hunter2@h:99999", "https://h:9200, ,https://b", "https://", "https://u:hunter2@:9200"])
def test_check_looks_at_the_url_of_a_cluster(tmp_path: Path, soc_here: Soc, url: str) -> None:
    (tmp_path / "soc.toml").write_text(f'[store]\nurl = "{url}"\n[content]\npaths = []\n', encoding="utf-8")
    done = soc_here("config", "check")
    assert done.returncode == 3
    assert "soc.toml:2: store.url" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_the_passwords_of_several_nodes_are_masked(tmp_path: Path, soc_here: Soc) -> None:
    text = '[store]\nurl = "https://u:hunter2@h1:9200,https://u:hun/ter@2@h2:9200/x"\n'
    (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
    done = soc_here("config", "show", "--json")
    assert json.loads(done.stdout)["store"]["url"] == "https://***@h1:9200,https://***@h2:9200/x"


def test_show_masks_every_secret(tmp_path: Path, soc_here: Soc) -> None:
    text = '[store]\nurl = "https://u:hunter2@h:9200"\npassword = "hunter2"\napi_key = "hunter2"\n'
    (tmp_path / "soc.toml").write_text(text, encoding="utf-8")
    for args in (["config", "show"], ["config", "show", "--json"]):
        done = soc_here(*args)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout
        assert "***" in done.stdout
        assert "* * * * *" in done.stdout
