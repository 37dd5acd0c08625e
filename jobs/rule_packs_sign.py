"""Signed rule packs: `MANIFEST.json` lists every file with its SHA-256, `MANIFEST.sig` is the ed25519 signature (64 bytes) of its bytes.

Anybody can check a pack without us: `openssl pkeyutl -verify -pubin -inkey KEY.pem -rawin -in MANIFEST.json -sigfile MANIFEST.sig`, then
`sha256sum`. Keys are PEM (SubjectPublicKeyInfo, PKCS #8), as `openssl genpkey -algorithm ed25519` makes them. Signatures: RFC 8032.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.errors import ContentError, UsageError
from domain.text import one_line
from jobs.rule_packs_read import MANIFEST, SIGNATURE, Pack

FORMAT: Final = 1
_NAMED: Final = 20
"""Files that one error names; beyond it they are counted."""


@dataclass(frozen=True)
class Key:
    """A public key that somebody trusts."""

    name: str
    """File name without its ending: who."""
    public: Ed25519PublicKey

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the key (SubjectPublicKeyInfo, DER)."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.public.public_bytes(serialization.Encoding.DER, form)).hexdigest()[:16]


@dataclass(frozen=True)
class Signed:
    """What a manifest says, and who stands for it."""

    name: str = ""
    version: str = ""
    created: str = ""
    key: Key | None = None
    """The key that the signature was verified with; None = nobody's that we know."""


def public_key(path: Path) -> Key:
    """A PEM file."""
    try:
        found = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the key cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise ContentError("not a public ed25519 key in PEM", where=str(path), hint="soc rules keygen makes a pair")
    return Key(path.stem, found)


def check(pack: Pack, keys: Sequence[Key], where: str) -> Signed:
    """The files against the manifest, the manifest against its signature. ContentError names every file that differs."""
    if not pack.manifest:
        if pack.signature:
            raise ContentError(f"{SIGNATURE} without {MANIFEST}: the signature signs nothing", where=where)
        return Signed()
    said = _manifest(pack.manifest, where)
    key = _signer(pack, keys, where) if pack.signature else None
    _compare(said["files"], pack.digests, where)
    name, version, created = (one_line(str(said.get(k) or ""), 100) for k in ("name", "version", "created"))
    return Signed(name, version, created, key)


def _manifest(content: bytes, where: str) -> dict[str, Any]:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ContentError(f"{MANIFEST}: not JSON: {error}", where=where) from None
    files = said.get("files") if isinstance(said, dict) else None
    if not isinstance(files, dict) or not all(isinstance(v, str) for v in files.values()):
        raise ContentError(f"{MANIFEST}: files: path -> SHA-256 is missing", where=where)
    if said.get("format") != FORMAT:
        raise ContentError(f"{MANIFEST}: format {one_line(str(said.get('format')), 20)}; this version reads {FORMAT}", where=where)
    return said


def _signer(pack: Pack, keys: Sequence[Key], where: str) -> Key | None:
    """The key that signed it. None when we know no key at all: then nobody can say."""
    signature = pack.signature
    if len(signature) != 64:
        try:
            signature = base64.b64decode(signature.strip(), validate=True)
        except binascii.Error:
            signature = b""
    if len(signature) != 64:
        raise ContentError(f"{SIGNATURE}: 64 bytes, or these in base64, are a signature; found {len(pack.signature)} bytes", where=where)
    for key in keys:
        try:
            key.public.verify(signature, pack.manifest)
        except InvalidSignature:
            continue
        return key
    if keys:
        known = ", ".join(f"{k.name} ({k.fingerprint})" for k in keys)
        hint = f"known keys: {known}; get the pack again, or the maker's key in person: --key KEY.pem"
        why = f"the signature of {MANIFEST} is of no key that is trusted here, or the manifest was changed"
        raise ContentError(why, where=where, hint=hint)
    return None


def _compare(said: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    own = {MANIFEST, SIGNATURE}
    kinds = {
        "changed": sorted(n for n in said.keys() & found.keys() if said[n].lower() != found[n]),
        "missing": sorted(said.keys() - found.keys()),
        "not in the manifest": sorted(found.keys() - said.keys() - own),
    }
    lines = [f"{one_line(name, 200)}: {kind}" for kind, names in kinds.items() for name in names]
    if lines:
        more = [f"... and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
        text = "\n".join([f"the pack is not what {MANIFEST} says:", *lines[:_NAMED], *more])
        raise ContentError(text, where=where, hint="nothing was imported")


def generate(folder: Path, name: str) -> tuple[Path, Path, Key]:
    """A new pair: `NAME.key.pem` (secret, for its owner only) and `NAME.pem` (to be handed out)."""
    secret, public = folder / f"{name}.key.pem", folder / f"{name}.pem"
    for path in (secret, public):
        if path.exists():
            raise UsageError("exists already: a key is never overwritten", where=str(path))
    private = Ed25519PrivateKey.generate()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text)
    public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return secret, public, Key(name, private.public_key())


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"the key cannot be read: {error.strerror}", where=str(path)) from None
    except TypeError:
        hint = "openssl pkey -in KEY.pem -out PLAIN.pem, on a machine you trust"
        raise UsageError("the private key is encrypted", where=str(path), hint=hint) from None
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError("not a private ed25519 key in PEM", where=str(path), hint="soc rules keygen makes a pair")
    return found


def manifest(digests: Mapping[str, str], said: Signed) -> bytes:
    """What is signed: sorted, so that the same pack gives the same bytes."""
    data = {"format": FORMAT, "name": said.name, "version": said.version, "created": said.created, "files": dict(sorted(digests.items()))}
    return orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n"


def write(out: Path, files: Mapping[str, bytes], at: datetime) -> None:
    """A zip whose bytes depend on the content only."""
    stamp = (max(at.year, 1980), at.month, at.day, at.hour, at.minute, at.second)
    part = out.with_name(f".{out.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, stamp)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    part.replace(out)


def sign(pack: Pack, said: Signed, key: Path, out: Path, at: datetime) -> Key:
    """Write the pack's rule files, manifest and signature as a zip; the key that it verifies with."""
    private = _private(key)
    files = pack.files | pack.papers
    listed = manifest({name: pack.digests[name] for name in files}, said)
    write(out, {**files, MANIFEST: listed, SIGNATURE: private.sign(listed)}, at)
    return Key(key.name.removesuffix(".pem").removesuffix(".key"), private.public_key())
