"""What is shipped for a cluster of one's own: compose.yml names nothing that is not there; the users it makes have the roles they should."""

from __future__ import annotations

import re
import subprocess
import urllib.error
from dataclasses import replace

import pytest
import yaml

from tests.servers.security import SHIPPED

COMPOSE = (SHIPPED / "compose.yml").read_text(encoding="utf-8")
SERVICES = yaml.safe_load(COMPOSE)["services"]


def mounts():
    return [volume.split(":")[:2] for service in SERVICES.values() for volume in service["volumes"]]


def test_every_file_that_is_mounted_is_shipped_or_made_by_the_script(tmp_path):
    words = ["bash", str(SHIPPED / "certificates.sh"), "localhost", "127.0.0.1", "::1"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    files = [source for source, _ in mounts() if source.startswith("./")]
    assert len(files) >= 12
    assert [f for f in files if not (SHIPPED / f).is_file() and not (tmp_path / f).is_file()] == []
    named = yaml.safe_load(COMPOSE)["volumes"]
    assert {source for source, _ in mounts() if not source.startswith("./")} == set(named)


def test_certificates_hold_the_names_that_were_asked_for_and_are_kept(tmp_path):
    words = ["bash", str(SHIPPED / "certificates.sh"), "log.example", "192.0.2.7", "2001:db8::7"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    node = tmp_path / "certs" / "node.pem"
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(node), "-noout", "-ext", "subjectAltName"], check=True, capture_output=True, text=True
    )
    assert "DNS:log.example, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7" in shown.stdout
    assert (tmp_path / "certs" / "ca.key").stat().st_mode & 0o777 == 0o600
    before = node.read_bytes()
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert node.read_bytes() == before


def test_every_password_is_asked_for_in_one_place():
    asked = set(re.findall(r"^(\w+)=$", (SHIPPED / "passwords.env.example").read_text(encoding="utf-8"), re.MULTILINE))
    needed = set(re.findall(r"\$\{envbc\.(\w+)\}", (SHIPPED / "internal_users.yml").read_text(encoding="utf-8")))
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    assert asked == needed == required
    assert needed <= SERVICES["opensearch"]["environment"].keys()


def test_settings_name_paths_that_are_mounted():
    inside = {target for _, target in mounts()}
    for name, home in (("opensearch.yml", "opensearch"), ("opensearch_dashboards.yml", "opensearch-dashboards")):
        for path in re.findall(
            r"(?:/usr/share/\S+/)?certs/\w+\.\w+|/usr/share/opensearch/backup", (SHIPPED / name).read_text(encoding="utf-8")
        ):
            assert (path if path.startswith("/") else f"/usr/share/{home}/config/{path}") in inside


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("admin", ["all_access"]), ("kibanaserver", ["kibana_server"]), ("thapcanh-collector", ["thapcanh_collector"]),
        ("thapcanh-soc", ["thapcanh_soc"]), ("thapcanh-admin", ["thapcanh_admin"]),
    ],
)  # fmt: skip
def test_the_users_that_are_made_have_their_roles(secure_opensearch, user, roles):
    here = replace(secure_opensearch, access=replace(secure_opensearch.access, user=user))
    assert here.call("GET", "_plugins/_security/authinfo")["roles"] == roles


@pytest.mark.parametrize("known", ["admin", "kibanaserver", "logstash"])
def test_no_password_that_everybody_knows_opens_anything(secure_opensearch, known):
    here = replace(secure_opensearch, access=replace(secure_opensearch.access, user=known, password=known))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        here.call("GET", "/")
