"""Evidence of an incident: take it in, check it, hand it on as one archive that `sha256sum -c` verifies without this product."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from domain import alert_fold, duties, i18n, titles
from domain import event as events
from domain import incident as inc
from domain.alert import Alert, Evidence
from domain.clock import LOCAL, iso_local
from domain.errors import UsageError
from domain.incident import Entry, Incident
from domain.text import csv_safe, one_line
from jobs.respond import change, desk, find_alert, get, log, resolve
from jobs.respond_playbook import all_runs
from jobs.runtime import Runtime
from playbooks.evidence import MANIFEST, broken_links
from playbooks.journal import case
from store.base import Record

_BLOCK = 1 << 20


@dataclass(frozen=True, order=True)
class Finding:
    """Something wrong with evidence."""

    item: str
    kind: str
    """missing, size, changed, chain, unlisted, stray."""

    @property
    def harmless(self) -> bool:
        """A file that no record names: left by an interrupted command."""
        return self.kind == "stray"


def add(runtime: Runtime, prefix: str, paths: Sequence[Path], note: str) -> list[Evidence]:
    """Copy files into the incident's evidence. The same file again is the same evidence."""
    work, key = desk(runtime), resolve(runtime, prefix)
    vault = work.vault(key)
    items = list(dict.fromkeys(vault.keep_file(path, at=work.now, by=work.actor, note=note) for path in paths))

    def decide(seen: Any) -> list[inc.Change]:
        known = {(e.name, e.sha256) for e in seen.incident.evidence}
        return [inc.evidence_added(item) for item in items if (item.name, item.sha256) not in known]

    change(runtime, key, decide)
    return items


def verify(runtime: Runtime, prefix: str) -> tuple[int, list[Finding]]:
    """(evidence items, what is wrong) of an incident in the store: files against records, links of the chain, the manifest.

    A manifest that lacks lines (a command was killed between record and manifest) is drawn again.
    """
    work, key = desk(runtime), resolve(runtime, prefix)
    seen, vault = case(work, key), work.vault(key)
    items = seen.incident.evidence
    found = [Finding(name, kind) for name, kind in vault.verify(items)]
    found += [Finding(name, "chain") for name in broken_links(key, [r.body for r in seen.records if r.type == "evidence"])]
    found += [Finding(name, "stray") for name in vault.strays(items)]
    listed = _sums((vault.folder / MANIFEST).read_text(encoding="utf-8")) if (vault.folder / MANIFEST).is_file() else {}
    found += [Finding(e.name, "unlisted") for e in items if e.path and listed.get(e.name, e.sha256) != e.sha256]
    if any(e.path and e.name not in listed for e in items):
        vault.draw_manifest(items)
    return len(items), sorted(set(found))


def _sums(text: str) -> dict[str, str]:
    rows = [line.split("  ", 1) for line in text.splitlines() if "  " in line]
    return {name: digest for digest, name in rows}


def verify_archive(path: Path) -> tuple[int, list[Finding]]:
    """The same for an exported archive; needs neither store nor configuration."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _verify_zip(archive)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise UsageError(f"not an archive of soc incident export: {one_line(str(error))}", where=one_line(str(path))) from None


def _verify_zip(archive: zipfile.ZipFile) -> tuple[int, list[Finding]]:
    sums = _sums(archive.read(MANIFEST).decode("utf-8"))
    names = {i.filename for i in archive.infolist() if not i.is_dir()} - {MANIFEST}
    found = [Finding(name, "missing") for name in sums.keys() - names] + [Finding(name, "unlisted") for name in names - sums.keys()]
    for name in sorted(names & sums.keys()):
        if _digest(archive, name) != sums[name]:
            found.append(Finding(name, "changed"))
    records = [orjson.loads(line) for line in archive.read("records.jsonl").splitlines()]
    for key in {r["key"] for r in records if r["stream"] == inc.STREAM}:
        bodies = [r["body"] for r in records if (r["stream"], r["key"], r["type"]) == (inc.STREAM, key, "evidence")]
        found += [Finding(name, "chain") for name in broken_links(key, bodies)]
    return len(sums), sorted(set(found))


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with archive.open(name) as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
    except zipfile.BadZipFile:
        return ""
    return digest.hexdigest()


def timeline_rows(entries: Iterable[Entry]) -> Iterator[tuple[str, str, str, str, str]]:
    """(when it happened, when it was written down, kind, who, sentence) of each line of the timeline."""
    for entry in entries:
        yield iso_local(entry.at), iso_local(entry.recorded), entry.kind, entry.actor, sentence(entry)


def sentence(entry: Entry) -> str:
    """The line in the reader's language; a kind of a later version shows its values."""
    key = f"timeline_{entry.kind}"
    shown = {k: _plain(v) for k, v in entry.values.items()}
    if key not in i18n.catalogue("vi", "incident"):
        return one_line(f"{entry.kind}: {shown}", 500)
    if entry.kind == "step":
        key = key if shown["step"] else "timeline_step_started"
        shown["result"] = i18n.t(f"playbook.result_{shown['result']}")
    if entry.kind == "sent":
        shown["form"] = i18n.t(f"duties.{shown['form']}")
    if entry.kind == "status":
        shown["status"] = i18n.t(f"incident.status_{shown['status']}")
    if entry.kind == "merged":
        key = "timeline_merged_into" if shown.get("into") else key
    if entry.kind == "classified":
        shown["what"] = _classified(entry.values)
    shown = {"note": "", "reason": "", "from": "", **shown}
    shown["source"] = shown.pop("from")
    return one_line(i18n.t(f"incident.{key}", **shown).rstrip(), 1000)


def _classified(values: Mapping[str, Any]) -> str:
    parts = [i18n.t(f"incident.category_{values['category']}")] if values.get("category") else []
    parts += [str(values["level"])] if values.get("level") else []
    parts += [f"{'+' if on else '-'} {i18n.t(f'incident.flag_{name}')}" for name, on in values.get("flags", {}).items()]
    parts += [f"{i18n.t(f'incident.fact_{name}')}: {value}" for name, value in values.get("facts", {}).items()]
    return "; ".join(parts)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def timeline_csv(entries: Iterable[Entry]) -> str:
    """The timeline for a spreadsheet: header in the reader's language, cells that cannot become formulas."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([i18n.t(f"incident.col_{name}") for name in ("at", "recorded", "kind", "actor", "what")])
    writer.writerows([csv_safe(cell) for cell in row] for row in timeline_rows(entries))
    return out.getvalue()


def to_json(incident: Incident, now: Any = None) -> dict[str, Any]:
    """The stable form of `soc incident show --json`."""
    plain: dict[str, Any] = {
        "id": incident.id, "title": incident.title, "t0": iso_local(incident.t0), "status": incident.status,
        "level": incident.level or None, "level_reason": incident.level_reason or None, "category": incident.category or None,
        "profile": incident.profile,
        "personal_data_profile": incident.personal_data_profile, "detected_by": incident.detected_by, "exercise": incident.exercise,
        "opened": iso_local(incident.opened), "opened_by": incident.opened_by, "alerts": list(incident.alerts),
        "entities": inc.pairs(incident.entities), "assets": list(incident.assets), "units": list(incident.units),
        "flags": {name: iso_local(at) for name, at in incident.flags.items()}, "facts": dict(incident.facts),
        "notes": [{"at": iso_local(n.at), "actor": n.actor, "text": n.text} for n in incident.notes],
        "evidence": [evidence_json(e) for e in incident.evidence], "sent": [notice_json(n) for n in incident.sent],
        "steps": [step_json(s) for s in incident.steps],
        "recovered": iso_local(incident.recovered) if incident.recovered else None,
        "closed": iso_local(incident.closed) if incident.closed else None, "closed_by": incident.closed_by or None,
        "merged_into": incident.merged_into or None, "merged_from": list(incident.merged_from), "split_from": incident.split_from or None,
    }  # fmt: skip
    if now is not None:
        plain["deadlines"] = [duty_json(d) for d in duties.due(incident, now)]
    return plain


def evidence_json(item: Evidence) -> dict[str, Any]:
    """One evidence item."""
    return {"name": item.name, "sha256": item.sha256, "size": item.size, "taken_at": iso_local(item.taken_at), "taken_by": item.taken_by,
            "path": item.path, "note": item.note}  # fmt: skip


def step_json(item: inc.StepDone) -> dict[str, Any]:
    """One playbook step as the incident saw it."""
    return {"at": iso_local(item.at), "actor": item.actor, "run": item.run, "step": item.step, "phase": item.phase, "result": item.result,
            "note": item.note}  # fmt: skip


def notice_json(item: inc.Notice) -> dict[str, Any]:
    """One notice that went out."""
    return {"form": item.form, "to": item.to, "channel": item.channel, "at": iso_local(item.at), "number": item.number, "proof": item.proof,
            "actor": item.actor}  # fmt: skip


def duty_json(duty: duties.Duty) -> dict[str, Any]:
    """One clock."""
    return {
        "id": duty.id, "name": i18n.t(f"duties.{duty.id}"), "state": duty.state, "late": duty.late, "law": duty.clause.law,
        "source": duty.clause.source, "to": list(duty.clause.to), "document": duty.clause.document or None,
        "due_at": iso_local(duty.due_at) if duty.due_at else None,
        "remaining_seconds": int(duty.remaining.total_seconds()) if duty.remaining is not None else None,
        "done_at": iso_local(duty.done_at) if duty.done_at else None,
    }  # fmt: skip


def export(runtime: Runtime, prefix: str, target: Path) -> tuple[Path, int]:
    """One zip with everything of an incident: (file, number of files in it). An existing file is not overwritten."""
    incident = get(runtime, prefix)
    path = target / f"{incident.id}.zip" if target.is_dir() else target
    if path.exists():
        raise UsageError("the file exists already", where=one_line(str(path)), hint="--out another file")
    sums: list[str] = []
    at = runtime.clock.now().astimezone(LOCAL).timetuple()[:6]
    part = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, blocks in _contents(runtime, incident):
                sums.append(f"{_store(archive, name, blocks, at)}  {name}\n")
            _store(archive, MANIFEST, ["".join(sums).encode()], at)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot be written: {error.strerror}", where=one_line(str(path))) from None
    log(runtime, "incident.export", incident.id, file=path.name, files=len(sums))
    return path, len(sums)


def _store(archive: zipfile.ZipFile, name: str, blocks: Iterable[bytes], at: Any) -> str:
    digest = hashlib.sha256()
    info = zipfile.ZipInfo(str(PurePosixPath(name)), at)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o640 << 16
    with archive.open(info, "w", force_zip64=True) as stream:
        for block in blocks:
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _contents(runtime: Runtime, incident: Incident) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Every file of the archive but the manifest."""
    work = desk(runtime)
    alerts = [find_alert(runtime, a) for a in incident.alerts]
    yield "README.txt", [i18n.t("incident.archive_readme", id=incident.id, title=one_line(incident.title), at=iso_local(work.now)).encode()]
    yield "incident.json", [orjson.dumps(to_json(incident, work.now), option=orjson.OPT_INDENT_2) + b"\n"]
    yield "timeline.csv", ["\ufeff".encode(), timeline_csv(incident.timeline).encode()]
    family = [incident, *(get(runtime, key) for key in incident.merged_from)]
    yield "records.jsonl", [_record_line(r) for member in family for r in _records(runtime, member)]
    yield "alerts.jsonl", [_alert_line(a) for a in alerts]
    yield "events.jsonl", _event_lines(runtime, sorted({e for a in alerts for e in a.events}))
    for member in family:
        vault = work.vault(member.id)
        place = "evidence" if member is incident else f"evidence/{member.id}"
        for item in {e.name: e for e in member.evidence if e.path}.values():
            if (vault.folder / item.name).is_file():
                yield f"{place}/{item.name}", _blocks(vault.folder / item.name)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(_BLOCK), b"")


def _records(runtime: Runtime, incident: Incident) -> Iterator[Record]:
    yield from runtime.store.records.read(inc.STREAM, incident.id)
    for run in all_runs(runtime, incident.id):
        yield from runtime.store.records.read("run", run.id)


def _record_line(record: Record) -> bytes:
    plain = {"stream": record.stream, "key": record.key, "version": record.version, "type": record.type, "at": iso_local(record.at)}
    return orjson.dumps({**plain, "actor": record.actor, "body": dict(record.body)}, default=str) + b"\n"


def _alert_line(alert: Alert) -> bytes:
    """An alert as JSON, with what it is called in the language of who exports."""
    return orjson.dumps({**alert_fold.to_json(alert), "title_local": titles.headline(alert.rule, alert.entities)}) + b"\n"


def _event_lines(runtime: Runtime, ids: Sequence[str]) -> Iterator[bytes]:
    """The events behind the alerts, with their original records, 500 at a time."""
    for start in range(0, len(ids), 500):
        table = runtime.store.events.fetch(ids[start : start + 500])
        for index in range(table.num_rows):
            yield orjson.dumps({**events.row(table, index), **_raw(table, index)}, default=str) + b"\n"


def _raw(table: Any, index: int) -> dict[str, str]:
    """The exact bytes of a record that is not UTF-8 text, in Base64; nothing for others, whose text is exact."""
    raw: bytes = (table["event.original"][index].as_py() if "event.original" in table.column_names else None) or b""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"event.original_base64": base64.b64encode(raw).decode("ascii")}
    return {}
