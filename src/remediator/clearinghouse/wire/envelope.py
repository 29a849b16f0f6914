"""Signed requests and signed tree heads: DSSE over canonical JSON, ed25519.

Envelope: "DSSE Protocol" v1.0 with one signature, as in `evidence.attest`; the payload type is `PAYLOAD_TYPE`.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from pydantic import ValidationError

from remediator.clearinghouse.wire.answers import SignedHead, TreeHead
from remediator.clearinghouse.wire.terms import MOST_ENVELOPE_BYTES, PAYLOAD_TYPE, PROTOCOL, Problem
from remediator.clearinghouse.wire.verbs import BODIES, Request
from remediator.errors import RemediatorError
from remediator.evidence.attest import pae
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.records.record import Record, canonical_json


class RefusedError(RemediatorError):
    """A request that is refused, with the protocol's code for it."""

    def __init__(self, code: Problem, message: str, *, hint: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class Opened(NamedTuple):
    """An envelope that was read, and not yet believed."""

    request: Request
    body: Record
    payload: bytes
    signature: bytes
    keyid: str

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether this key made the signature."""
        return key.keyid == self.keyid and key.verifies(self.signature, pae(PAYLOAD_TYPE, self.payload))


def seal(request: Request, key: SigningKey) -> bytes:
    """Return the envelope of a request."""
    payload = canonical_json(request.as_json())
    signature = {"keyid": key.public.keyid, "sig": base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode()}
    return canonical_json({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


def opened(data: bytes) -> Opened:
    """Read an envelope as a stranger's. Raises RefusedError: bad-envelope, too-large, bad-request."""
    if len(data) > MOST_ENVELOPE_BYTES:
        raise RefusedError(Problem.too_large, f"an envelope has at most {MOST_ENVELOPE_BYTES} bytes")
    try:
        value = json.loads(data)
        (only,) = value["signatures"]
        if value["payloadType"] != PAYLOAD_TYPE:
            raise RefusedError(Problem.bad_envelope, "the envelope's payloadType is not this protocol's", hint=PAYLOAD_TYPE)
        payload = base64.b64decode(value["payload"], validate=True)
        signature = base64.b64decode(only["sig"], validate=True)
        keyid = str(only["keyid"])
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise RefusedError(Problem.bad_envelope, "the body is no DSSE envelope with one signature") from error
    request, body = _parsed(payload)
    return Opened(request, body, payload, signature, keyid)


def _parsed(payload: bytes) -> tuple[Request, Record]:
    try:
        # Two readers must not read one signature differently: no key twice, and no value taken for another kind.
        value = json.loads(payload, object_pairs_hook=_once)
        request = Request.model_validate_json(payload, strict=True)
        body = BODIES[request.verb].model_validate_json(canonical_json(value["body"]), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        raise RefusedError(Problem.bad_request, f"{place}: {first['msg'][:300]}", hint="see the protocol's schema of this verb") from error
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise RefusedError(Problem.bad_request, "the payload is not JSON, or has a key twice") from error
    if _has_nul(request.body):
        # Databases cannot hold it as text, and no honest text has it.
        raise RefusedError(Problem.bad_request, "a text has the character U+0000")
    if request.protocol != PROTOCOL:
        raise RefusedError(Problem.bad_request, f"this clearinghouse speaks {PROTOCOL}")
    return request, body


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, list | tuple) and any(map(_has_nul, value))


def sign_head(head: TreeHead, key: SigningKey) -> SignedHead:
    """Sign a tree head."""
    signature = key.sign(pae(PAYLOAD_TYPE, canonical_json(head.as_json())))
    return SignedHead(head=head, keyid=key.public.keyid, signature=base64.b64encode(signature).decode())


def head_is_signed(signed: SignedHead, key: PublicKey) -> bool:
    """Return whether the ledger's key signed the head."""
    try:
        signature = base64.b64decode(signed.signature, validate=True)
    except ValueError:
        return False
    same = signed.keyid == key.keyid == signed.head.ledger
    return same and key.verifies(signature, pae(PAYLOAD_TYPE, canonical_json(signed.head.as_json())))
