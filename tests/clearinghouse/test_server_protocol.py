"""docs/reference/protocol.md is held to the code: its worked examples are computed here, its lists are the code's lists."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remediator.clearinghouse.server.routes import ROUTES
from remediator.clearinghouse.server.schemas import ANSWERS, name_of
from remediator.clearinghouse.store.ledger import commitment, entry_bytes
from remediator.clearinghouse.wire import merkle, terms
from remediator.clearinghouse.wire.answers import LedgerEntry, TreeHead
from remediator.clearinghouse.wire.envelope import opened, seal, sign_head
from remediator.clearinghouse.wire.identity import claims, fingerprints, project
from remediator.clearinghouse.wire.terms import PAYLOAD_TYPE, Problem, Verb
from remediator.clearinghouse.wire.verbs import BODIES, FlawBody, Request
from remediator.evidence.attest import pae
from remediator.evidence.keys import SigningKey
from remediator.records.record import Record, canonical_json

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"
SEED = bytes(range(32))
LEDGER_SEED = bytes(range(32, 64))
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
EPOCH_KEY = bytes(range(64, 96))
NONCE = "ab" * 32
FLAW = {
    "project": "git+https://github.com/Example/Shop.git",
    "path": "shop/load.py",
    "cwe": [502],
    "snippet": "data = yaml.load(\n    text)",
    "aliases": ["CVE-2026-0001"],
    "title": "yaml.load on what a client sends",
}

PROJECTS = (
    "pkg:pypi/Foo__Bar.baz@1.0",
    "pkg:PyPI/Foo",
    "PKG:pypi/Foo",
    "pkg:npm/@Angular/Core",
    "pkg:npm/%40Angular/Core@1?x=y#z",
    "pkg:github/Foo/Bar",
    "pkg:bitbucket/Foo/Bar",
    "pkg:maven/Org.Apache/Commons@1",
    "pkg:golang/github.com/Foo/Bar",
    "pkg:cargo/Rand",
    "pkg:nuget/Foo",
    "pkg:qpkg/Foo/Bar",
    "pkg:cpan/Foo/Bar",
    "pkg:pub/Foo-Bar",
    "pkg:hackage/Foo_Bar",
    "pkg:oci/Debian",
    "pkg:mlflow/Foo?repository_url=https://x.databricks.com",
    "pkg:npm/%C3%89",
    "pkg:generic/a:b+c~d",
    "https://GitHub.com/Foo/Bar.git",
    "git+https://github.com/Foo/Bar.git/",
    "git@github.com:Foo/Bar.git",
    "github.com/Foo/Bar.git",
    "GitHub.com/Foo/Bar",
    "HTTPS://gitlab.com/Foo/Bar",
    "https://user:word@Example.org/Foo",
    "ssh://git@Example.org:22/Foo/Bar.git",
    "git://example.org/Foo//",
    "https://example.org//Foo",
    "https://www.github.com/Foo/Bar",
    "https://github.com:443/Foo/Bar",
    "https://github.com/Foo/Bar.git?x=Y#Z",
    "https://github.com/Foo/Bar.GIT",
    "https://example.org/Foo.GIT",
    "https://example.org/Foo.git.git",
    "scm:git:https://github.com/Foo/Bar.git",
    "user@github.com/Foo/Bar",
    "git@example.org:/Foo",
    "https://example.org/Foo/../Bar",
    "example.org",
)


def key(seed: bytes) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))


def request() -> Request:
    told: dict[str, Any] = {"key": "example-key-00001", "audience": key(LEDGER_SEED).public.keyid, "submitter": "org-example", "at": AT}
    return Request.model_validate({"verb": "lease", "body": {"project": "pkg:pypi/pyanyapi", "contact": "Søren"}, **told})


def alias_parts() -> bytes:
    parts = [b"alias", b"github.com/example/shop", b"CVE-2026-0001"]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def entries() -> list[LedgerEntry]:
    texts = [canonical_json({"fix": f"fix-{number}"}).decode() for number in range(3)]
    return [LedgerEntry(index=n, kind="published", commitment=commitment(NONCE, text), at=AT) for n, text in enumerate(texts)]


def spelled(text: str) -> str:
    try:
        return project(text)
    except ValueError:
        return "(refused)"


def spaces() -> str:
    found = [point for point in range(sys.maxunicode + 1) if re.fullmatch(r"\s", chr(point))]
    lines = [found[start : start + 10] for start in range(0, len(found), 10)]
    return "\n".join(" ".join(f"U+{point:04X}" for point in line) for line in lines)


def fields(model: type[Record]) -> str:
    """Return a record's name and its fields, those that may be null with a question mark."""
    made = model.model_json_schema(mode="serialization")["properties"]
    told = [name + ("?" if {"type": "null"} in made[name].get("anyOf", ()) else "") for name in model.model_fields]
    return textwrap.fill(f"{name_of(model):<15}" + " ".join(told), 140, subsequent_indent=" " * 15, break_on_hyphens=False)


def examples() -> dict[str, str]:
    signer, payload = key(SEED), canonical_json(request().as_json())
    signed = pae(PAYLOAD_TYPE, payload)
    prints = fingerprints(FlawBody.model_validate(FLAW))
    leaves = [merkle.leaf_hash(entry_bytes(each)) for each in entries()]

    def node(level: int, index: int) -> bytes:
        return leaves[index] if level == 0 else merkle.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    root = merkle.root(3, node)
    head = sign_head(TreeHead(ledger=key(LEDGER_SEED).public.keyid, size=3, root=root.hex(), at=AT), key(LEDGER_SEED))
    proof = merkle.inclusion(1, 3, node)
    return {
        "key": f"seed     {SEED.hex()}\nline     {signer.public.line()}\nkey id   {signer.public.keyid}",
        "payload": payload.decode(),
        "pae": f"first bytes   {signed[:72].decode()}…\nlength        {len(signed)}\nSHA-256       {hashlib.sha256(signed).hexdigest()}",
        "envelope": seal(request(), signer).decode(),
        "alias": f"bytes         {alias_parts().hex()}\nfingerprint   {hashlib.sha256(alias_parts()).hexdigest()}",
        "prints": json.dumps(list(prints), indent=0),
        "spaces": spaces(),
        "projects": "\n".join(f"{text:<55} {spelled(text)}" for text in PROJECTS),
        "answers": "\n".join(map(fields, ANSWERS)),
        "claims": f"epoch key     {EPOCH_KEY.hex()}\n" + "\n".join(f"claim         {each}" for each in claims(prints, EPOCH_KEY)),
        "commitment": f'nonce         {NONCE}\nobject        {{"fix":"fix-1"}}\ncommitment    {entries()[1].commitment}',
        "leaf": f"{entry_bytes(entries()[1]).decode()}\n{leaves[1].hex()}",
        "inclusion": f"root   {root.hex()}\n" + "\n".join(f"path   {each.hex()}" for each in proof),
        "head": canonical_json(head.as_json()).decode(),
    }


def shown() -> dict[str, str]:
    found = re.findall(r"<!-- example: (\w+) -->\n```[a-z]*\n(.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("name", sorted(examples()))
def test_the_worked_examples_are_what_the_code_does(name: str) -> None:
    assert shown()[name] == examples()[name]


def test_no_example_is_left_that_nobody_computes() -> None:
    assert set(shown()) == set(examples())


def test_the_example_envelope_opens_with_its_key_and_no_other() -> None:
    found = opened(shown()["envelope"].encode())
    assert found.signed_by(key(SEED).public) and not found.signed_by(key(LEDGER_SEED).public)
    assert found.payload.decode() == shown()["payload"]


def test_every_address_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for route in ROUTES:
        path = route.path.replace("{digest}", "{digest}")
        assert f"`{route.method} {path}`" in page, path


def test_every_verb_and_field_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for verb in Verb:
        section = page.split(f"\n### `{verb}`\n")[1].split("\n### ")[0].split("\n## ")[0]
        for field in BODIES[verb].model_fields:
            assert f"`{field}`" in section, (verb, field)
    for model in (Request, FlawBody):
        for field in model.model_fields:
            assert f"`{field}`" in page, field


def test_every_problem_is_on_the_page_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert rows == {problem.value: str(problem.status) for problem in Problem}


def test_the_limits_are_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for limit in (terms.MOST_ENVELOPE_BYTES, terms.MOST_BLOB_BYTES, terms.MOST_PAGE, terms.MOST_TTL_SECONDS, terms.CLOCK_SKEW_SECONDS):
        assert f"{limit:,}" in page, limit
    for word in (*terms.Tlp, *terms.Tier, *terms.Scope, *terms.FixState, *terms.Opinion, PAYLOAD_TYPE, terms.PROTOCOL):
        assert f"`{word}`" in page, word
