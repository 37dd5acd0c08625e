"""How rule packs are shown: differences, dry runs, what was switched. One JSON document, or a table and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from commands.common import OPTIONS, emit, level_word, say, show
from domain import titles
from domain.clock import show_local
from domain.i18n import t
from domain.severity import rank

if TYPE_CHECKING:
    from jobs.rule_packs import Staged, Switched
    from jobs.rule_packs_diff import Change, Doc, Levels
    from jobs.rule_packs_dry import DryRun, Outlook
    from jobs.rule_packs_sign import Key, Signed
    from jobs.rule_packs_state import Row, Trouble

_FEW: Final = 8
"""Names in one sentence."""


def difference(staged: Staged, change: Change, limit: int) -> None:
    """Table of rules, then what it means in sentences. Nothing with `--json`: the last view gives the document."""
    if OPTIONS.json:
        return
    rows = _rows(change)
    if rows:
        show([t(f"packs.{k}") for k in ("what", "level", "title", "id")], rows[:limit] if limit else rows)
    if limit and len(rows) > limit:
        say(t("packs.more", n=len(rows) - limit))
    say(t("packs.found", name=staged.name, version=_named(staged), origin=staged.version.origin, files=change.files))
    say(t("packs.signed_by", signer=staged.version.signer, key=staged.version.key) if staged.version.signer else t("packs.unsigned"))
    if staged.older:
        say(t("packs.older", created=staged.version.created))
    say(_counted(change))
    say(t("packs.state", loaded=change.loaded, blind=change.blind, unfilled=change.unfilled, broken=change.broken))
    if change.filters:
        say(t("packs.filters", n=len(change.filters), titles=", ".join(one.title for one in change.filters[:_FEW])))
    if change.retired:
        say(t("packs.retired", n=len(change.retired), titles=", ".join(one.spoken for one in change.retired[:_FEW])))
    for fault in change.faults[:5]:
        say(f"  {fault}")
    if change.gained or change.lost:
        say(t("packs.techniques", gained=_few(change.gained), lost=_few(change.lost)))
    for place, ids in change.overrides.items():
        say(t("packs.overrides", n=len(ids), place=_place(place), ids=_few(ids, 3)))


def _place(name: str) -> str:
    return t(f"packs.place_{name}") if name in ("shipped", "content") else name


def _named(staged: Staged) -> str:
    return f"{staged.version.id} ({staged.version.label})" if staged.version.label else staged.version.id


def _counted(change: Change) -> str:
    if change.nothing:
        return t("packs.nothing")
    counts = (len(change.added), len(change.changed), len(change.levels), len(change.removed))
    return t("packs.change", added=counts[0], changed=counts[1], levels=counts[2], removed=counts[3])


def _few(names: Sequence[str], most: int = _FEW) -> str:
    shown = ", ".join(names[:most])
    return (f"{len(names)} ({shown}{', …' if len(names) > most else ''})") if names else "0"


def _rows(change: Change) -> list[tuple[str, str, str, str]]:
    stepped = {one.id for one in change.levels}
    words = [(level_word(one.before) or "-", level_word(one.after) or "-") for one in change.levels]
    rows = [(t("packs.is_level"), " → ".join(word), one.spoken, one.id) for word, one in zip(words, change.levels, strict=True)]
    kinds = (("removed", change.removed), ("changed", [d for d in change.changed if d.id not in stepped]), ("added", change.added))
    return rows + [(t(f"packs.is_{kind}"), level_word(d.level) or d.kind, d.spoken, d.id) for kind, docs in kinds for d in _worst(docs)]


def _worst(docs: Sequence[Doc]) -> list[Doc]:
    return sorted(docs, key=lambda doc: (-rank(doc.level), doc.title))


def trial(found: DryRun, most: int, limit: int) -> None:
    """Per rule: alerts opened and gone, hits, cost, where."""
    if OPTIONS.json:
        return
    heads = [t(f"packs.{k}") for k in ("opened", "vanished", "alerts", "hits", "cost", "level", "title", "where")]
    rows = [
        (r.opened, r.vanished, r.alerts, r.hits, _cost(r), level_word(r.rule.level), titles.full(r.rule), _where(r)) for r in found.rules
    ]
    if rows:
        show(heads, rows[:limit] if limit else rows, cut=[6, 7])
    if limit and len(rows) > limit:
        say(t("packs.more", n=len(rows) - limit))
    since, until = show_local(found.since), show_local(found.until)
    say(t("packs.tried", new=found.new, gone=found.gone, since=since, until=until, events=found.events))
    say(t("packs.outcome", opened=found.opened, vanished=found.vanished, seconds=found.seconds, before=found.seconds_before))
    for note in found.notes:
        say(note)
    for one in found.floods(most)[:_FEW]:
        say(t("packs.flood", title=titles.full(one.rule), n=one.opened, most=most))


def _cost(one: Outlook) -> str:
    return "-" if one.cost is None else f"{one.cost:.2f}"


def _where(one: Outlook) -> str:
    return ", ".join(f"{host} {n}" for host, n in one.hosts.most_common(4)) + (", …" if len(one.hosts) > 4 else "")


def imported(staged: Staged, change: Change, found: DryRun | None, done: Switched | None, most: int) -> None:
    """The end of an import."""
    if OPTIONS.json:
        emit({**_change(staged, change), "active": done is not None, "dry_run": _trial(found, most), **_fingerprint(done)})
    elif done is not None:
        switched(done, "activated")
    elif found is not None and found.floods(most):
        say(t("packs.held", name=staged.name, version=staged.version.id, n=len(found.floods(most)), most=most))
    elif staged.running:
        say(t("packs.same", name=staged.name, version=staged.version.id))
    else:
        say(t("packs.ready", name=staged.name, version=staged.version.id))


def compared(staged: Staged, change: Change, found: DryRun | None, most: int) -> None:
    """The end of `diff`."""
    if OPTIONS.json:
        emit({**_change(staged, change), "dry_run": _trial(found, most)})


def activated(name: str, version: str, found: DryRun | None, done: Switched | None, most: int) -> None:
    """The end of `activate`."""
    if done is not None:
        switched(done, "activated", found, most)
    elif OPTIONS.json:
        emit({"name": name, "version": version, "active": False, "dry_run": _trial(found, most)})
    else:
        say(t("packs.held", name=name, version=version, n=len(found.floods(most)) if found else 0, most=most))


def switched(done: Switched, kind: str, found: DryRun | None = None, most: int = 0) -> None:
    """What runs now."""
    if OPTIONS.json:
        emit({**asdict(done), "active": bool(done.version), "dry_run": _trial(found, most)})
        return
    key = "same" if done.version == done.before else kind if done.version else "removed"
    say(t(f"packs.{key}", name=done.name, version=done.version, before=done.before or "-", rules=done.rules))
    if done.retro and done.version:
        say(t("packs.retro", n=done.retro))


def purged(name: str, version: str) -> None:
    """A version is gone."""
    if OPTIONS.json:
        emit({"name": name, "version": version, "purged": True})
    else:
        say(t("packs.purged", name=name, version=version))


def packs(rows: Sequence[Row], troubles: Sequence[Trouble], form: str) -> None:
    """The list, and what is wrong with it."""
    from jobs.rule_packs_state import sentence

    keys = ("pack", "state", "version", "label", "rules", "signer", "key", "imported", "actor", "origin")
    cells = [(r.pack, r.state, v.id, v.label, v.files, v.signer, v.key, v.imported, v.actor, v.origin) for r in rows for v in [r.version]]
    if OPTIONS.json or form == "json":
        emit({"packs": [dict(zip(keys, cell, strict=True)) for cell in cells], "troubles": [asdict(one) for one in troubles]})
    else:
        shown = [(c[0], t(f"packs.is_{c[1]}"), *c[2:6], _time(c[7]), *c[8:]) if form == "table" else c for c in cells]
        heads = [t(f"packs.col_{k}") for k in keys if form != "table" or k != "key"]
        show(heads, shown, form)
    for one in troubles:
        say(f"{sentence(one)} → {one.next}")


def _time(iso: str) -> str:
    return show_local(datetime.fromisoformat(iso)) if iso else "-"


def signed(key: Key, said: Signed, out: str) -> None:
    """A pack was signed."""
    if OPTIONS.json:
        emit({"out": out, "name": said.name, "version": said.version, "created": said.created, "key": key.fingerprint})
    else:
        say(t("packs.made", out=out, key=key.fingerprint))


def keys(secret: Path, public: Path, key: Key) -> None:
    """A pair was made."""
    if OPTIONS.json:
        emit({"private": str(secret), "public": str(public), "key": key.fingerprint})
    else:
        say(t("packs.keys", secret=secret, public=public, key=key.fingerprint))


def _change(staged: Staged, change: Change) -> dict[str, Any]:
    version = staged.version
    return {
        "name": staged.name, "version": version.id, "label": version.label, "origin": version.origin, "before": staged.before,
        "signer": version.signer, "key": version.key, "older": staged.older, "added": len(change.added), "changed": len(change.changed),
        "removed": len(change.removed), "files": change.files, "loaded": change.loaded, "blind": change.blind, "unfilled": change.unfilled,
        "broken": change.broken, "faults": list(change.faults), "levels": [_plain(one) for one in change.levels],
        "rules": {kind: [_plain(d) for d in getattr(change, kind)] for kind in ("added", "changed", "removed")},
        "techniques": {"gained": list(change.gained), "lost": list(change.lost)}, "overrides": dict(change.overrides),
    }  # fmt: skip


def _plain(one: Doc | Levels) -> dict[str, Any]:
    """What is data of it: machines read the rule's own title."""
    return {key: value for key, value in vars(one).items() if key not in ("ref", "spoken")}


def _fingerprint(done: Switched | None) -> Mapping[str, object]:
    return {"fingerprint": done.fingerprint, "retro": done.retro} if done else {}


def _trial(found: DryRun | None, most: int) -> dict[str, Any] | None:
    if found is None:
        return None
    rules = [
        {
            "id": one.rule.id, "title": one.rule.title, "level": one.rule.level, "hits": one.hits, "alerts": one.alerts,
            "opened": one.opened, "vanished": one.vanished, "hosts": dict(one.hosts.most_common()), "cost": one.cost,
        }
        for one in found.rules
    ]  # fmt: skip
    return {
        "since": found.since.isoformat(), "until": found.until.isoformat(), "events": found.events, "new": found.new, "gone": found.gone,
        "opened": found.opened, "vanished": found.vanished, "seconds": found.seconds, "seconds_before": found.seconds_before,
        "floods": [one.rule.id for one in found.floods(most)], "rules": rules, "notes": found.notes,
    }  # fmt: skip
