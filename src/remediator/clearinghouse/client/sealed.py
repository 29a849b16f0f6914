"""Files that are carried by hand: one archive with a manifest of their digests, signed by the machine that made it.

`manifest.json` names every other file with its digest, `manifest.dsse.json` is a DSSE envelope over it. Read as a stranger's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from remediator.errors import EvidenceError
from remediator.evidence.attest import pae
from remediator.evidence.container import pack_files, unpack_files
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.records.record import Record, canonical_json, digest_of

MANIFEST, _SIGNATURE = "manifest.json", "manifest.dsse.json"


class SealedManifest(Record):
    """What every kind of manifest has."""

    format: str
    carrier: str
    """The public key of the machine that made it, as an OpenSSH line."""
    files: dict[str, str]


M = TypeVar("M", bound=SealedManifest)


class Seal(NamedTuple):
    """How one kind of archive is told from another: by its schema inside, and by what is signed."""

    schema: str
    payload_type: str


def sealed(files: Mapping[str, bytes], manifest: SealedManifest, key: SigningKey, seal: Seal) -> bytes:
    """Return the archive; `manifest.files` must be the digests of `files`."""
    payload = canonical_json(manifest.as_json())
    signature = {"keyid": key.public.keyid, "sig": base64.b64encode(key.sign(pae(seal.payload_type, payload))).decode()}
    envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": seal.payload_type, "signatures": [signature]}
    return pack_files({**files, MANIFEST: payload, _SIGNATURE: canonical_json(envelope)})


def schema_of(data: bytes, name: str) -> str:
    """Return which kind an archive says that it is; nothing is checked. Raises EvidenceError where it is none."""
    try:
        return str(json.loads(unpack_files(data, name)[MANIFEST])["format"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _none(name) from error


def opened(data: bytes, name: str, kind: type[M], seal: Seal) -> tuple[M, dict[str, bytes], PublicKey]:
    """Return the manifest, the other files, and who signed. Raises EvidenceError where signature or digests do not fit."""
    files = unpack_files(data, name)
    try:
        manifest = kind.model_validate_json(files[MANIFEST])
        carrier = PublicKey.parse(manifest.carrier)
        envelope = json.loads(files[_SIGNATURE])
        (only,) = envelope["signatures"]
        signed = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(only["sig"], validate=True)
        fits = envelope.get("payloadType") == seal.payload_type and signed == files[MANIFEST] and only.get("keyid") == carrier.keyid
    except (AttributeError, KeyError, TypeError, ValueError, ValidationError, binascii.Error, RecursionError) as error:
        raise _none(name) from error
    if manifest.format != seal.schema or not fits or not carrier.verifies(signature, pae(seal.payload_type, signed)):
        raise EvidenceError(f"{name}: the signature does not fit what it is about", hint="do not use it")
    rest = {path: body for path, body in files.items() if path not in (MANIFEST, _SIGNATURE)}
    if {path: digest_of(body) for path, body in rest.items()} != manifest.files:
        raise EvidenceError(f"{name}: a file was changed, added or taken away since it was signed", hint="do not use it")
    return manifest, rest, carrier


def _none(name: str) -> EvidenceError:
    return EvidenceError(f"{name} is no bundle for an air gap, or is damaged", hint="make it anew: remediator bundle create")
