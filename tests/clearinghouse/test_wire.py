"""The wire's arithmetic: proofs hold for every tree up to a size, and for nothing else; envelopes are read as a stranger's."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import TreeHead
from remediator.clearinghouse.wire.envelope import RefusedError, head_is_signed, opened, seal, sign_head
from remediator.clearinghouse.wire.identity import claims, fingerprints, project
from remediator.clearinghouse.wire.terms import PAYLOAD_TYPE, Problem, Verb
from remediator.clearinghouse.wire.verbs import FlawBody, Request
from remediator.evidence.keys import SigningKey

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(40)]
AT = datetime(2026, 11, 25, tzinfo=UTC)


def node(level: int, index: int) -> bytes:
    start, size = index << level, 1 << level
    return plain_root(LEAVES[start : start + size])


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 as it is written, without kept nodes."""
    if not leaves:
        return merkle.EMPTY
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return merkle.node_hash(plain_root(leaves[:cut]), plain_root(leaves[cut:]))


def test_roots_are_those_of_the_definition() -> None:
    for size in range(len(LEAVES) + 1):
        assert merkle.root(size, node) == plain_root(LEAVES[:size])


def test_known_root_of_the_empty_tree() -> None:
    assert merkle.EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_inclusion_holds_for_every_leaf_and_no_other() -> None:
    for size in range(1, len(LEAVES) + 1):
        root = plain_root(LEAVES[:size])
        for index in range(size):
            path = merkle.inclusion(index, size, node)
            assert merkle.included(LEAVES[index], index, size, path, root)
            assert not merkle.included(merkle.leaf_hash(b"other"), index, size, path, root)
            assert not merkle.included(LEAVES[index], (index + 1) % size, size, path, root) or size == 1
            assert not merkle.included(LEAVES[index], index, size, [*path, root], root)


def test_consistency_holds_between_all_sizes_and_not_after_a_rewrite() -> None:
    for second in range(1, len(LEAVES) + 1):
        for first in range(1, second + 1):
            path = merkle.consistency(first, second, node)
            before, after = plain_root(LEAVES[:first]), plain_root(LEAVES[:second])
            assert merkle.consistent(first, before, second, after, path)
            forged = plain_root([merkle.leaf_hash(b"rewritten"), *LEAVES[1:first]])
            assert not merkle.consistent(first, forged, second, after, path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pkg:pypi/Py_Any.API@0.6.0", "pkg:pypi/py-any-api"),
        ("https://GitHub.com/Acme/Shop.git", "git@github.com:acme/shop"),
        ("ssh://git@example.org/a/B.git/", "https://user:secret@example.org/a/B"),
    ],
)
def test_a_project_has_one_spelling(one: str, other: str) -> None:
    assert project(one) == project(other)
    assert "secret" not in project(other)


@pytest.mark.parametrize("text", ["", "pkg:", "no-host", "https://host", "https://host/../etc", "https://host/a b"])
def test_what_is_no_project_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        project(text)


def flaw(**facts: Any) -> FlawBody:
    return FlawBody.model_validate({"project": "pkg:pypi/pyanyapi", "title": "unsafe load", **facts})


def test_a_flaw_survives_line_moves_and_is_joined_by_an_alias() -> None:
    one = flaw(path="a.py", snippet="yaml.load(x)", cwe=[502], line=3, aliases=["CVE-2017-16616"])
    moved = flaw(path="a.py", snippet="yaml.load(x) \n", cwe=[502], line=90, version="0.7")
    elsewhere = flaw(path="b.py", snippet="yaml.load(x)", cwe=[502])
    words = flaw(aliases=["cve-2017-16616"])
    assert set(fingerprints(one)) & set(fingerprints(moved))
    assert set(fingerprints(one)) & set(fingerprints(words))
    assert not set(fingerprints(one)) & set(fingerprints(elsewhere))


def test_claims_under_another_key_have_nothing_in_common() -> None:
    prints = fingerprints(flaw(aliases=["CVE-2017-16616"]))
    assert not set(claims(prints, b"a" * 32)) & set(claims(prints, b"b" * 32))


def request(**facts: Any) -> Request:
    body = {"project": "pkg:pypi/pyanyapi"}
    told = {"verb": Verb.lease, "key": "k" * 20, "audience": "SHA256:x", "submitter": "org-1", "at": AT, "body": body, **facts}
    return Request.model_validate(told)


def test_an_envelope_is_believed_by_its_key_only() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    found = opened(seal(request(), key))
    assert found.signed_by(key.public) and not found.signed_by(other.public)
    envelope = json.loads(seal(request(), key))
    envelope["payload"] = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"org-1", b"org-2")).decode()
    assert not opened(json.dumps(envelope).encode()).signed_by(key.public)


@given(st.binary(max_size=300))
def test_no_bytes_get_further_than_a_refusal(data: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        opened(data)
    assert refused.value.code in (Problem.bad_envelope, Problem.bad_request)


def test_deep_nesting_and_size_are_refused() -> None:
    for data, code in ((b"[" * 100_000, Problem.bad_envelope), (b" " * 2_000_000, Problem.too_large)):
        with pytest.raises(RefusedError) as refused:
            opened(data)
        assert refused.value.code is code


def test_a_key_that_stands_twice_is_refused() -> None:
    key = SigningKey.generate()
    payload = base64.b64decode(json.loads(seal(request(), key))["payload"]).replace(
        b'"submitter":"org-1"', b'"submitter":"org-2","submitter":"org-1"'
    )
    envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [{"keyid": "k", "sig": ""}]}
    with pytest.raises(RefusedError, match="twice"):
        opened(json.dumps(envelope).encode())


def test_a_bad_body_is_named_by_its_field() -> None:
    with pytest.raises(RefusedError, match="ttl_seconds"):
        opened(seal(request(body={"project": "pkg:pypi/a", "ttl_seconds": 0}), SigningKey.generate()))


def test_a_head_is_signed_by_the_ledger_it_names() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signed = sign_head(TreeHead(ledger=key.public.keyid, size=0, root=merkle.EMPTY.hex(), at=AT), key)
    assert head_is_signed(signed, key.public) and not head_is_signed(signed, other.public)
    grown = signed.model_copy(update={"head": signed.head.model_copy(update={"size": 1})})
    assert not head_is_signed(grown, key.public)
