"""Signatures of rule packs: what standard tools make and verify; whatever was touched is named."""

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import ContentError, UsageError
from jobs import rule_packs_sign as signing
from jobs.rule_packs_read import read
from tests.jobs.packs import folder, rule, zipped

AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
FILES = {"web/a.yml": rule("A"), "web/a.test.yml": b"match: []\n", "b.yml": rule("B"), "LICENSE.md": b"as you like"}


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    secret, public, _ = signing.generate(tmp_path / "keys", "office")
    return secret, public


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    said = signing.Signed("office", "r1", "2026-11-24T08:00:00+00:00")
    signing.sign(read(folder(tmp_path / "made", FILES)), said, keys[0], tmp_path / "p.zip", AT)
    return tmp_path / "p.zip"


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def verify(path: Path, *keys: Path) -> signing.Signed:
    return signing.check(read(path), [signing.public_key(key) for key in keys], "p")


def test_what_is_signed_verifies_and_says_who(signed: Path, keys: tuple[Path, Path]) -> None:
    found = verify(signed, keys[1])
    assert found.key is not None
    assert (found.key.name, found.name, found.version, found.created) == ("office", "office", "r1", "2026-11-24T08:00:00+00:00")
    assert set(unzipped(signed)) == {*FILES, "MANIFEST.json", "MANIFEST.sig"}


def test_the_same_pack_gives_the_same_bytes(tmp_path: Path, signed: Path, keys: tuple[Path, Path]) -> None:
    said = signing.Signed("office", "r1", "2026-11-24T08:00:00+00:00")
    signing.sign(read(tmp_path / "made"), said, keys[0], tmp_path / "again.zip", AT)
    assert (tmp_path / "again.zip").read_bytes() == signed.read_bytes()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_verifies_ours_and_we_verify_what_openssl_signs(tmp_path: Path, signed: Path, keys: tuple[Path, Path]) -> None:
    place = folder(tmp_path / "out", unzipped(signed))
    check = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(keys[1]),
        "-rawin",
        "-in",
        "MANIFEST.json",
        "-sigfile",
        "MANIFEST.sig",
    ]
    assert subprocess.run(check, cwd=place, check=False, capture_output=True).returncode == 0
    (place / "MANIFEST.json").write_bytes((place / "MANIFEST.json").read_bytes() + b" ")
    assert subprocess.run(check, cwd=place, check=False, capture_output=True).returncode == 1
    secret, public = tmp_path / "k.key.pem", tmp_path / "k.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    make = ["openssl", "pkeyutl", "-sign", "-inkey", str(secret), "-rawin", "-in", "MANIFEST.json", "-out", "MANIFEST.sig"]
    subprocess.run(make, cwd=place, check=True)
    assert verify(place, public).key is not None


def test_every_file_that_was_touched_is_named(tmp_path: Path, signed: Path, keys: tuple[Path, Path]) -> None:
    files = unzipped(signed)
    files["b.yml"] += b"# more\n"
    files["web/c.yml"] = rule("C")
    files["evil.sh"] = b"#!"
    del files["web/a.yml"]
    with pytest.raises(ContentError) as error:
        verify(zipped(tmp_path / "touched.zip", files), keys[1])
    assert error.value.what.splitlines() == [
        "the pack is not what MANIFEST.json says:", "b.yml: changed", "web/a.yml: missing", "evil.sh: not in the manifest",
        "web/c.yml: not in the manifest",
    ]  # fmt: skip
    assert error.value.hint == "nothing was imported"


def test_a_changed_manifest_is_of_nobody(tmp_path: Path, signed: Path, keys: tuple[Path, Path]) -> None:
    files = unzipped(signed)
    files["MANIFEST.json"] = files["MANIFEST.json"].replace(b'"r1"', b'"r9"')
    with pytest.raises(ContentError, match=r"of no key that is trusted here, or the manifest was changed.*office \([0-9a-f]{16}\)"):
        verify(zipped(tmp_path / "p2.zip", files), keys[1])


def test_another_key_is_not_trusted_and_without_any_nobody_can_say(tmp_path: Path, signed: Path) -> None:
    _, other, _ = signing.generate(tmp_path, "other")
    with pytest.raises(ContentError, match="no key that is trusted here"):
        verify(signed, other)
    assert verify(signed).key is None


def test_an_unsigned_manifest_still_counts_the_files(tmp_path: Path, signed: Path) -> None:
    files = unzipped(signed)
    del files["MANIFEST.sig"]
    assert verify(zipped(tmp_path / "1.zip", files)).version == "r1"
    files["b.yml"] = rule("B", "other")
    with pytest.raises(ContentError, match=r"b\.yml: changed"):
        verify(zipped(tmp_path / "2.zip", files))
    with pytest.raises(ContentError, match="the signature signs nothing"):
        verify(zipped(tmp_path / "3.zip", {"b.yml": rule("B"), "MANIFEST.sig": bytes(64)}))


def test_base64_signatures_and_packs_wrapped_in_a_folder(tmp_path: Path, signed: Path, keys: tuple[Path, Path]) -> None:
    files = unzipped(signed)
    files["MANIFEST.sig"] = base64.b64encode(files["MANIFEST.sig"]) + b"\n"
    wrapped = zipped(tmp_path / "w.zip", {f"pack-1/{name}": content for name, content in files.items()})
    assert verify(wrapped, keys[1]).key is not None
    assert set(read(wrapped).files) == {"web/a.yml", "web/a.test.yml", "b.yml"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"MANIFEST.json": b"{"}, "MANIFEST.json: not JSON"),
        ({"MANIFEST.json": b"[]"}, "files: path -> SHA-256 is missing"),
        ({"MANIFEST.json": json.dumps({"format": 2, "files": {}}).encode()}, "format 2; this version reads 1"),
        ({"MANIFEST.sig": b"short"}, "64 bytes, or these in base64, are a signature; found 5 bytes"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, signed: Path, keys: tuple[Path, Path], change: dict[str, bytes], text: str) -> None:
    with pytest.raises(ContentError, match=text):
        verify(zipped(tmp_path / "x.zip", unzipped(signed) | change), keys[1])


def test_keys(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="exists already: a key is never overwritten"):
        signing.generate(tmp_path / "keys", "office")
    with pytest.raises(ContentError, match="not a public ed25519 key in PEM"):
        signing.public_key(keys[0])
    with pytest.raises(UsageError, match="not a private ed25519 key in PEM"):
        signing.sign(read(folder(tmp_path / "p", FILES)), signing.Signed(), keys[1], tmp_path / "p.zip", AT)
    with pytest.raises(UsageError, match="the key cannot be read: No such file"):
        signing.public_key(tmp_path / "none.pem")
    assert not (tmp_path / "p.zip").exists()
