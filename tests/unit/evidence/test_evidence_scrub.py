from __future__ import annotations

import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import EvidenceError
from remediator.evidence.base import Base
from remediator.evidence.gittree import GitEntry, blob_id, tree_id
from remediator.evidence.scrub import Scrubber
from remediator.evidence.tarball import FILE, LINK, Limits, Member, decoded, pack, unpack
from remediator.records import Source, SourceKind
from remediator.redact import Redactor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/state/runs/1", "<state>/runs/1"),
        ("at /srv/state.", "at <state>."),
        ("/srv/state-of-the-art/x", "/srv/state-of-the-art/x"),
        ("/mnt/srv/state/x", "/mnt/srv/state/x"),
        ("/home/alice/x: no", "<home>/x: no"),
        ("File '/Users/bob/y.py'", "File '<home>/y.py'"),
        ("src/home/alice", "src/home/alice"),
        ("the token hunter2hunter2", "the token [redacted]"),
        ("https://u:pw@host.invalid/", "https://[redacted]@host.invalid/"),
    ],
)
def test_host_folders_and_secrets_go_and_nothing_else(text, expected):
    assert Scrubber(Redactor(("hunter2hunter2",)), {"/srv/state": "state", "/": "root"})(text) == expected


@pytest.mark.parametrize(
    ("kind", "uri", "expected"),
    [
        (SourceKind.path, "/home/alice/work/app", "local:app"),
        (SourceKind.git, "/srv/git/app.git", "local:app"),
        (SourceKind.git, "file:///srv/git/app.git", "local:app"),
        (SourceKind.git, "https://example.invalid/app.git", "https://example.invalid/app.git"),
        (SourceKind.git, "git@example.invalid:a/app.git", "git@example.invalid:a/app.git"),
        (SourceKind.package, "pkg:pypi/app@1.0", "pkg:pypi/app@1.0"),
    ],
)
def test_only_public_sources_keep_their_address(kind, uri, expected):
    source = Source(kind=kind, uri=uri, name="/home/alice/work/app" if kind is SourceKind.path else "app", commit="0" * 40, tree="1" * 40)

    shown = Scrubber().source(source)

    assert (shown.uri, shown.name) == (expected, "app")


def test_keys_that_become_alike_are_kept_apart():
    found = Scrubber().value({"/home/a/t": 1, "/home/b/t": 2})

    assert found == {"<home>/t": 1, "<home>/t (2)": 2}


def test_hostile_text_costs_no_more_than_its_length():
    scrub = Scrubber()
    for unit in ("ey-", "ey-" * 160 + " ", "/home/", "://a:b@", "-----BEGIN "):
        text = unit * (100_000 // len(unit))
        started = time.process_time()
        scrub(text)
        assert time.process_time() - started < 4, unit


paths = st.lists(
    st.lists(
        st.binary(min_size=1, max_size=120).filter(lambda part: b"/" not in part and b"\0" not in part and part not in (b".", b"..")),
        min_size=1,
        max_size=4,
    ),
    max_size=5,
).map(lambda many: {b"/".join(parts) for parts in many})


@settings(max_examples=150, deadline=None)
@given(paths, st.binary(max_size=1500), st.sampled_from([FILE, 0o100755, LINK]))
def test_any_path_that_git_can_hold_survives_the_archive(names, data, mode):
    content = data.replace(b"\0", b"") or b"x" if mode == LINK else data
    members = [Member(decoded(name), mode, content) for name in sorted(names)]
    plain = b"".join(pack(members))

    import io

    assert list(unpack(io.BytesIO(plain).read, origin="x", limits=Limits(100, 1 << 20))) == members


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2559), st.integers(0, 255))
def test_no_byte_of_an_archive_can_change_unnoticed(position, value):
    import io

    members = [Member("a" * 120, FILE, b"data"), Member("b", LINK, b"a")]
    plain = bytearray(b"".join(pack(members)))
    position %= len(plain)
    before, plain[position] = plain[position], value

    try:
        found = list(unpack(io.BytesIO(bytes(plain)).read, origin="x", limits=Limits(100, 1 << 20)))
    except EvidenceError:
        return
    assert value == before or found != members


def test_tree_ids_are_gits_own(world):
    entries = [GitEntry(e.path.encode("utf-8", "surrogateescape"), e.mode, e.oid) for e in world.tree.entries()]

    assert tree_id(entries, like="0" * 40) == world.tree.id
    assert tree_id([], like="0" * 40) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert blob_id(b"Hello", like="0" * 40) == "5ab2f8a4323abafb10abb68657d9d39f1a775057"
    assert blob_id(b"", like="0" * 64) == "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"


def test_tree_ids_of_sha256_repositories_are_gits_own(tmp_path, run_git):
    made = subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path)], capture_output=True, check=False, timeout=30)
    if made.returncode:
        pytest.skip("this git has no sha256 repositories")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    run_git(tmp_path, "add", "-A")
    tree = run_git(tmp_path, "write-tree").decode().strip()

    assert tree_id([GitEntry(b"a/b", 0o100644, blob_id(b"x", like=tree))], like=tree) == tree


@pytest.mark.parametrize("entries", [[b"a", b"a"], [b"a", b"a/b"]])
def test_tree_that_cannot_be_is_refused(entries):
    with pytest.raises(EvidenceError, match="base tree"):
        tree_id([GitEntry(path, FILE, "0" * 40) for path in entries], like="0" * 40)


def test_tree_that_lies_about_its_id_is_not_packed(world, monkeypatch):
    class Lying(type(world.tree)):
        @property
        def id(self) -> str:
            return "0" * 40

    with pytest.raises(EvidenceError, match="holds the tree"):
        Base.of(Lying(world.repository, world.tree.commit))
