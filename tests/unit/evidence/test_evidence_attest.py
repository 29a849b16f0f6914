from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.attest import check, pae, sign, statement
from remediator.evidence.comparison import RULES, evidence_digest
from remediator.evidence.keys import SigningKey, TrustedKeys
from remediator.records import canonical_json

BODY = statement([{"name": "x", "digest": {"sha256": "0" * 64}}], {"byproducts": []})


def test_encoding_is_the_one_of_the_specification():
    # The example in "DSSE Protocol", section "Test Vectors".
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "


def test_bundles_attestation_is_one_that_securesystemslib_verifies(world, ref):
    envelope = Envelope.from_dict(json.loads((ref.path / attest.FILE).read_bytes()))
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(world.key.public.raw), keyid=world.key.public.keyid)
    other = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(SigningKey.generate().public.raw), keyid=world.key.public.keyid)

    assert envelope.verify([key], 1) == {world.key.public.keyid: key}
    with pytest.raises(VerificationError):
        envelope.verify([other], 1)
    envelope.payload = envelope.payload.replace(b"codemod", b"codemoe") + b" "
    with pytest.raises(VerificationError):
        envelope.verify([key], 1)


def test_envelope_that_securesystemslib_signed_the_same_way_is_taken():
    from securesystemslib.signer import CryptoSigner

    ours = SigningKey.generate()
    signer = CryptoSigner(ours._private)
    signer.public_key.keyid = ours.public.keyid
    signed = {**BODY, "predicate": {**BODY["predicate"], "signer": {"keyid": ours.public.keyid, "publicKey": ours.public.line()}}}
    envelope = Envelope(canonical_json(signed), attest.PAYLOAD_TYPE, {})
    envelope.sign(signer)

    body, state = check(canonical_json(envelope.to_dict()) + b"\n", TrustedKeys([ours.public]))

    assert body["subject"] == BODY["subject"]
    assert state.trusted


def test_statement_is_what_in_toto_asks_for(world, ref):
    body = json.loads(base64.b64decode(json.loads((ref.path / attest.FILE).read_bytes())["payload"]))

    assert set(body) == {"_type", "subject", "predicateType", "predicate"}
    assert body["_type"] == "https://in-toto.io/Statement/v1"
    subject = {entry["name"]: entry["digest"] for entry in body["subject"]}
    assert set(subject) == {"patch.diff", "base-commit", "base-tree"}
    assert subject["base-commit"] == {"gitCommit": world.content.source.commit}
    assert subject["base-tree"] == {"gitTree": world.tree.id}
    assert all("name" in entry and len(entry["digest"]["sha256"]) == 64 for entry in body["predicate"]["byproducts"])
    assert {entry["name"] for entry in body["predicate"]["byproducts"]} == {
        str(path.relative_to(ref.path)) for path in ref.path.rglob("*") if path.is_file() and path.name != attest.FILE
    }
    assert body["predicate"]["verdict"]["outcome"] == "verified"
    assert body["predicate"]["evidenceDigest"] == {
        "rules": RULES,
        "sha256": evidence_digest(world.content.attempts[1].verdict).removeprefix("sha256:"),
    }


def test_signature_does_not_travel_to_another_payload_type():
    key = SigningKey.generate()
    envelope = json.loads(sign(BODY, key))
    envelope["payloadType"] = "application/json"

    with pytest.raises(EvidenceError, match="not the envelope that was written"):
        check(canonical_json(envelope) + b"\n", TrustedKeys([key.public]))


@pytest.mark.parametrize("spelling", [lambda e: json.dumps(e).encode(), lambda e: canonical_json(e), lambda e: canonical_json(e) + b"\n\n"])
def test_other_spelling_of_the_envelope_is_refused(spelling):
    key = SigningKey.generate()

    with pytest.raises(EvidenceError, match="not the envelope that was written"):
        check(spelling(json.loads(sign(BODY, key))), TrustedKeys([key.public]))


def test_second_signature_is_refused():
    key = SigningKey.generate()
    envelope = json.loads(sign(BODY, key))
    envelope["signatures"] *= 2

    with pytest.raises(EvidenceError, match="one signature"):
        check(canonical_json(envelope) + b"\n", TrustedKeys([key.public]))


@pytest.mark.parametrize(
    "change", [{"_type": "https://in-toto.io/Statement/v0.1"}, {"predicateType": "x"}, {"predicate": []}, {"subject": 1}]
)
def test_other_statements_are_refused(change):
    key = SigningKey.generate()
    payload = canonical_json({**BODY, **change})
    signature = base64.b64encode(key.sign(pae(attest.PAYLOAD_TYPE, payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": attest.PAYLOAD_TYPE,
        "signatures": [{"keyid": key.public.keyid, "sig": signature}],
    }

    with pytest.raises(EvidenceError, match="statement"):
        check(canonical_json(envelope) + b"\n", TrustedKeys([key.public]))


@pytest.mark.parametrize("envelope", [b"", b"{}", b"[]", b"null", b'{"signatures": []}', b'{"signatures": [{}]}', b"[" * 100_000, b"\xff"])
def test_what_is_no_envelope_is_refused(envelope):
    with pytest.raises(EvidenceError, match="attestation"):
        check(envelope, TrustedKeys())
