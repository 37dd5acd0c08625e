"""What stands beside the logs so that `soc collect` can start at once: soc.toml and the registers of the fictitious province."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Final

import yaml

from playbooks.drills.world import World

_PARSERS: Final = {"fw-thdl": "fortigate", "ids-thdl": "suricata", "sso": "keycloak", "lgsp": "apigw"}
"""Where the administrator would say what it is; the rest is recognised."""


def source_ids(world: World) -> list[str]:
    """All sources of the province."""
    fixed = ["fw-thdl", "ids-thdl", "web-dvc", "web-cong", "sso", "lgsp", "win-may-tram"]
    return fixed + [s.source for s in world.servers.values()]


def write(world: World, folder: Path, *, exercise: bool, store: str = "") -> None:
    """`soc.toml`, `content/registers/` and a folder per source; `exercise` marks all records as exercise data; `store`: its URL."""
    for source in source_ids(world):
        (folder / "logs" / source).mkdir(parents=True, exist_ok=True)
    registers = folder / "content" / "registers"
    registers.mkdir(parents=True, exist_ok=True)
    (folder / "soc.toml").write_text(settings(world, exercise=exercise, store=store), encoding="utf-8")
    for name, body in (("organisation", organisation(world)), ("units", units(world)), ("assets", assets(world))):
        (registers / f"{name}.yml").write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=140), encoding="utf-8")


def settings(world: World, *, exercise: bool, store: str = "") -> str:
    """The text of soc.toml: one source per device; silence limits where an administrator would state them."""
    expected = world.province["expect_every"]
    parts = [_store(store), '[content]\npaths = ["content"]\n']
    for source in source_ids(world):
        lines = ["[[source]]", f'id = "{source}"', 'type = "file"', f'path = "logs/{source}/*"']
        lines += [f'parser = "{_PARSERS[source]}"'] if source in _PARSERS else []
        lines += [f'expect_every = "{expected[source]}"'] if source in expected else []
        lines += ["exercise = true"] if exercise else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _store(url: str) -> str:
    """`[store]`: in the folder, or in a cluster under a prefix that no earlier drill has used."""
    if not url or url.startswith("file:"):
        return f"[store]\nurl = {json.dumps(url or 'file:data')}\n"
    return f'[store]\nurl = {json.dumps(url)}\nindex_prefix = "drill-{secrets.token_hex(4)}"\n'


def organisation(world: World) -> list[dict[str, Any]]:
    """The register of the organisation: clearly an example."""
    province = world.province
    return [{**province["organisation"], "example": True, "networks": province["networks"]}]


def units(world: World) -> list[dict[str, Any]]:
    """The register of units with their networks."""
    return [{"code": u.code, "name": u.name, "networks": [f"10.{u.number}.0.0/16", f"2001:db8:{u.number:x}::/48"]} for u in world.units]


def assets(world: World) -> list[dict[str, Any]]:
    """The register of assets: the servers of the data centre."""
    return [
        {
            "id": s.name.lower(), "name": s.role, "unit": "ttcds", "level": s.level, "addresses": [s.ip, s.ip6],
            "hosts": [s.name, f"{s.name}.{world.domain}"], "domains": [f"{s.site}.{world.domain}"] if s.site else [], "os": s.os,
            "personal_data": s.data,
        }
        for s in world.servers.values()
    ]  # fmt: skip
