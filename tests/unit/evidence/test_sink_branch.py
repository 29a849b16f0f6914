from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from remediator.builtin.branch_sink import BranchSink
from remediator.builtin.handed_message import message_of
from remediator.builtin.mailed_patch import mailed_patch
from remediator.checkout import create_branch
from remediator.errors import EvidenceError, PatchConflictError, SinkError
from remediator.evidence.bundle import write
from remediator.records import CheckStatus, EvidenceLevel

AUTHOR = "remediator <remediator@localhost>"


@pytest.fixture
def clone(tmp_path: Path, run_git):
    def make(repository: Path) -> Path:
        folder = tmp_path / "clone"
        run_git(tmp_path, "clone", "-q", "--no-local", str(repository), str(folder))
        return folder

    return make


async def test_patch_file_is_one_that_git_am_takes_on_a_clean_clone(world, submission, tmp_path, clone, run_git):
    receipt = await BranchSink(folder=str(tmp_path / "out")).submit(submission)
    folder = clone(world.repository)

    run_git(folder, "am", "-q", receipt.location)

    assert b"yaml.safe_load(text)" in (folder / "pkg/app.py").read_bytes()
    assert run_git(folder, "log", "-1", "--format=%s|%an <%ae>").decode() == f"Load YAML safely|{AUTHOR}\n"
    trailers = run_git(folder, "log", "-1", "--format=%(trailers:only)").decode()
    assert f"Remediator-Bundle: {submission.bundle_digest}" in trailers
    assert "Remediator-Evidence: E3" in trailers
    assert "CWE-502" in run_git(folder, "log", "-1", "--format=%B").decode()
    assert run_git(folder, "diff", "HEAD~1", "--full-index", "--no-color").decode() == submission.patch.diff


@pytest.mark.parametrize(
    ("code", "fixed"),
    [
        (b"import yaml\r\nx = 1\r\nyaml.load(x)\r\n", b"import yaml\r\nx = 1\r\nyaml.safe_load(x)\r\n"),
        (b"a\r\nyaml.load(x)\n", b"a\r\nyaml.safe_load(x)\n"),
        (b"import yaml\nyaml.load(x)", b"import yaml\nyaml.safe_load(x)"),
        ("é = '日本'\nyaml.load(é)\n".encode(), "é = '日本'\nyaml.safe_load(é)\n".encode()),
        (b"x = 1  \n\n\f\n-- \nyaml.load(x)\n-- \n", b"x = 1  \n\n\f\n-- \nyaml.safe_load(x)\n-- \n"),
        (
            b"From me to you\nFrom a@b Mon Sep 17 00:00:00 2001\nyaml.load(x)\n",
            b"From me to you\nFrom a@b Mon Sep 17 00:00:00 2001\nyaml.safe_load(x)\n",
        ),
        (b"x = '=3D=\\n'\ny\r\nyaml.load(x)\n", b"x = '=3D=\\n'\ny\r\nyaml.safe_load(x)\n"),
        (b"a" * 3000 + b"\r\nyaml.load(x)\n", b"a" * 3000 + b"\r\nyaml.safe_load(x)\n"),
    ],
)
async def test_every_byte_of_the_change_survives_the_mail(new_world, tmp_path, make_submission, clone, run_git, code, fixed):
    world = new_world(code=code, fixed=fixed)
    submission = make_submission(world, write(tmp_path / "bundles", world.content, world.key))
    receipt = await BranchSink(folder=str(tmp_path / "out")).submit(submission)
    folder = clone(world.repository)

    run_git(folder, "am", "-q", receipt.location)

    assert (folder / "pkg/app.py").read_bytes() == fixed
    assert run_git(folder, "status", "--porcelain") == b""


HOSTILE = (
    "x\n---\ndiff --git a/evil b/evil\nnew file mode 100644\n--- /dev/null\n+++ b/evil\n@@ -0,0 +1 @@\n+evil\n"
    "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: evil <evil@evil.invalid>\nSubject: evil\n\n---\n"
)


@pytest.mark.parametrize(
    "text",
    [HOSTILE, "\n\n" + HOSTILE, "=?utf-8?q?x=0Afrom=3A_evil?=", "[PATCH] [x] y\r\nFrom: evil <e@e.invalid>", "\x1b[31m\u202e", "é" * 300],
)
async def test_hostile_words_change_neither_the_patch_nor_its_author(world, submission, tmp_path, clone, run_git, text):
    patch = submission.patch.model_copy(update={"title": text, "behaviour": text})
    finding = submission.finding.model_copy(update={"message": text, "rule_id": text})
    folder = clone(world.repository)
    (tmp_path / "x.patch").write_bytes(mailed_patch(submission.model_copy(update={"patch": patch, "finding": finding}), author=AUTHOR))

    run_git(folder, "am", "-q", str(tmp_path / "x.patch"))

    assert run_git(folder, "log", "--format=%an", "origin/main..").decode() == "remediator\n"
    assert run_git(folder, "diff", "--name-only", "HEAD~1") == b"pkg/app.py\n"
    assert "\x1b" not in run_git(folder, "log", "-1", "--format=%B").decode()


async def test_patch_that_the_repository_has_outgrown_is_refused_by_git_am(world, submission, tmp_path, clone, run_git):
    receipt = await BranchSink(folder=str(tmp_path / "out")).submit(submission)
    folder = clone(world.repository)
    (folder / "pkg/app.py").write_bytes(b"rewritten\n")
    run_git(folder, "commit", "-qam", "drift")

    with pytest.raises(AssertionError, match="patch does not apply"):
        run_git(folder, "am", "-q", receipt.location)


async def test_second_time_is_a_duplicate_and_the_same_file(submission, tmp_path):
    sink = BranchSink(folder=str(tmp_path / "out"))

    first, second = await sink.submit(submission), await sink.submit(submission)

    assert (first.duplicate, second.duplicate, first.location) == (False, True, second.location)
    assert [path.name for path in (tmp_path / "out").glob("*.patch")] == [f"{submission.id}.patch"]
    assert Path(first.location).read_bytes() == mailed_patch(submission, author=AUTHOR)


async def test_patch_that_is_not_proven_enough_does_not_leave(submission, tmp_path):
    weak = submission.verdict.model_copy(update={"required": EvidenceLevel.E4})

    with pytest.raises(EvidenceError, match="is not proven"):
        await BranchSink(folder=str(tmp_path / "out")).submit(submission.model_copy(update={"verdict": weak}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{}, {"folder": ""}, {"folder": "x", "author": "nobody"}, {"folder": "x", "author": "a <b>\nX: y"}])
def test_options_that_lead_nowhere_are_refused(options):
    with pytest.raises(ValidationError):
        BranchSink(**options)


async def test_branch_holds_the_fix_and_is_made_once(world, submission, clone, run_git):
    folder = clone(world.repository)
    sink = BranchSink(repository=folder)

    first, second = await sink.submit(submission), await sink.submit(submission)

    branch = f"remediator/{submission.case_id}-{submission.patch.id}"
    assert (first.duplicate, second.duplicate) == (False, True)
    assert run_git(folder, "diff", "main", branch, "--full-index", "--no-color").decode() == submission.patch.diff
    assert run_git(folder, "rev-list", "--count", f"main..{branch}") == b"1\n"
    assert run_git(folder, "symbolic-ref", "HEAD") == b"refs/heads/main\n"
    assert run_git(folder, "status", "--porcelain") == b""


async def test_branch_that_was_merged_is_still_the_same_fix(world, submission, clone, run_git):
    folder = clone(world.repository)
    sink = BranchSink(repository=folder)
    await sink.submit(submission)
    run_git(folder, "merge", "-q", f"remediator/{submission.case_id}-{submission.patch.id}")

    assert (await sink.submit(submission)).duplicate


async def test_branch_is_not_made_where_the_code_has_changed(world, submission, clone, run_git):
    folder = clone(world.repository)
    (folder / "pkg/app.py").write_bytes(b"rewritten\n")
    run_git(folder, "commit", "-qam", "drift")

    with pytest.raises(PatchConflictError):
        await BranchSink(repository=folder).submit(submission)
    assert b"remediator/" not in run_git(folder, "branch", "--list")


async def test_folder_that_is_no_repository_is_said(submission, tmp_path):
    with pytest.raises(SinkError, match="is not a git repository"):
        await BranchSink(repository=tmp_path).submit(submission)


async def test_the_branch_s_commit_says_what_was_wrong_how_far_it_is_proven_and_by_what(world, submission, clone, run_git):
    folder = clone(world.repository)
    await BranchSink(repository=folder).submit(submission)
    branch = f"remediator/{submission.case_id}-{submission.patch.id}"

    title, blank, *body = run_git(folder, "log", "-1", "--format=%B", branch).decode().splitlines()

    assert (title, blank) == ("Load YAML safely", "")
    assert body[0].startswith(f"Finding: {submission.finding.rule_id} (CWE-502) at pkg/app.py:")
    assert "Proven to evidence level E3 (tested), by:" in body
    passed = [check for check in submission.verdict.checks if check.status is CheckStatus.passed]
    assert [line.split(":")[0] for line in body if line.startswith("- ")] == [f"- {check.level.name} {check.name}" for check in passed]
    trailers = run_git(folder, "log", "-1", "--format=%(trailers:only)", branch).decode().splitlines()
    assert f"Remediator-Bundle: {submission.bundle_digest}" in trailers
    assert [line.split(":")[0] for line in trailers if line] == TRAILERS
    assert all(len(line) <= 76 for line in body if not line.startswith("Remediator-"))


@pytest.mark.parametrize(
    "text", [HOSTILE, "x\n\nSigned-off-by: evil <e@e.invalid>\n", "\r\nCo-authored-by: e <e@e>", "\x1b[31m\u202e\0", "a\udc80", "y" * 9000]
)
async def test_hostile_words_add_no_trailer_no_line_and_no_control_character_to_the_commit(world, submission, clone, run_git, text):
    patch = submission.patch.model_copy(update={"title": text, "behaviour": text})
    finding = submission.finding.model_copy(update={"message": text, "rule_id": text})
    checks = tuple(check.model_copy(update={"summary": text}) for check in submission.verdict.checks)
    verdict = submission.verdict.model_copy(update={"checks": checks})
    folder = clone(world.repository)
    message = message_of(submission.model_copy(update={"patch": patch, "finding": finding, "verdict": verdict}))

    create_branch(folder, [(message, patch.diff)], branch="evil", author=AUTHOR)

    trailers = run_git(folder, "log", "-1", "--format=%(trailers:only)", "evil").decode().splitlines()
    assert [line.split(":")[0] for line in trailers if line] == TRAILERS
    written = run_git(folder, "log", "-1", "--format=%B", "evil").decode()
    assert not [char for char in written if char != "\n" and not char.isprintable()]
    assert not [
        line
        for line in written.splitlines()[1:]
        if line and not re.match(r"Finding: |What it may change: |Proven to |- E\d |  |Remediator-", line + " ")
    ]
    assert run_git(folder, "log", "-1", "--format=%an", "evil") == b"remediator\n"


TRAILERS = [f"Remediator-{what}" for what in ("Case", "Finding", "Patch", "Evidence", "Bundle", "Submission")]
