"""in-toto Statements in DSSE envelopes, signed and checked with ed25519.

Statement: in-toto Attestation Framework, "Statement layer specification" v1 (`_type` https://in-toto.io/Statement/v1; digests as in its
"DigestSet": sha256, gitCommit, gitTree in lower-case hex). Envelope: "DSSE Protocol" v1.0 and "DSSE Envelope" of the secure-systems-lab;
the signature is over PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in decimal bytes.

DSSE lets an envelope have several signatures, either base64, any spacing, and an unauthenticated keyid. Ours has one signature, one
spelling, and the keyid of the very key that made the signature, so that not one of its bytes can change unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from remediator.errors import EvidenceError
from remediator.evidence.keys import PublicKey, SigningKey, TrustedKeys
from remediator.evidence.values import check_values
from remediator.records.record import Record, canonical_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "tag:remediator.example,2026:remediation/v1"
"""Names the schema of our predicate (docs/reference/bundle.md). A name, not an address: nothing is ever fetched from it."""
FILE = "attestation.dsse.json"


class SignatureState(Record):
    """Who signed a bundle, and whether we believe that key.

    An intact signature by an unknown key proves only that nothing was changed since.
    """

    keyid: str
    trusted: bool

    @property
    def sentence(self) -> str:
        """Return the state in words."""
        if self.trusted:
            return f"signed by {self.keyid}, a key you trust"
        return f"signed by {self.keyid}, which is none of the keys you trust: intact since it was signed, but by whom is not known"


def pae(payload_type: str, body: bytes) -> bytes:
    """Return the bytes that a DSSE signature is over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def statement(subject: list[dict[str, Any]], predicate: dict[str, Any]) -> dict[str, Any]:
    """Return an in-toto Statement with our predicate type."""
    return {"_type": STATEMENT_TYPE, "subject": subject, "predicateType": PREDICATE_TYPE, "predicate": predicate}


def sign(body: dict[str, Any], key: SigningKey) -> bytes:
    """Return the envelope of a statement. The signer's public key becomes part of what is signed, as `predicate.signer`."""
    signed = {**body, "predicate": {**body["predicate"], "signer": {"keyid": key.public.keyid, "publicKey": key.public.line()}}}
    payload = canonical_json(signed)
    return _envelope(payload, key.sign(pae(PAYLOAD_TYPE, payload)), key.public.keyid)


def check(envelope: bytes, trusted: TrustedKeys) -> tuple[dict[str, Any], SignatureState]:
    """Return the statement and who signed it.

    A key that is not trusted is taken from the statement itself, and told as such. Raises EvidenceError where the envelope is not
    what `sign` writes or the signature does not fit.
    """
    payload, signature, keyid = _opened(envelope)
    found = _statement(payload)
    if envelope != _envelope(payload, signature, keyid):
        raise EvidenceError(f"{FILE}: not the envelope that was written")
    ours = trusted.find(keyid)
    key = ours or _embedded(found, keyid)
    if not key.verifies(signature, pae(PAYLOAD_TYPE, payload)):
        raise EvidenceError(f"{FILE}: the signature is not by {keyid}, or what it signs was changed", hint="do not use this bundle")
    return found, SignatureState(keyid=keyid, trusted=ours is not None)


def _envelope(payload: bytes, signature: bytes, keyid: str) -> bytes:
    encoded = {"keyid": keyid, "sig": base64.b64encode(signature).decode()}
    return canonical_json({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [encoded]}) + b"\n"


def _opened(envelope: bytes) -> tuple[bytes, bytes, str]:
    try:
        value = json.loads(envelope)
        (only,) = value["signatures"]
        keyid = str(only["keyid"])
        return base64.b64decode(value["payload"], validate=True), base64.b64decode(only["sig"], validate=True), keyid
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise EvidenceError(f"{FILE}: not a DSSE envelope with one signature") from error


def _statement(payload: bytes) -> dict[str, Any]:
    # In the envelope it is one word, whatever is in it.
    check_values({FILE: payload}, FILE)
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"{FILE}: what is signed is not JSON") from error
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE or value.get("predicateType") != PREDICATE_TYPE:
        raise EvidenceError(f"{FILE}: not a statement about a remediation", hint=f"expected the predicate type {PREDICATE_TYPE}")
    if not isinstance(value.get("predicate"), dict) or not isinstance(value.get("subject"), list):
        raise EvidenceError(f"{FILE}: the statement is not as bundles have it")
    return value


def _embedded(found: dict[str, Any], keyid: str) -> PublicKey:
    try:
        key = PublicKey.parse(found["predicate"]["signer"]["publicKey"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(f"{FILE}: signed by {keyid}, which is not known, and no public key is with it") from error
    if key.keyid != keyid:
        raise EvidenceError(f"{FILE}: says it is signed by {keyid}, but the key with it is {key.keyid}")
    return key
