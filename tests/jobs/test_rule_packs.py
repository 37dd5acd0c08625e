"""`soc rules import|diff|activate|rollback|packs|remove`: the whole way of a pack, and what may go wrong on it."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from domain.clock import FixedClock
from domain.errors import ContentError, StoreError, UsageError
from jobs import audit, rule_packs, rule_packs_find, rule_packs_state, rulesets
from jobs.config import Config
from jobs.rule_packs_sign import generate
from jobs.runtime import Runtime
from tests.conftest import Soc
from tests.jobs.packs import folder, ident, rule, tarred, zipped
from tests.store.events import T0

NOW = ("--now", "2026-11-16T00:00:00+07:00")
V1 = {"web/a.yml": rule("A", "evil", tags=("attack.t1190",)), "web/b.yml": rule("B", "never")}
V2 = {"a.yml": rule("A", "evil/two", "medium", tags=("attack.t1190",)), "c.yml": rule("C", "login", tags=("attack.t1110.001",))}


def line(n: int, path: str, address: str) -> str:
    return f'{address} - - [15/Nov/2026:08:00:{n:02d} +0700] "GET {path} HTTP/1.1" 200 12 "-" "Mozilla/5.0"\n'


LOG = [
    line(1, "/evil/one", "203.0.113.9"), line(2, "/evil/two", "2001:db8::7"), line(3, "/login", "203.0.113.9"), line(4, "/login", "10.0.0.5"),
    line(5, "/login", "203.0.113.9"), line(6, "/", "203.0.113.10"),
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, soc_here: Soc) -> Path:
    """A store with six requests."""
    (tmp_path / "soc.toml").write_text('[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n')
    (tmp_path / "web.log").write_text("".join(LOG))
    assert soc_here(*NOW, "collect", "once").returncode == 0
    return tmp_path


@pytest.fixture
def rules(soc_here: Soc) -> Any:
    """`soc rules ... --json`; the document, and the exit code in `code`."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        done = soc_here(*NOW, "rules", *words, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    return run


def found(soc: Soc) -> dict[tuple[str, str], str]:
    """(rule, address) -> alert id, of the packs' rules."""
    rows = json.loads(soc("alerts", "list", "--json", "--limit", "0").stdout)
    ours = {ident(t): t for t in "ABC"}
    return {(ours[a["rule"]["id"]], a["entities"][0]["value"]): a["id"] for a in rows if a["rule"]["id"] in ours}


def runtime(folder_: Path) -> Runtime:
    return Runtime(Config(folder_ / "soc.toml"), FixedClock(T0))


def test_staged_tried_activated_and_rolled_back(site: Path, soc_here: Soc, rules: Any) -> None:
    first = rules("import", str(tarred(site / "web-r1.tgz", V1)), "--name", "web")
    assert (first["added"], first["changed"], first["removed"], first["active"], first["before"]) == (2, 0, 0, True, "")
    soc_here(*NOW, "scan")
    one = found(soc_here)
    assert set(one) == {("A", "203.0.113.9"), ("A", "2001:db8::7")}

    staged = rules("import", str(zipped(site / "web-r2.zip", V2)), "--stage")
    assert (staged["name"], staged["active"], staged["before"]) == ("web", False, first["version"])
    assert [d["title"] for d in staged["rules"]["added"]] == ["C"]
    assert [d["title"] for d in staged["rules"]["removed"]] == ["B"]
    assert staged["levels"] == [{"id": ident("A"), "title": "A", "before": "high", "after": "medium"}]
    assert staged["techniques"]["lost"] == []
    soc_here(*NOW, "scan")
    assert found(soc_here) == one

    records = list(runtime(site).store.records.find(""))
    assert rules("diff")["added"] == 1
    tried = rules("diff", "web", "--dry-run", "7d")["dry_run"]
    assert (tried["events"], tried["new"], tried["gone"], tried["opened"], tried["vanished"]) == (6, 2, 2, 2, 1)
    assert {r["title"]: (r["opened"], r["vanished"], r["hits"], r["hosts"]) for r in tried["rules"]} == {
        "C": (2, 0, 3, {"203.0.113.9": 1, "10.0.0.5": 1}),
        "A": (0, 1, 1, {"203.0.113.9": 1}),
    }
    assert all(r["cost"] is not None for r in tried["rules"])
    assert list(runtime(site).store.records.find("")) == records

    done = rules("activate", "web")
    assert (done["version"], done["before"], done["active"]) == (staged["version"], first["version"], True)
    assert (done["dry_run"]["opened"], done["retro"]) == (2, 2)
    soc_here(*NOW, "scan")
    assert set(found(soc_here)) == {*one, ("C", "203.0.113.9"), ("C", "10.0.0.5")}

    back = rules("rollback", "web")
    assert (back["version"], back["fingerprint"], back["retro"]) == (first["version"], first["fingerprint"], 2)
    soc_here(*NOW, "scan")
    assert {k: v for k, v in found(soc_here).items() if k[0] == "A"} == one
    log = [json.loads(text) for text in soc_here("audit", "log", "--json").stdout.splitlines()]
    assert [(e["action"], e["target"].partition("@")[0]) for e in log][:5] == [
        ("rules.import", "web"), ("rules.activate", "web"), ("rules.import", "web"), ("rules.activate", "web"), ("rules.rollback", "web"),
    ]  # fmt: skip
    assert log[4]["detail"]["version"] == first["version"]
    assert log[4]["detail"]["fingerprint"] == first["fingerprint"]


def test_before_the_first_version_there_is_none(site: Path, soc_here: Soc, rules: Any) -> None:
    first = rules("import", str(folder(site / "web", V1)))
    back = rules("rollback", "web")
    assert (back["version"], back["active"]) == ("", False)
    soc_here(*NOW, "scan")
    assert found(soc_here) == {}
    done = soc_here(*NOW, "rules", "rollback", "web")
    assert done.returncode == 2
    assert "web has no version before the one that runs" in done.stderr
    assert rules("activate", f"web@{first['version'][:4]}")["active"]
    assert rules("remove", "web")["active"] is False
    assert rules("rollback", "web")["version"] == first["version"]


def test_steps_are_gone_back_one_by_one_or_to_a_version(tmp_path: Path) -> None:
    here = runtime(tmp_path)
    ids = []
    for number, word in enumerate(("one", "two", "three")):
        staged = rule_packs.stage(here, folder(tmp_path / f"{number}", {"a.yml": rule("A", word)}), "p")
        rule_packs.activate(here, "p", staged.version.id)
        ids.append(staged.version.id)
    assert rule_packs.rollback(here, "p").version == ids[1]
    assert rule_packs.activate(here, "p", ids[2]).before == ids[1]
    assert rule_packs.rollback(here, "p", ids[0][:6]).version == ids[0]
    assert rule_packs.rollback(here, "p").version == ""
    with pytest.raises(UsageError, match=r"no version zz of p \(versions: "):
        rule_packs.rollback(here, "p", "zz")
    states = {(row.version.id, row.state) for row in rule_packs_state.listing(here)}
    assert states == {(i, "kept") for i in ids}


def test_a_flood_is_refused_unless_told(site: Path, soc_here: Soc, rules: Any) -> None:
    rules("import", str(folder(site / "web", V1)))
    pack = str(folder(site / "new", V2))
    held = rules("import", pack, "--name", "web", "--dry-run", "7d", "--max-alerts", "1", code=1)
    assert (held["active"], held["dry_run"]["floods"]) == (False, [ident("C")])
    again = rules("activate", "web", "--max-alerts", "1", code=1)
    assert (again["active"], again["dry_run"]["floods"]) == (False, [ident("C")])
    done = soc_here(*NOW, "rules", "activate", "web", "--max-alerts", "1")
    assert 'FLOOD: "C" would open 2 alerts (limit 1)' in done.stderr
    assert "Not activated: web@" in done.stderr
    assert rules("packs")["packs"][0]["label"] == ""
    assert rules("activate", "web", "--max-alerts", "1", "--yes")["active"]


def test_what_runs_already_is_not_switched_again(site: Path, soc_here: Soc, rules: Any) -> None:
    first = rules("import", str(folder(site / "web", V1)))
    records = [r.type for r in runtime(site).store.records.find(rule_packs_state.STREAM)]
    again = rules("import", str(zipped(site / "web.zip", V1)))
    assert (again["version"], again["active"], again["added"]) == (first["version"], True, 0)
    assert [r.type for r in runtime(site).store.records.find(rule_packs_state.STREAM)] == records == ["activated"]
    assert "is what runs already" in soc_here(*NOW, "rules", "import", str(site / "web"), "--stage").stderr
    done = soc_here(*NOW, "rules", "rollback", "web")
    assert "Pack web does not run any more" in done.stderr


def test_a_file_against_what_runs_leaves_nothing_behind(site: Path, rules: Any) -> None:
    rules("import", str(zipped(site / "web-1.zip", V1)))
    before = sorted(p.name for p in (site / "data" / "rules").iterdir())
    found_ = rules("diff", str(zipped(site / "web-2.zip", V2)))
    assert (found_["name"], found_["added"], found_["changed"], found_["removed"]) == ("web", 1, 1, 1)
    assert sorted(p.name for p in (site / "data" / "rules").iterdir()) == before


def test_the_difference_is_by_rule_not_by_file(tmp_path: Path) -> None:
    from jobs.rule_packs_diff import compare

    moved = {"x/a.yml": V1["web/a.yml"], "all.yml": V1["web/b.yml"] + b"\n# a remark\n"}
    assert compare(V1, moved).nothing
    joined = {"all.yml": V1["web/a.yml"] + b"\n---\n" + V1["web/b.yml"].replace(b"never", b"ever")}
    change = compare(V1, joined)
    assert ([d.title for d in change.changed], change.added, change.removed) == (["B"], [], [])


def test_what_a_pack_holds_is_told(site: Path, soc_here: Soc, rules: Any) -> None:
    shipped = (rulesets.SHIPPED / "web" / "web_jndi_lookup.yml").read_bytes()
    blind = rule("Blind").replace(b"category: webserver", b"product: nobody_has_this")
    unfilled = rule("Unfilled").replace(b"contains: 'evil'", b"expand: '%nobody_fills_this%'")
    hiding = b"title: Hide all\nlogsource: {category: webserver}\nfilter:\n  rules: any\n  s: {url.path: /}\n  condition: not s\n"
    files = {
        "a.yml": rule("A", extra="status: deprecated\n"),
        "s.yml": shipped,
        "b.yml": blind,
        "u.yml": unfilled,
        "bad.yml": b"title: Bad\ndetection: 1\n",
        "f.yml": hiding,
    }
    told = rules("import", str(folder(site / "mixed", files)), "--stage")
    assert (told["files"], told["blind"], told["unfilled"], told["broken"]) == (6, 2, 1, 1)
    assert told["loaded"] == 2
    again = soc_here(*NOW, "rules", "diff", "mixed")
    assert "CAUTION: 1 filters of the pack will hide alerts, of other rules too: Hide all" in again.stderr
    assert "1 rules were given up by their maker (deprecated, unsupported) and run all the same: A" in again.stderr
    assert told["faults"][0].startswith("bad.yml:")
    assert len(told["overrides"]["shipped"]) == 1
    assert [d["kind"] for d in told["rules"]["added"] if d["title"] == "Hide all"] == ["filter"]


def test_a_pack_of_which_nothing_can_be_read_does_not_run(tmp_path: Path) -> None:
    here = runtime(tmp_path)
    good = rule_packs.stage(here, folder(tmp_path / "1", V1), "p")
    rule_packs.activate(here, "p", good.version.id)
    bad = rule_packs.stage(here, folder(tmp_path / "2", {"a.yml": b"title: A\ndetection: 1\n"}), "p")
    with pytest.raises(ContentError, match=r"not one rule of p@[0-9a-f]{12} can be read: a\.yml:\d+: "):
        rule_packs.activate(here, "p", bad.version.id)
    assert rulesets.shelf(here).pack("p").active == good.version.id


def test_signed_packs(site: Path, soc_here: Soc, rules: Any) -> None:
    secret, public, key = generate(site, "office")
    made = rules(
        "sign", str(folder(site / "p", V1)), "--key", str(secret), "--out", str(site / "p-r1.zip"), "--name", "web", "--version", "r1"
    )
    assert made["key"] == key.fingerprint
    unknown = rules("import", str(site / "p-r1.zip"), "--stage")
    assert (unknown["name"], unknown["label"], unknown["signer"]) == ("web", "r1", "")
    (site / "content" / "keys").mkdir(parents=True)
    (site / "content" / "keys" / "office.pem").write_bytes(public.read_bytes())
    known = rules("import", str(site / "p-r1.zip"))
    assert (known["signer"], known["key"], known["version"]) == ("office", key.fingerprint, unknown["version"])
    refused = soc_here(*NOW, "rules", "import", str(site / "p"), "--key", str(public))
    assert (refused.returncode, "it is not signed, and --key was given" in refused.stderr) == (4, True)


def test_only_signed_packs_where_the_configuration_says_so(site: Path, soc_here: Soc, rules: Any) -> None:
    secret, _, _ = generate(site, "office")
    rules("import", str(folder(site / "web", V1)))
    rules("import", str(folder(site / "new", V2)), "--name", "web", "--stage")
    with (site / "soc.toml").open("a") as file:
        file.write('\n[rules]\nrequire_signature = true\ntrusted_keys = ["office.pem"]\n')
    for words in (("import", str(site / "new")), ("activate", "web"), ("activate", f"web@{rules('packs')['packs'][0]['version']}")):
        done = soc_here(*NOW, "rules", *words)
        assert done.returncode == 4, words
        assert "signed, and [rules] require_signature = true" in done.stderr
    rules("sign", str(site / "new"), "--key", str(secret), "--out", str(site / "s.zip"), "--name", "web")
    assert rules("import", str(site / "s.zip"))["active"]


def test_an_older_pack_of_the_maker_is_told(site: Path, soc_here: Soc, rules: Any) -> None:
    secret, public, _ = generate(site, "office")
    for number, (files, at) in enumerate(((V2, "2026-11-20"), (V1, "2026-11-10"))):
        words = (
            "sign",
            str(folder(site / str(number), files)),
            "--key",
            str(secret),
            "--out",
            str(site / f"{number}.zip"),
            "--name",
            "web",
        )
        soc_here("--now", at, "rules", *words)
    rules("import", str(site / "0.zip"), "--key", str(public))
    done = soc_here(*NOW, "rules", "import", str(site / "1.zip"), "--key", str(public), "--stage")
    assert "CAUTION: the pack was made on 2026-11-09T17:00:00+00:00, before the version that runs" in done.stderr


def test_packs_from_before_versions_go_on_running_and_become_a_version(site: Path, soc_here: Soc, rules: Any) -> None:
    folder(site / "data" / "rules" / "web", V1)
    soc_here(*NOW, "scan")
    one = found(soc_here)
    assert {title for title, _ in one} == {"A"}
    assert rules("packs")["packs"][0]["version"] == "legacy"
    told = rules("import", str(folder(site / "new", V2)), "--name", "web")
    assert (told["added"], told["changed"], told["removed"]) == (1, 1, 1)
    assert not (site / "data" / "rules" / "web").exists()
    assert rules("rollback", "web")["version"] == told["before"]
    soc_here(*NOW, "scan")
    assert found(soc_here) == one


def test_two_machines_with_one_store_do_not_disagree_silently(
    cluster_store: Any, opensearch_url: str, index_prefix: str, tmp_path: Path
) -> None:
    def machine(name: str) -> Runtime:
        config = Config(tmp_path / name / "soc.toml", opensearch_url, {"index_prefix": index_prefix})
        return Runtime(config, FixedClock(T0))

    here, there = machine("here"), machine("there")
    pack = folder(tmp_path / "web", V1)
    staged = rule_packs.stage(here, pack)
    rule_packs.activate(here, "web", staged.version.id)
    assert rule_packs_state.troubles(here, deep=True) == []
    (trouble,) = rule_packs_state.troubles(there)
    assert (trouble.kind, trouble.here, trouble.values["wanted"], trouble.next) == (
        "differs", "", staged.version.id, "soc rules import PACK --name web",
    )  # fmt: skip
    rule_packs.stage(there, pack)
    (trouble,) = rule_packs_state.troubles(there)
    assert trouble.next == f"soc rules activate web@{staged.version.id}"
    rule_packs.activate(there, "web", staged.version.id)
    assert rule_packs_state.troubles(there) == rule_packs_state.troubles(here) == []
    rule_packs.remove(there, "web")
    (trouble,) = rule_packs_state.troubles(here)
    assert (trouble.here, trouble.values["wanted"], trouble.next) == (staged.version.id, "-", "soc rules remove web")


def test_the_whole_way_on_a_cluster(opensearch_url: str, index_prefix: str, tmp_path: Path, soc_here: Soc, rules: Any) -> None:
    store = f'[store]\nurl = "{opensearch_url}"\nindex_prefix = "{index_prefix}"\n'
    (tmp_path / "soc.toml").write_text(f'{store}[[source]]\nid = "web"\ntype = "file"\npath = "web.log"\nparser = "nginx"\n')
    (tmp_path / "web.log").write_text("".join(LOG))
    assert soc_here(*NOW, "collect", "once").returncode == 0
    first = rules("import", str(folder(tmp_path / "web", V1)))
    soc_here(*NOW, "scan")
    one = found(soc_here)
    assert set(one) == {("A", "203.0.113.9"), ("A", "2001:db8::7")}
    rules("import", str(zipped(tmp_path / "web-2.zip", V2)), "--stage")
    tried = rules("activate", "web")["dry_run"]
    assert (tried["events"], tried["opened"], tried["vanished"]) == (6, 2, 1)
    soc_here(*NOW, "scan")
    assert set(found(soc_here)) == {*one, ("C", "203.0.113.9"), ("C", "10.0.0.5")}
    assert rules("rollback", "web")["fingerprint"] == first["fingerprint"]
    assert rules("packs")["troubles"] == []


def test_killed_before_it_was_recorded_it_is_told_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = runtime(tmp_path)
    first = rule_packs.stage(here, folder(tmp_path / "1", V1), "web")
    rule_packs.activate(here, "web", first.version.id)
    second = rule_packs.stage(here, folder(tmp_path / "2", V2), "web")

    def full(*_: object) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(type(here.store.records), "append", full)
        with pytest.raises(StoreError, match="full"):
            rule_packs.activate(here, "web", second.version.id)
    assert rulesets.shelf(here).pack("web").active == second.version.id
    assert [(t.kind, t.here, t.values["wanted"]) for t in rule_packs_state.troubles(here)] == [
        ("differs", second.version.id, first.version.id)
    ]
    rule_packs.activate(here, "web", second.version.id)
    assert rule_packs_state.troubles(here) == []
    assert rule_packs.rollback(here, "web").version == first.version.id
    assert audit.verify(here.store.records).problems == ()


def test_changed_and_missing_files_are_told_and_do_not_run_again(site: Path, soc_here: Soc, rules: Any) -> None:
    version = rules("import", str(folder(site / "web", V1)))["version"]
    place = site / "data" / "rules" / f"web@{version}"
    (place / "web" / "a.yml").write_bytes(rule("A", "harmless"))
    assert rules("packs", code=1)["troubles"][0]["kind"] == "damaged"
    doctor = json.loads(soc_here(*NOW, "doctor", "--json").stdout)
    assert [f["next"] for f in doctor["findings"] if "were changed after the import" in f["sentence"]] == [
        "soc rules import PACK --name web"
    ]
    done = soc_here(*NOW, "rules", "activate", "web")
    assert (done.returncode, "its files are not those that were imported" in done.stderr) == (6, True)
    for path in sorted(place.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    place.rmdir()
    scan = soc_here(*NOW, "scan")
    assert f"Pack web: the files of version {version} are gone, its rules do NOT run" in scan.stderr
    rules("import", str(site / "web"))
    assert rules("packs")["troubles"] == []


def test_a_version_that_does_not_run_can_be_deleted(site: Path, soc_here: Soc, rules: Any) -> None:
    first = rules("import", str(folder(site / "web", V1)))["version"]
    second = rules("import", str(folder(site / "new", V2)), "--name", "web")["version"]
    done = soc_here(*NOW, "rules", "remove", f"web@{second}")
    assert (done.returncode, f"web@{second} runs" in done.stderr) == (2, True)
    assert rules("remove", f"web@{first}")["purged"] is True
    assert [p["version"] for p in rules("packs")["packs"]] == [second]
    assert not (site / "data" / "rules" / f"web@{first}").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("activate", "none"), "no rule pack none"),
        (("rollback", "none"), "no rule pack none"),
        (("diff", "none"), "no rule pack none"),
        (("diff",), "no pack has a staged version"),
        (("import", "none.zip"), "no such file or folder: none.zip"),
        (("import", "web.log"), "not a readable rule pack"),
        (("import", "content", "--name", "../x"), "--name ../x: letters, digits, _ and -"),
    ],
)
def test_words_for_what_is_not_there(site: Path, soc_here: Soc, words: tuple[str, ...], text: str) -> None:
    folder(site / "content", V1)
    done = soc_here(*NOW, "rules", *words)
    assert done.returncode == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("sigma_all_rules.zip", "sigma_all_rules"),
        ("sigma-r2026-10-01.zip", "sigma"),
        ("sigma-2026.10.1.tar.gz", "sigma"),
        ("Gói luật.zip", "gói-luật"),
        (unicodedata.normalize("NFD", "Gói luật.zip"), "gói-luật"),
        ("2026.zip", "2026"),
        ("rules-v1.2.tar.xz", "rules"),
    ],
)
def test_another_release_is_the_same_pack(file: str, name: str) -> None:
    assert rule_packs_find.pack_name("", "", Path(file)) == name


def test_people_read_titles_in_their_language_and_machines_the_rules_own(site: Path, soc_here: Soc, rules: Any) -> None:
    mine = b"title: Ours\nid: 6d1f9a80-2f64-4b9c-9f6e-0f3c8e6f2a99\nlogsource: {category: webserver}\nfilter: {rules: any, s: {a: b}, condition: s}\n"
    rules("import", str(tarred(site / "web-r1.tgz", V1)), "--name", "web")
    pack = str(zipped(site / "web-r2.zip", {**V2, "f.yml": mine}))
    rules("import", pack, "--stage")
    done = soc_here(*NOW, "rules", "diff", "--lang", "vi", "--dry-run", "7d", "--max-alerts", "1")
    rows = done.stdout.splitlines()
    for title, times in (("Khai thác ứng dụng công khai [A]", 2), ("Yêu cầu tới máy chủ web bất thường [B]", 1), ("Đoán mật khẩu [C]", 2)):
        assert sum(title in row for row in rows) == times, "once for the change, once for the dry run"
    assert any("filter" in row and "Ours" in row and "[Ours]" not in row for row in rows), "a filter is called as its owner calls it"
    assert "TRÀN: “Đoán mật khẩu [C]” sẽ mở 2 cảnh báo (giới hạn 1)" in done.stderr.splitlines()
    assert "[" not in soc_here(*NOW, "rules", "diff", "--dry-run", "7d").stdout
    told = json.loads(soc_here(*NOW, "rules", "diff", "--lang", "vi", "--json").stdout)
    assert told == rules("diff")
    assert set(told["rules"]["added"][0]) == {"id", "title", "level", "version", "file", "kind", "status"}


def test_people_read_levels_in_their_language_and_machines_the_rules_own(site: Path, soc_here: Soc, rules: Any) -> None:
    def words(*command: str) -> set[str]:
        cells = {cell.strip() for row in soc_here(*NOW, "rules", *command, "--lang", "vi").stdout.splitlines() for cell in row.split("  ")}
        return cells & {"cao", "trung bình", "cao → trung bình", "high", "medium", "informational", "high → medium"}

    rules("import", str(tarred(site / "web-r1.tgz", V1)), "--name", "web")
    changed = words("import", str(zipped(site / "web-r2.zip", V2)), "--stage", "--dry-run", "7d")
    assert changed - {"trung bình"} == {"cao", "cao → trung bình"}, "two words may stand on two lines"
    for command in ("list", "check"):
        assert words(command, "--limit", "0") - {"trung bình"} == {"cao"}
    assert words("list", "--limit", "0", "--format", "csv") == set()
    own = json.loads(soc_here("rules", "list", "--limit", "0", "--format", "json", "--lang", "vi").stdout)
    assert {one["level"] for one in own} >= {"high", "medium"}
