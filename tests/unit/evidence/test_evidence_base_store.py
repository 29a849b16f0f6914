"""A base tree out of our own store, through a bundle, and into another store: as a stranger's replay does it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from remediator.evidence.base import Base
from remediator.evidence.bundle import read, write
from remediator.git import GitStore, ImportedFile

WHEN = datetime(2000, 1, 1, tzinfo=UTC)


def test_tree_survives_the_way_from_store_to_store(world, tmp_path: Path):
    source = GitStore.open(tmp_path / "source.git")
    commit = source.import_files(
        [
            ImportedFile("a.py", 0o100644, b"x = 1\n"),
            ImportedFile("bin/run", 0o100755, b"#!/bin/sh\n"),
            ImportedFile("link", 0o120000, b"a.py"),
            ImportedFile(os.fsdecode(b"latin-\xe9"), 0o100644, b"\0"),
            ImportedFile("/".join("d" * 90 for _ in range(4)), 0o100644, b"long"),
            ImportedFile("a/b.py", 0o100644, b""),
            ImportedFile("a-b", 0o100644, b""),
        ],
        message="base",
        when=WHEN,
    )
    tree = source.tree(commit)
    base = Base.of(tree)
    told = world.content.source.model_copy(update={"commit": commit, "tree": tree.id})
    content = world.content._replace(source=told, base=base, attempts=(), chosen=None)

    bundle = read(write(tmp_path / "bundles", content, world.key).archive)
    other = GitStore.open(tmp_path / "other.git")
    again = other.import_files(
        [ImportedFile(member.path, member.mode, member.data) for member in bundle.base.files()], message="again", when=WHEN
    )

    assert base.included
    assert base.omitted == ()
    assert other.tree(again).id == tree.id == bundle.source.tree
    source.close()
    other.close()
