"""Evidence: written once, checked offline, chained."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain import incident as inc
from domain.errors import UsageError
from playbooks.evidence import MANIFEST, Vault, broken_links, link, plain_name

AT = datetime(2026, 11, 17, 3, 0, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """An empty folder of evidence."""
    return Vault.of(tmp_path, "SC-1")


def test_bytes_are_kept_once_and_read_only(vault: Vault) -> None:
    item = vault.keep("a.json", b"{}", at=AT, by="lan")
    again = vault.keep("a.json", b"{}", at=AT, by="hoa")
    assert item.name == again.name
    assert item.sha256 == hashlib.sha256(b"{}").hexdigest()
    assert (vault.folder / item.name).stat().st_mode & 0o222 == 0
    assert vault.keep("a.json", b"[]", at=AT, by="lan").name != item.name, "other content is another file"


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x", "/abs", ".hidden", "a\nb", "\u202egnp.exe", "", "a" * 400, "-rf"])
def test_names_cannot_leave_the_folder(vault: Vault, name: str) -> None:
    item = vault.keep(name, b"x", at=AT, by="lan")
    assert (vault.folder / item.name).parent == vault.folder
    assert plain_name(name)[0] not in ".-"
    assert vault.verify([item]) == []


def test_files_are_copied_with_the_digest_of_the_copy(vault: Vault, tmp_path: Path) -> None:
    source = tmp_path / "access log.txt"
    source.write_bytes(b"GET /\r\n" * 1000)
    item = vault.keep_file(source, at=AT, by="lan", note="web01")
    source.write_bytes(b"changed")
    assert (vault.folder / item.name).read_bytes() == b"GET /\r\n" * 1000
    assert (item.size, item.note) == (7000, "web01")
    with pytest.raises(UsageError, match="not a regular file"):
        vault.keep_file(tmp_path, at=AT, by="lan")
    with pytest.raises(UsageError, match="not a regular file"):
        vault.keep_file(tmp_path / "none", at=AT, by="lan")


def test_what_is_wrong_is_named(vault: Vault) -> None:
    items = [vault.keep(f"{n}.txt", n.encode() * 9, at=AT, by="lan") for n in "abcd"]
    for item in items:
        (vault.folder / item.name).chmod(0o600)
    (vault.folder / items[1].name).write_bytes(b"B" * 9)
    (vault.folder / items[2].name).write_bytes(b"short")
    (vault.folder / items[3].name).unlink()
    (vault.folder / "stranger.txt").write_text("x")
    assert vault.verify(items) == [(items[1].name, "changed"), (items[2].name, "size"), (items[3].name, "missing")]
    assert vault.strays(items) == ["stranger.txt"]


def test_the_manifest_verifies_with_sha256sum(vault: Vault) -> None:
    items = [vault.keep(f"{n}.txt", n.encode(), at=AT, by="lan") for n in "ab"]
    vault.draw_manifest(items)
    done = subprocess.run(["sha256sum", "-c", MANIFEST], cwd=vault.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OK") == 2


def test_a_record_that_is_changed_or_taken_out_breaks_the_chain(vault: Vault) -> None:
    bodies, previous = [], "SC-1"
    for n in range(4):
        body = inc.evidence_added(vault.keep(f"{n}", str(n).encode(), at=AT, by="lan"))[1]
        previous = link(previous, body)
        bodies.append({**body, "chain": previous})
    assert list(broken_links("SC-1", bodies)) == []
    assert list(broken_links("SC-1", [bodies[0], *bodies[2:]])) == [bodies[2]["name"]]
    assert list(broken_links("SC-1", bodies[1:])) == [bodies[1]["name"]]
    assert list(broken_links("SC-1", [bodies[0], {**bodies[1], "taken_by": "x"}, *bodies[2:]])) == [bodies[1]["name"]]
