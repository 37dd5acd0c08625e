"""The security plugin in the tests: set up with the very files that are shipped for users, docs/deploy/opensearch/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers import places

SHIPPED = places.ROOT / "docs" / "deploy" / "opensearch"
USER = "admin"
PASSWORD = "dev-Secret-1"
"""Of every user, on loopback only."""
_PLUGIN = ("config.yml", "internal_users.yml", "roles.yml", "roles_mapping.yml")
"""Shipped files that take the place of the plugin's own."""


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

    def certificate(self, user: str, *, days: int = 30) -> tuple[Path, Path]:
        """Certificate and key of a user, signed by the same authority; negative days = expired."""
        _certificates(self.certs, "--client", user, days=days)
        return self.certs / f"{user}.pem", self.certs / f"{user}.key"


def access(folder: Path) -> Access:
    """Of the secured cluster in this folder."""
    return Access(USER, PASSWORD, folder / "certs")


def settings() -> dict[str, Any]:
    """The shipped opensearch.yml, without what belongs to a machine of its own."""
    text = yaml.safe_load((SHIPPED / "opensearch.yml").read_text(encoding="utf-8"))
    return {key: value for key, value in text.items() if key.startswith("plugins.security.")}


def environment() -> dict[str, str]:
    """The passwords that the shipped internal_users.yml asks for."""
    text = (SHIPPED / "internal_users.yml").read_text(encoding="utf-8")
    return dict.fromkeys(re.findall(r"\$\{envbc\.(\w+)\}", text), PASSWORD)


def set_up(folder: Path, home: Path, configs: Sequence[Path]) -> Access:
    """Certificates, and the plugin's configuration, for nodes with these config folders."""
    made = access(folder)
    _certificates(made.certs, "localhost", "127.0.0.1", "::1")
    for config in configs:
        shutil.copytree(home / "plugins" / "opensearch-security" / "config", config / "opensearch-security")
        for name in _PLUGIN:
            shutil.copy(SHIPPED / name, config / "opensearch-security")
        (config / "certs").mkdir()
        for name in ("ca.pem", "node.pem", "node.key"):
            shutil.copy(made.certs / name, config / "certs")
    return made


def _certificates(folder: Path, *words: str, days: int = 30) -> None:
    env = {**os.environ, "CERTS": str(folder), "DAYS": str(days)}
    subprocess.run(["bash", str(SHIPPED / "certificates.sh"), *words], env=env, check=True, capture_output=True)
