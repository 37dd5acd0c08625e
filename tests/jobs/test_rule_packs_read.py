"""Reading rule packs: every form gives the same files, hostile ones are refused by name."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ContentError, UsageError
from jobs import rule_packs_read
from jobs.rule_packs_read import read
from tests.jobs.packs import folder, rule, tarred, zipped

FILES = {
    "rules/web/a.yml": rule("A"),
    "rules/web/a.test.yml": b"match: []\n",
    "rules/b.yaml": rule("B"),
    "LICENSE": b"as you like",
    ".github/workflows/ci.yml": b"name: ci\non: push\n",
    "tests/config.yml": b"name: not a rule\n",
    "images/logo.png": b"\x89PNG",
}
KEPT = {"rules/web/a.yml", "rules/web/a.test.yml", "rules/b.yaml"}


@pytest.mark.parametrize(
    "make",
    [
        lambda p: zipped(p / "p.zip", FILES),
        lambda p: tarred(p / "p.tar", FILES, "w"),
        lambda p: tarred(p / "p.tar.gz", FILES, "w:gz"),
        lambda p: tarred(p / "p.tar.xz", FILES, "w:xz"),
        lambda p: tarred(p / "p.tbz", FILES, "w:bz2"),
        lambda p: folder(p / "p", FILES),
    ],
    ids=["zip", "tar", "gz", "xz", "bz2", "folder"],
)
def test_every_form_holds_the_same(tmp_path: Path, make) -> None:
    pack = read(make(tmp_path))
    assert set(pack.files) == KEPT
    assert pack.rule_files == 2
    assert pack.papers == {"LICENSE": b"as you like"}
    assert pack.version == read(zipped(tmp_path / "again.zip", dict(reversed(FILES.items())))).version


def test_one_rule_file_is_a_pack(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(rule("X"))
    assert list(read(tmp_path / "x.yml").files) == ["x.yml"]


def test_the_version_names_the_rules_and_nothing_else(tmp_path: Path) -> None:
    first = read(zipped(tmp_path / "1.zip", FILES))
    other_paper = read(zipped(tmp_path / "2.zip", FILES | {"LICENSE": b"else"}))
    other_rule = read(zipped(tmp_path / "3.zip", FILES | {"rules/b.yaml": rule("B", "other")}))
    assert first.version == other_paper.version != other_rule.version


@pytest.mark.parametrize(
    "name", ["../up.yml", "a/../../up.yml", "/etc/up.yml", "C:/up.yml", "a\\..\\..\\up.yml", "\\\\host\\share\\up.yml"]
)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_no_path_leads_outside(tmp_path: Path, name: str, make) -> None:
    with pytest.raises(ContentError, match=r"refused: .*up\.yml points outside the pack") as error:
        read(make(tmp_path / "p", {"a.yml": rule("A"), name: rule("B")}))
    assert str(tmp_path / "p") in str(error.value)


@pytest.mark.parametrize("name", ["a\nb.yml", "a\x1b[31m.yml", "x" * 201 + ".yml"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentError, match="is no name for a file") as error:
        read(tarred(tmp_path / "p.tar", {name: rule("A")}, "w"))
    assert "\x1b" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE], ids=["sym", "hard", "fifo", "device"]
)
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "p.tar", "w") as archive:
        info = tarfile.TarInfo("rules/a.yml")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ContentError, match=r"rules/a\.yml is a link or no regular file"):
        read(tmp_path / "p.tar")


def test_links_in_a_zip_and_in_a_folder(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.yml")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ContentError, match="is a link"):
        read(tmp_path / "p.zip")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.yml").symlink_to("/etc/passwd")
    with pytest.raises(ContentError, match="is a link"):
        read(tmp_path / "p")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        read(tmp_path / "pipe")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContentError, match=r"big\.yml unpacks to more than 1048576 bytes"):
        read(zipped(tmp_path / "rule.zip", {"big.yml": b"title: x\n" + b"#" * (1 << 21)}))
    monkeypatch.setattr(rule_packs_read, "MAX_BYTES", 3 << 20)
    many = {f"{n}.bin": bytes(1 << 20) for n in range(4)}
    for path in (zipped(tmp_path / "all.zip", many), tarred(tmp_path / "all.tgz", many), folder(tmp_path / "all", many)):
        with pytest.raises(ContentError, match="it unpacks to more than 3145728 bytes"):
            read(path)
    monkeypatch.setattr(rule_packs_read, "MAX_ENTRIES", 10)
    with pytest.raises(ContentError, match="it has more than 10 entries"):
        read(zipped(tmp_path / "many.zip", {f"{n}.yml": b"" for n in range(11)}))


def test_a_bomb_between_the_members_of_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header may say that a long name follows, of any length."""
    monkeypatch.setattr(rule_packs_read, "MAX_BYTES", 1 << 20)
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 23
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        archive.addfile(info, io.BytesIO(b"a" * (1 << 23)))
    with pytest.raises(ContentError, match="it unpacks to more than 1048576 bytes"):
        read(tmp_path / "p.tgz")


def test_the_same_name_twice(tmp_path: Path) -> None:
    content = zipped(tmp_path / "p.zip", {"a.yml": rule("A"), "b.yml": rule("B")}).read_bytes()
    (tmp_path / "p.zip").write_bytes(content.replace(b"b.yml", b"a.yml"))
    with pytest.raises(ContentError, match=r"a\.yml is there twice"):
        read(tmp_path / "p.zip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "p.zip", {"a.yml": rule("A")}).read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + place] |= 1
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(ContentError, match=r"a\.yml is encrypted: unpack it with its password"):
        read(tmp_path / "p.zip")


@pytest.mark.parametrize("content", [b"", b"no pack", b"PK\x03\x04 cut", b"\x1f\x8b\x08 cut", b"\xfd7zXZ\x00 cut", b"BZh9 cut"])
def test_what_is_no_pack(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(UsageError, match=r"not a readable rule pack.*zip, tar \(gz, xz, bz2\), a folder or a rule file"):
        read(tmp_path / "p.zip")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_cut_anywhere_it_is_an_error_and_no_traceback(tmp_path: Path, mode: str) -> None:
    whole = tarred(tmp_path / "p", FILES, mode).read_bytes()
    end = len(whole) if mode != "w" else len(whole.rstrip(b"\0"))
    for size in [*range(1, end - 1, max(1, len(whole) // 40)), end - 1]:
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(UsageError, match="not a readable rule pack"):
            read(tmp_path / "cut")


@pytest.mark.parametrize("form", ["zip", "w", "w:gz", "w:xz"])
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_anywhere_it_is_an_error_or_a_pack(form: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "p"
        whole = bytearray((zipped(path, FILES) if form == "zip" else tarred(path, FILES, form)).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(whole)
        with contextlib.suppress(UsageError, ContentError):
            assert all(".." not in name.split("/") and not name.startswith("/") for name in read(path).digests)


def test_a_public_release_as_it_is(shared_data: Path) -> None:
    pack = read(shared_data / "sigma" / "sigmahq-rules.tar.xz")
    assert pack.rule_files == 3780
    assert "LICENSE" in pack.papers
