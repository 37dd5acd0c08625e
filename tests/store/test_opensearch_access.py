"""How a cluster cannot be reached: what is told, how soon, with exit code 6, without a secret and without a traceback."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from tests.servers.proxy import Garbage, Proxy, Says, Silence, answer
from tests.servers.security import SHIPPED

SECRET = "s3cret-Ánh-7f2a"
SOON = 9.0
"""Seconds until the message: 5 of patience, and the start of Python on a busy machine."""


@pytest.fixture
def told(soc_here, tmp_path):
    """`soc store info` against a URL: what stands on stderr, checked for what must never be there."""

    def run(url, **options):
        lines = [f'{name} = "{value}"' for name, value in options.items()]
        (tmp_path / "soc.toml").write_text("\n".join(["[store]", f'url = "{url}"', *lines]), encoding="utf-8")
        begun = time.monotonic()
        done = soc_here("-v", "store", "info", env={"SECRET": SECRET})
        assert time.monotonic() - begun < SOON
        assert done.returncode == 6, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        shown = soc_here("--json", "config", "show", env={"SECRET": SECRET}).stdout
        kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "soc.toml"]
        for place in (done.stderr.encode(), shown.encode(), *kept):
            assert SECRET.encode() not in place
            assert b"s3cret" not in place
        return done.stderr

    return run


def listen(answering, host="127.0.0.1"):
    """A server of one function for each connection; its port."""
    listener = socket.create_server((host, 0))

    def serve():
        with suppress(OSError), listener:
            while True:
                client, _ = listener.accept()
                threading.Thread(target=one, args=(client,), daemon=True).start()

    def one(client):
        with suppress(OSError), client:
            answering(client)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def speaking_tls(folder):
    """Answers the greeting of TLS with the certificate in a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "node.pem", folder / "node.key")

    def answering(client):
        with context.wrap_socket(client, server_side=True):
            pass

    return answering


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of a server on 127.0.0.1, good for so many days: a folder with ca.pem, node.pem, node.key."""

    def make(days):
        folder = tmp_path_factory.mktemp("certs")
        env = {**os.environ, "CERTS": str(folder), "DAYS": str(days)}
        subprocess.run(["bash", str(SHIPPED / "certificates.sh"), "localhost", "127.0.0.1"], env=env, check=True, capture_output=True)
        return folder

    return make


def test_nobody_listens(told):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = told(f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port}: the cluster cannot be reached: connection refused" in said
    assert "is the cluster up, and are host, port and https:// or http:// in store.url right? soc doctor" in said


def test_a_host_that_there_is_not(told):
    assert "https://nowhere.invalid:9200: the cluster cannot be reached: unknown host name" in told("https://nowhere.invalid:9200")


def test_a_port_that_answers_nothing(told, opensearch_url):
    with Proxy(opensearch_url) as proxy, proxy.fault("", Silence(30), times=99):
        assert "the cluster did not answer within 5 s" in told(proxy.url)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Garbage(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"), "the cluster cannot be reached: what answers there speaks no HTTP"),
        (Says(answer(200, b"<html><body>Index of /</body></html>", "text/html")), "what answers here is no OpenSearch, or not all of it"),
        (Says(answer(404, b"<html>Not Found</html>", "text/html")), "what answers here is no OpenSearch, or not all of it: <html>Not Found"),
        (Says(answer(200, {"status": "ok"})), "what answers here is no OpenSearch, or not all of it: {'status': 'ok'}"),
        (Says(answer(200, {"version": {"number": "8.15.0"}, "tagline": "You Know, for Search"})), "something answers here, but it is Elasticsearch 8.15.0"),
        (Says(answer(301, b"", "text/html")), "something answers here, but it is no OpenSearch"),
    ],
    ids=["ssh", "web server", "web server without /", "some API", "Elasticsearch", "redirect"],
)  # fmt: skip
def test_something_else_answers(told, opensearch_url, fault, said):
    with Proxy(opensearch_url) as proxy, proxy.fault("", fault, times=99):
        text = told(proxy.url)
    assert f"{proxy.url}: {said}" in text
    assert "store.url names an OpenSearch 2.x or 3.x cluster" in text or "soc doctor" in text


def test_a_certificate_that_has_expired(told, certificates):
    folder = certificates(-1)
    port = listen(speaking_tls(folder))
    said = told(f"https://127.0.0.1:{port}", ca=folder / "ca.pem", user="soc", password="${SECRET}")
    assert f"https://127.0.0.1:{port}: the server's certificate has expired" in said
    assert "renew it on the cluster" in said


def test_certificates_for_another_name_and_of_nobody(told, certificates):
    folder = certificates(30)
    port = listen(speaking_tls(folder), "127.0.0.2")
    said = told(f"https://127.0.0.2:{port}", ca=folder / "ca.pem")
    assert "the server's certificate is for another name" in said
    assert "use the name that stands in the certificate in store.url" in said
    said = told(f"https://127.0.0.2:{port}")
    assert "the server's certificate is signed by nobody we trust" in said
    assert '[store] ca = "PATH of the authority\'s PEM file"' in said


def test_tls_where_there_is_none(told, opensearch_url):
    said = told(opensearch_url.replace("http://", "https://"), user="soc", password="${SECRET}")
    assert "the server does not speak TLS here" in said
    assert "store.url: http:// instead of https://, or switch TLS on" in said


def test_no_tls_where_there_is_some(told, secure_opensearch):
    said = told(secure_opensearch.url.replace("https://", "http://"), user="soc", password="${SECRET}")
    assert "the cluster cannot be reached: the connection broke off" in said
    assert "are host, port and https:// or http:// in store.url right?" in said


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ({"user": "admin", "password": "${SECRET}"}, "the cluster does not know user admin with this password"),
        ({"user": "nobody", "password": "${SECRET}"}, "the cluster does not know user nobody with this password"),
        ({"api_key": "${SECRET}"}, "the cluster does not accept this API key"),
        ({}, "the cluster wants to know who asks"),
    ],
    ids=["wrong password", "unknown user", "API key", "nobody"],
)
def test_who_is_not_let_in(told, secure_opensearch, access, said):
    text = told(secure_opensearch.url, ca=secure_opensearch.access.ca, **access)
    assert f"{secure_opensearch.url}: {said}" in text
    assert "[store] user and password (${ENV} or file:PATH), api_key, or client_cert and client_key" in text


def test_a_password_in_the_url_is_never_shown(told, secure_opensearch):
    url = secure_opensearch.url.replace("https://", f"https://admin:{SECRET.replace('Á', '%C3%81')}@")
    assert "the cluster does not know user admin with this password" in told(url, ca=secure_opensearch.access.ca)
