from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from remediator.artefacts import ArtefactStore
from remediator.contracts.tree import Tree, TreeEntry
from remediator.evidence.base import Base
from remediator.evidence.bundle import Attempt, BundleContent, BundleRef, write
from remediator.evidence.keys import SigningKey
from remediator.records import (
    Baseline,
    BuildRun,
    Check,
    CheckStatus,
    Declined,
    EvidenceLevel,
    Finding,
    Location,
    Patch,
    ReasonCode,
    Recipe,
    RecipeStep,
    Severity,
    Source,
    SourceKind,
    Submission,
    Verdict,
)
from remediator.records.recipe import TestOutcome, TestRun
from remediator.records.verdict import fold

E = EvidenceLevel
EXPECTED = (("applies", E.E0), ("guards", E.E0), ("builds", E.E1), ("rescan", E.E2), ("tests", E.E3))
CODE = b"import yaml\n\n\ndef read(text):\n    return yaml.load(text)\n"
FIXED = CODE.replace(b"yaml.load(", b"yaml.safe_load(")


def git(folder: Path, *argv: str, stdin: bytes = b"") -> bytes:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "t", f"GIT_{who}_EMAIL": "t@t.invalid", f"GIT_{who}_DATE": "2020-01-01T00:00:00Z"}
    done = subprocess.run(["git", "-C", str(folder), *argv], env=env, input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


class GitTree(Tree):
    """A tree of a real repository, read with git."""

    def __init__(self, repository: Path, commit: str) -> None:
        self._repository = repository
        self._commit = commit

    @property
    def id(self) -> str:
        return git(self._repository, "rev-parse", f"{self._commit}^{{tree}}").decode().strip()

    @property
    def commit(self) -> str:
        return self._commit

    def entries(self) -> Sequence[TreeEntry]:
        found = []
        for line in git(self._repository, "ls-tree", "-r", "-l", "-z", self._commit).split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, _, oid, size = facts.split()
            found.append(TreeEntry(os.fsdecode(path), int(mode, 8), oid.decode(), int(size) if size != b"-" else 0))
        return sorted(found)

    def read(self, path: str, *, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
        entry = self.find(path)
        if entry is None or not entry.is_file:
            raise KeyError(path)
        return git(self._repository, "cat-file", "blob", entry.oid)

    def tar(self) -> Iterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape") as archive:
            for entry in self.entries():
                info = tarfile.TarInfo(entry.path)
                data = git(self._repository, "cat-file", "blob", entry.oid) if entry.mode != 0o160000 else b""
                if entry.is_file:
                    info.size, info.mode = len(data), entry.mode & 0o777
                    archive.addfile(info, io.BytesIO(data))
                elif entry.mode == 0o120000 and not data.startswith((b"/", b"..")):
                    info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(data)
                    archive.addfile(info)
        whole = buffer.getvalue()
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]
            # A stream may well have empty chunks in its middle.
            yield from (b"", b"")


class World(NamedTuple):
    """A real repository with a flaw, a fix for it, its verdict, and what a bundle needs."""

    repository: Path
    tree: GitTree
    store: ArtefactStore
    key: SigningKey
    content: BundleContent

    def wrong(self) -> Patch:
        return Patch.of(finding_id=self.content.finding.id, fixer="codemod", title="wrong", diff="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")


def make_repository(folder: Path, code: bytes = CODE) -> str:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "app.py").write_bytes(code)
    (folder / "pkg.txt").write_bytes(b"sorts between pkg and pkg/\n")
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "inside").symlink_to("pkg/app.py")
    (folder / "outside").symlink_to("/etc/hostname")
    (folder / "two\nlines \x1b[31m.txt").write_bytes(b"\0\1binary")
    Path(os.fsdecode(os.fsencode(folder) + b"/latin-\xe9.txt")).write_bytes(b"x")
    deep = folder / ("d" * 60) / ("e" * 60) / ("f" * 60)
    deep.mkdir(parents=True)
    (deep / ("g" * 60 + ".txt")).write_bytes(b"deep")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    return git(folder, "rev-parse", "HEAD").decode().strip()


def make_diff(folder: Path, fixed: bytes = FIXED) -> str:
    path = folder / "pkg" / "app.py"
    before = path.read_bytes()
    path.write_bytes(fixed)
    diff = git(folder, "diff", "--full-index", "--no-color").decode()
    path.write_bytes(before)
    return diff


def make_verdict(patch: Patch, store: ArtefactStore, *, failing: str = "") -> Verdict:
    log = store.put(b"4 passed in 0.12s\n")
    evidence = {
        "applies": {"paths": ["pkg/app.py"]},
        "guards": {"rules": ["test-edit", "swallow-all"]},
        "builds": {"modules": ["pkg.app"], "image": "sha256:aaa", "seconds": 1.5},
        "rescan": {"gone": 1, "remaining": 0, "scanners": {"semgrep": "1.150"}},
        "tests": {"passed": ["t::a", "t::b", "t::c"], "flaky": [], "executed": 3, "argv": ["pytest", "-q"], "log_digest": log},
    }
    checks = [
        Check(
            name=name,
            level=level,
            status=CheckStatus.failed if name == failing else CheckStatus.passed,
            reason="tests-regressed" if name == failing else "",
            summary="in /home/alice/project: ok",
            evidence=evidence[name],
            artefacts={"log": log} if name == "tests" else {},
            seconds=0.25,
        )
        for name, level in EXPECTED
    ]
    return fold(checks, patch_id=patch.id, finding_id=patch.finding_id, required=E.E3, expected=EXPECTED)


def make_world(folder: Path, *, code: bytes = CODE, fixed: bytes = FIXED) -> World:
    repository = folder / "repository"
    commit = make_repository(repository, code)
    tree, store = GitTree(repository, commit), ArtefactStore(folder / "state" / "artefacts")
    finding = Finding.at(
        rule_id="python.yaml-load",
        scanner="semgrep",
        message="yaml.load on /home/alice/project/data with token ghp_0123456789abcdefghijABCDEFGHIJ",
        location=Location(path="pkg/app.py", start_line=5, start_column=12, end_line=5, end_column=27),
        snippet="yaml.load(text)",
        severity=Severity.high,
        cwe=(502,),
    )
    patch = Patch.of(
        finding_id=finding.id,
        fixer="codemod",
        title="Load YAML safely",
        diff=make_diff(repository, fixed),
        behaviour="Tags that build objects are refused.",
        transform="yaml-load",
    )
    wrong = patch.model_copy(update={"diff": patch.diff.replace("safe_load", "full_load")})
    wrong = Patch.of(finding_id=finding.id, fixer="suggested", title="wrong", diff=wrong.diff)
    recipe = Recipe(ecosystem="python", name="pytest", image="python-3.11", build=(RecipeStep(argv=("python", "-m", "compileall", ".")),))
    run = TestRun(complete=True, results={"t::a": TestOutcome.passed}, log_digest=store.put(b"baseline\n"))
    content = BundleContent(
        case_id="c-0001",
        source=Source(kind=SourceKind.path, uri=str(repository), name="repository", commit=commit, tree=tree.id),
        finding=finding,
        base=Base.of(tree),
        playbook={"name": "default", "verify": [{"use": name, "with": {}} for name, _ in EXPECTED]},
        expected=EXPECTED,
        artefact=store.get,
        attempts=(Attempt(wrong, make_verdict(wrong, store, failing="tests")), Attempt(patch, make_verdict(patch, store))),
        chosen=1,
        declined=(Declined(finding_id=finding.id, fixer="agent", reason=ReasonCode.needs_model, detail="no model"),),
        recipe=recipe,
        baseline=Baseline(tree=tree.id, recipe=recipe, image="sha256:aaa", build=BuildRun(ok=True), runs=(run, run)),
        reason=ReasonCode.fixed,
        tools={"remediator": "0.1.0"},
    )
    return World(repository, tree, store, SigningKey.generate(), content)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    return lambda **options: make_world(tmp_path / "new", **options)


@pytest.fixture
def run_git() -> Callable[..., bytes]:
    return git


@pytest.fixture
def ref(world: World, tmp_path: Path) -> BundleRef:
    return write(tmp_path / "bundles", world.content, world.key)


@pytest.fixture
def submission(world: World, ref: BundleRef) -> Submission:
    return submission_of(world, ref)


@pytest.fixture
def make_submission() -> Callable[[World, BundleRef], Submission]:
    return submission_of


def submission_of(world: World, ref: BundleRef) -> Submission:
    content = world.content
    patch, verdict = content.attempts[content.chosen or 0]
    assert verdict is not None
    return Submission(
        id=Submission.identify(content.source, content.finding, patch, verdict),
        case_id=content.case_id,
        source=content.source,
        finding=content.finding,
        patch=patch,
        verdict=verdict,
        bundle_digest=ref.digest,
        bundle_path=str(ref.path),
    )
