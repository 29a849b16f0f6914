"""A stranger's JSON that becomes thousands of times its size is refused before it is read."""

from __future__ import annotations

import base64
import time
from contextlib import suppress

import pytest
from pydantic import ValidationError

from remediator.clearinghouse.client import airgap
from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.container import pack_files, unpack_files
from remediator.evidence.examine import examine
from remediator.evidence.keys import TrustedKeys
from remediator.evidence.parse import record_of
from remediator.evidence.values import MOST_VALUES, check_values
from remediator.records.recipe import TestRun
from remediator.records.record import canonical_json
from remediator.records.verdict import Verdict

BOMB = b"[" + b"[]," * (MOST_VALUES + 10) + b"1]"


@pytest.mark.parametrize("name", [attest.FILE, "manifest.json", "evidence/a.json"])
def test_empty_lists_by_the_million_are_not_read(name: str) -> None:
    archive = pack_files({name: BOMB})
    assert len(archive) < 10_000
    with pytest.raises(EvidenceError, match="JSON values"):
        unpack_files(archive, "it")


def test_nor_are_they_inside_an_envelope() -> None:
    envelope = {"payload": base64.b64encode(BOMB).decode(), "payloadType": attest.PAYLOAD_TYPE, "signatures": [{"keyid": "x", "sig": ""}]}
    files = unpack_files(pack_files({attest.FILE: canonical_json(envelope) + b"\n"}), "it")
    with pytest.raises(EvidenceError, match="JSON values"):
        examine(files, TrustedKeys())


def test_nor_where_an_air_gap_bundle_is_imported() -> None:
    with pytest.raises(EvidenceError, match="JSON values"):
        airgap.read(pack_files({"manifest.json": BOMB}), "it")


def test_what_only_looks_like_values_is_read() -> None:
    check_values({"a.json": b'["' + b'\\",[{' * MOST_VALUES + b'"]', "log.txt": BOMB}, "it")


@pytest.mark.parametrize(
    "text", [b'"",' * 8_000_000, b"," * (MOST_VALUES + 1) + b'"' * 8_000_000, b'"' + b'\\"' * 8_000_000 + b"," * 8_000_000]
)
def test_nothing_makes_looking_slow(text: bytes) -> None:
    began = time.monotonic()
    with suppress(EvidenceError):
        check_values({"a.json": text}, "it")
    assert time.monotonic() - began < 20


def test_a_million_wrong_entries_are_one_error() -> None:
    with pytest.raises(ValidationError) as refused:
        Verdict.model_validate({"patch_id": "p", "finding_id": "f", "outcome": "verified", "checks": [{}] * 1_000_000})
    assert refused.value.error_count() < 10
    with pytest.raises(EvidenceError, match="entries"):
        record_of({"a.json": canonical_json({"results": {str(number): 1 for number in range(600_000)}})}, "a.json", TestRun)
