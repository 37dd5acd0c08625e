"""The security plugin for tests: an authority of our own, certificates, users. Made anew for every cluster, so nothing expires."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

USER = "admin"
PASSWORD = "dev-Secret-1"
"""Of USER, on loopback only."""
_HASH = "$2y$12$LqQc45Llpd5VWYQKV2l1eu8zINQWi2TkI9UCTJIQ311M0ZEbZKbGG"
"""bcrypt of PASSWORD, as the plugin's users file keeps it."""

SETTINGS: dict[str, Any] = {
    "plugins.security.ssl.transport.pemcert_filepath": "node.pem",
    "plugins.security.ssl.transport.pemkey_filepath": "node.key",
    "plugins.security.ssl.transport.pemtrustedcas_filepath": "ca.pem",
    "plugins.security.ssl.transport.enforce_hostname_verification": False,
    "plugins.security.ssl.http.enabled": True,
    "plugins.security.ssl.http.clientauth_mode": "OPTIONAL",
    "plugins.security.ssl.http.pemcert_filepath": "node.pem",
    "plugins.security.ssl.http.pemkey_filepath": "node.key",
    "plugins.security.ssl.http.pemtrustedcas_filepath": "ca.pem",
    "plugins.security.allow_default_init_securityindex": True,
    "plugins.security.restapi.roles_enabled": ["all_access", "security_rest_api_access"],
    "plugins.security.authcz.admin_dn": ["CN=superadmin"],
    "plugins.security.nodes_dn": ["CN=node"],
}
"""Lines of opensearch.yml."""


@dataclass(frozen=True)
class Access:
    """How to get into a secured cluster."""

    user: str
    password: str
    certs: Path
    """Folder of the authority and of all certificates made so far: NAME.pem and NAME.key."""

    @property
    def ca(self) -> Path:
        """Certificate of the authority that signed the nodes' certificates."""
        return self.certs / "ca.pem"

    def certificate(self, name: str, *, days: int = 30) -> tuple[Path, Path]:
        """Certificate and key of a client with CN=name, signed by the same authority; negative days = expired."""
        if not (self.certs / f"{name}.pem").exists():
            _issue(self.certs, name, days)
        return self.certs / f"{name}.pem", self.certs / f"{name}.key"


def access(folder: Path) -> Access:
    """Of the secured cluster in this folder."""
    return Access(USER, PASSWORD, folder / "certs")


def set_up(folder: Path, home: Path, configs: Sequence[Path]) -> Access:
    """Certificates, and the plugin's configuration, for nodes with these config folders."""
    made = access(folder)
    made.certs.mkdir()
    _authority(made.certs)
    node = made.certificate("node")
    shipped = home / "plugins" / "opensearch-security" / "config"
    for config in configs:
        for path in (made.ca, *node):
            (config / path.name).write_bytes(path.read_bytes())
        own = config / "opensearch-security"
        own.mkdir()
        for path in shipped.glob("*.yml"):
            (own / path.name).write_bytes(path.read_bytes())
        _users(own / "internal_users.yml")
        _allow_client_certificates(own / "config.yml")
    return made


def _users(path: Path) -> None:
    """Only the administrator; the hash that is shipped belongs to no known password."""
    text = {
        "_meta": {"type": "internalusers", "config_version": 2},
        USER: {"hash": _HASH, "reserved": True, "backend_roles": ["admin"]},
    }
    path.write_text(yaml.safe_dump(text), encoding="utf-8")


def _allow_client_certificates(path: Path) -> None:
    """A client certificate's CN is a user's name; who has none is asked for a password."""
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    domain = text["config"]["dynamic"]["authc"]["clientcert_auth_domain"]
    domain.update({"http_enabled": True, "order": 0})
    domain["http_authenticator"]["config"] = {"username_attribute": "cn"}
    path.write_text(yaml.safe_dump(text), encoding="utf-8")


def _authority(folder: Path) -> None:
    _openssl(folder, "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "30")


def _issue(folder: Path, name: str, days: int) -> None:
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n", encoding="utf-8")
    _openssl(folder, "req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", extensions.name]
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days), *signed)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
