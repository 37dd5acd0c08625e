"""Packs on disk: killed between any two file operations the old version runs or the new one, whole; one writer at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import StoreError
from jobs import rule_packs_disk
from jobs.rule_packs_disk import LEGACY, Shelf, Shelved, Version, content_id
from tests.jobs.packs import folder, rule

OLD = {"a.yml": rule("A"), "web/b.yml": rule("B")}
NEW = {"a.yml": rule("A", "other"), "web/c.yml": rule("C"), "web/c.test.yml": b"match: []\n"}
_WRITES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}


def take_over(shelf: Shelf, files: Mapping[str, bytes], name: str = "pack") -> str:
    """What import and activate do with the disk."""
    with shelf.locked():
        pack = shelf.pack(name) or Shelved(name)
        if pack.legacy:
            before = shelf.put(name, shelf.files(name, LEGACY))
            pack = Shelved(name, before, versions={before: Version(before)})
        version = shelf.put(name, files)
        pack = replace(pack, staged=version, versions={**pack.versions, version: Version(version)})
        shelf.save(pack)
        shelf.save(replace(pack, active=version, staged="", history=(*pack.history, pack.active)))
    return version


def running(shelf: Shelf) -> dict[str, bytes]:
    """What a scan would load."""
    from detectors.sigma.ruleset import read

    return {Path(label).name: content for root in shelf.roots() for label, content in read([root])}


def dies_at(number: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that ends without a word before its n-th write; whether it came to the end instead."""
    child = os.fork()
    if child == 0:
        left = [number]

        def hook(event: str, args: tuple[object, ...]) -> None:
            opened = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if event in _WRITES or opened:
                left[0] -= 1
                if not left[0]:
                    os._exit(9)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("legacy", [False, True], ids=["versions", "from before versions"])
def test_killed_between_any_two_file_operations(tmp_path: Path, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)  # the disk of the machine under test need not wait
    rules_of = [{Path(name).name: content for name, content in files.items() if not name.endswith(".test.yml")} for files in (OLD, NEW)]
    seen = set()
    for number in range(1, 200):
        shelf = Shelf(tmp_path / f"{number}" / "rules")
        if legacy:
            folder(shelf.folder / "pack", OLD)
        else:
            take_over(shelf, OLD)
        done = dies_at(number, lambda shelf=shelf: take_over(shelf, NEW))
        assert running(shelf) in rules_of, number
        seen.add(rules_of.index(running(shelf)))
        take_over(shelf, NEW)
        pack = shelf.pack("pack")
        assert running(shelf) == rules_of[1], number
        assert content_id(OLD) in pack.versions, number
        assert not [e.name for e in shelf.folder.iterdir() if e.name.startswith(".") or e.name == "pack"], number
        if done:
            break
    assert done
    assert number > 8
    assert seen == {0, 1}


def test_versions_are_kept_and_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "rules")
    old, new = take_over(shelf, OLD), take_over(shelf, NEW)
    assert old != new
    assert shelf.put("pack", dict(reversed(OLD.items()))) == old
    assert shelf.files("pack", old) == OLD
    assert shelf.roots() == [tmp_path / "rules" / f"pack@{new}"]
    assert shelf.roots({"pack": old, "another": ""}) == [tmp_path / "rules" / f"pack@{old}"]


def test_packs_overlay_in_the_order_of_their_names(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "rules")
    second, first = take_over(shelf, OLD, "b"), take_over(shelf, NEW, "a")
    folder(shelf.folder / "c", OLD)
    assert [p.name for p in shelf.packs()] == ["a", "b", "c"]
    assert [r.name for r in shelf.roots()] == [f"a@{first}", f"b@{second}", "c"]


def test_changed_files_are_seen_and_laid_down_anew(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "rules")
    version = take_over(shelf, OLD)
    (shelf.root("pack", version) / "extra.yml").write_bytes(rule("X"))
    assert shelf.damaged("pack", version)
    assert shelf.put("pack", OLD) == version
    assert not shelf.damaged("pack", version)


def test_what_is_written_about_a_pack_must_be_readable(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "rules")
    take_over(shelf, OLD)
    (shelf.folder / "pack.json").write_text('{"active": 1')
    with pytest.raises(StoreError, match=r"pack\.json: damaged: .*soc rules import PACK --name pack"):
        shelf.pack("pack")


def test_one_writer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path / "rules")
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with shelf.locked():
            inside.set()
            threading.Event().wait(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with shelf.locked():
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    monkeypatch.setattr(rule_packs_disk, "_WAIT", 0.1)
    with shelf.locked(), pytest.raises(StoreError, match="another command is changing the rule packs"), shelf.locked():
        pass
