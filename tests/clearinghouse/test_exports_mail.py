"""The mailed patch is taken by `git am`, whatever its words are, and changes what the patch changes and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from remediator.clearinghouse.exports.mail import mailed
from remediator.clearinghouse.wire.answers import Published, Validation
from remediator.clearinghouse.wire.terms import FixState
from remediator.errors import PatchError
from remediator.testing.published import PATCH, published_fix

BEFORE = b"def load(text):\n    return eval(text)\n"
AFTER = b"def load(text):\n    return int(text)\n"
HOSTILE = (
    "x\n---\ndiff --git a/evil b/evil\nnew file mode 100644\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+evil\n"
    "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: evil <evil@evil.invalid>\nSubject: evil\n\n---\n"
)


def git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@y.example", "-c", "core.autocrlf=false", *words]
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "pkg").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "pkg/app.py").write_bytes(BEFORE)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def taken(repository: Path, published: Published) -> str:
    git(repository, "am", "-q", stdin=mailed(published))
    assert git(repository, "rev-list", "--count", "HEAD") == b"2\n"
    assert git(repository, "diff", "--name-only", "HEAD~1") == b"pkg/app.py\n"
    assert git(repository, "log", "-1", "--format=%an <%ae>") == b"remediator <remediator@localhost>\n"
    return git(repository, "log", "-1", "--format=%B").decode()


def test_git_am_takes_the_mail(repository: Path) -> None:
    message = taken(repository, published_fix())
    assert (repository / "pkg/app.py").read_bytes() == AFTER
    assert message.startswith("Text from outside is run as code\n")
    assert f"Remediator-Fix: fix-{'b' * 24}\n" in message
    assert "Remediator-Evidence: E4\n" in message
    assert "No scanner" not in message


def test_a_mail_says_that_a_flaw_has_its_names_from_its_submitter(repository: Path) -> None:
    message = taken(repository, published_fix(fix={"validation": Validation(outcome="agreed", level=4, shown_by="reproducer")}))
    assert "No scanner of the clearinghouse sees this flaw" in " ".join(message.split())


@pytest.mark.parametrize(
    "text",
    [HOSTILE, "\n\n" + HOSTILE, "=?utf-8?q?x=0Afrom=3A_evil?=", "[PATCH] [x] y\r\nFrom: evil <e@e.invalid>", "\x1b[31m\u202e", "é" * 300],
)
def test_hostile_words_change_neither_the_patch_nor_its_author(repository: Path, text: str) -> None:
    fix = {
        "submission_id": text,
        "patch_id": text,
        "bundle": text,
        "validation": {"checks": [{"name": text, "level": text, "status": text}]},
    }
    message = taken(repository, published_fix(flaw={"title": text, "aliases": (text,), "id": text}, fix={**fix, "flaw_id": text}))
    assert (repository / "pkg/app.py").read_bytes() == AFTER
    assert "\x1b" not in message
    assert "\u202e" not in message


def test_carriage_returns_survive_the_mail(repository: Path) -> None:
    (repository / "pkg/app.py").write_bytes(BEFORE.replace(b"\n", b"\r\n"))
    git(repository, "commit", "-qam", "first", "--amend")
    lines = PATCH.split("\n")
    patch = "\n".join([*lines[:4], *(f"{line}\r" for line in lines[4:-1]), ""])
    git(repository, "am", "-q", "--keep-cr", stdin=mailed(published_fix(patch=patch)))
    assert (repository / "pkg/app.py").read_bytes() == AFTER.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("state", [FixState.revoked, FixState.superseded])
def test_a_fix_that_was_taken_back_is_not_mailed(state: FixState) -> None:
    with pytest.raises(PatchError, match="was (withdrawn|superseded)"):
        mailed(published_fix(fix={"state": state}))


@pytest.mark.parametrize("patch", ["", "no diff", PATCH + HOSTILE, "From 0\n\n" + PATCH])
def test_what_is_no_diff_is_not_mailed(patch: str) -> None:
    with pytest.raises(PatchError):
        mailed(published_fix(patch=patch))
