"""What a validator makes of honest fixes, of hostile bundles, and of its own accidents.

The sandbox is scripted here: it stands for minutes of Docker. All else is real: bundles, signatures, the comparison, both databases,
processes that are killed.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard

from remediator.clearinghouse.checking import Policy, UnfetchableError, fetchable
from remediator.clearinghouse.client.handing import fix_body
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.validator import work
from remediator.clearinghouse.wire.answers import Fix
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.errors import PlaybookError, RemediatorError, SandboxUnavailableError
from remediator.evidence import attest
from remediator.evidence.base import Base
from remediator.evidence.bundle import Attempt, BundleContent, read, write
from remediator.evidence.container import pack_files, unpack_files
from remediator.evidence.keys import SigningKey
from remediator.evidence.replay import ReplayReport, ReplayRequest, replay
from remediator.records import (
    Check,
    CheckStatus,
    EvidenceLevel,
    Finding,
    Location,
    Patch,
    Severity,
    Source,
    SourceKind,
    Submission,
    Verdict,
)
from remediator.records.verdict import fold
from remediator.testing.clearinghouse import Clock, Party, party
from remediator.testing.postgres import Postgres

E = EvidenceLevel
Joins = Callable[..., Awaitable[Party]]
Judge = Callable[[ReplayRequest], Verdict]
LADDER = (("applies", E.E0), ("guards", E.E0), ("builds", E.E1), ("rescan", E.E2), ("tests", E.E3))
WHOLE = (*LADDER, ("reproducer", E.E4), ("variants", E.E5), ("controls", E.E5), ("reviewer", E.E5), ("replayed", E.E5))
DIFF = """diff --git a/pyanyapi/interfaces.py b/pyanyapi/interfaces.py
--- a/pyanyapi/interfaces.py
+++ b/pyanyapi/interfaces.py
@@ -1 +1 @@
-data = yaml.load(content)
+data = yaml.safe_load(content)
"""
TREE = "a" * 40


class Made(NamedTuple):
    """A bundle as its submitter made it, and what is said of it when it is submitted."""

    archive: bytes
    body: dict[str, Any]


def checks(ladder: tuple[tuple[str, E], ...] = LADDER, **others: CheckStatus) -> list[Check]:
    """Return checks that passed, but for those named."""
    found = []
    for name, level in ladder:
        status = others.get(name, CheckStatus.passed)
        found.append(Check(name=name, level=level, status=status, reason="" if status is CheckStatus.passed else f"{name}-said-so"))
    return found


def folded(given: list[Check], patch: Patch) -> Verdict:
    asked = [(check.name, check.level) for check in given]
    return fold(given, patch_id=patch.id, finding_id=patch.finding_id, required=E.E3, expected=asked)


def made(
    folder: Path,
    key: SigningKey,
    *,
    recorded: list[Check] | None = None,
    uri: str = "pkg:pypi/pyanyapi@0.6.0",
    diff: str = DIFF,
    version: str | None = None,
    below: str = "",
    revision: str = "",
    body: dict[str, Any] | None = None,
) -> Made:
    """Make a bundle with the product's own writer."""
    place = Location(path="pyanyapi/interfaces.py", start_line=1, start_column=8, end_line=1, end_column=26)
    finding = Finding.at(
        rule_id="python.yaml-load", scanner="semgrep", message="yaml.load of what a server sends", location=place,
        snippet="data = yaml.load(content)", severity=Severity.high, cwe=(502,), aliases=("CVE-2017-16616",),
    )  # fmt: skip
    patch = Patch.of(finding_id=finding.id, fixer="codemod", title="Load YAML safely", diff=diff)
    kind = SourceKind.package if uri.startswith("pkg:") else SourceKind.path if uri.startswith("local:") else SourceKind.git
    version = ("0.6.0" if kind is SourceKind.package else "") if version is None else version
    source = Source(kind=kind, uri=uri, name="pyanyapi", commit="0" * 40, tree=TREE, version=version, folder=below, revision=revision)
    verdict = folded(recorded or checks(), patch)
    content = BundleContent(
        case_id="c-0001",
        source=source,
        finding=finding,
        base=Base(TREE, "0" * 40, reason="left out"),
        playbook={"name": "default"},
        expected=tuple((check.name, check.level) for check in verdict.checks),
        artefact=lambda digest: b"",
        attempts=(Attempt(patch, verdict),),
        chosen=0,
    )
    archive = write(folder, content, key).archive.read_bytes()
    submission = Submission.identify(source, finding, patch, verdict)
    project = "pkg:pypi/pyanyapi" if kind is SourceKind.package else "github.com/stranger69/pyanyapi"
    if body is not None:
        return Made(archive, body)
    return Made(archive, fix_body(submission, source, finding, patch, verdict, archive, project))


class Sandbox:
    """A scripted judge behind the real comparison. By default it finds what an honest recorder found."""

    def __init__(self, judge: Callable[[ReplayRequest], list[Check]] | None = None, *, same_recipe: bool = True) -> None:
        self.replays = 0
        self._judge = judge or (lambda request: checks())
        self._same_recipe = same_recipe

    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
        self.replays += 1

        async def judged(request: ReplayRequest) -> Verdict:
            return folded(self._judge(request), request.patch)

        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / "b.tar.zst"
            named.write_bytes(bundle.read_bytes())
            report = await replay(read(named), judged)
        return report.model_copy(update={"same_recipe": self._same_recipe})


@pytest.fixture
async def submitter(joins: Joins) -> Party:
    return await joins("submitter")


@pytest.fixture
def bundle(tmp_path: Path, submitter: Party) -> Made:
    return made(tmp_path / "made", submitter.key)


async def submit(who: Party, body: dict[str, Any], archive: bytes) -> str:
    digest = await who.put(archive)
    told = await who.ask(Verb.submit_fix, {**body, "bundle": digest, "bundle_bytes": len(archive)}, tlp="clear")
    return told.id


async def validated(store: Store, who: Party, fix_id: str, replayer: Any, policy: Policy = Policy()) -> Fix:  # noqa: B008
    await work(store, replayer, name="validator", stop=asyncio.Event(), once=True, policy=policy)
    return await store.fix(who.caller, fix_id)


async def nothing_is_let_out(store: Store, joins: Joins) -> None:
    operator = await joins("operator")
    assert (await store.feed(operator.caller, 0)).entries == ()
    assert (await store.verify()).problem == ""


# -- honest -----------------------------------------------------------------------------------------------------------


async def test_what_a_replay_confirms_is_let_out_as_the_bundle_has_it(store: Store, joins: Joins, submitter: Party, bundle: Made) -> None:
    fix_id = await submit(submitter, {**bundle.body, "claimed_level": 5}, bundle.archive)
    fix = await validated(store, submitter, fix_id, Sandbox())
    assert (fix.state, fix.level, fix.claimed_level) == (FixState.verified, 3, 5)
    operator = await joins("operator")
    assert [each.fix_id for each in (await store.feed(operator.caller, 0)).entries] == [fix_id]
    assert (await store.published(operator.caller, fix_id)).patch == DIFF
    assert (await store.verify()).problem == ""


# -- hostile bundles --------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    """Return a few hundred kB that unpack to 4 GiB."""
    zeros = zstandard.ZstdCompressor(level=19).compressobj()
    piece = bytes(1 << 20)
    return b"".join([*(zeros.compress(piece) for _ in range(4096)), zeros.flush()])


def tarred(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, 4 if kind == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(b"evil"))
    return zstandard.ZstdCompressor().compress(buffer.getvalue())


def edited(archive: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    files = unpack_files(archive, "bundle")
    return pack_files({**files, name: change(files[name])})


def with_another(archive: bytes, name: str) -> bytes:
    return pack_files({**unpack_files(archive, "bundle"), name: b"#!/bin/sh\n"})


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "not zstd": lambda good: b"PK\x03\x04" + good,
    "a bomb": lambda good: bomb(),
    "a path that climbs": lambda good: tarred("../../evil"),
    "an absolute path": lambda good: tarred("/etc/cron.d/evil"),
    "a link out": lambda good: tarred("case.json", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": lambda good: tarred("case.json", tarfile.LNKTYPE, "/etc/passwd"),
    "a device": lambda good: tarred("case.json", tarfile.CHRTYPE),
    "cut off": lambda good: good[:-40],
    "something behind it": lambda good: good + good,
    "a byte of the patch": lambda good: edited(good, "patch.diff", lambda data: data.replace(b"safe_load", b"safe_l0ad")),
    "a byte of the verdict": lambda good: edited(good, "verdict.json", lambda data: data.replace(b'"level": 3', b'"level": 4')),
    "a byte of the signature": lambda good: edited(good, attest.FILE, lambda data: data.replace(b'"sig":"', b'"sig":"A', 1)),
    "one file more": lambda good: with_another(good, "evidence/run.sh"),
    "no signature": lambda good: pack_files({k: v for k, v in unpack_files(good, "b").items() if k != attest.FILE}),
}


@pytest.mark.parametrize("trick", HOSTILE)
async def test_a_bundle_that_is_not_whole_is_refused_before_anything_runs(
    store: Store, joins: Joins, submitter: Party, bundle: Made, trick: str
) -> None:
    evil = HOSTILE[trick](bundle.archive)
    assert evil != bundle.archive
    sandbox, began = Sandbox(), time.monotonic()
    fix = await validated(store, submitter, await submit(submitter, bundle.body, evil), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.rejected, "bundle-refused")
    assert sandbox.replays == 0
    assert time.monotonic() - began < 120
    await nothing_is_let_out(store, joins)


@pytest.mark.parametrize("whose", ["nobody's", "another organisation's"])
async def test_a_bundle_that_another_key_signed_is_refused(
    store: Store, joins: Joins, submitter: Party, tmp_path: Path, whose: str
) -> None:
    other = SigningKey.generate() if whose == "nobody's" else (await joins("other")).key
    theirs, sandbox = made(tmp_path / "theirs", other), Sandbox()
    fix = await validated(store, submitter, await submit(submitter, theirs.body, theirs.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)
    await nothing_is_let_out(store, joins)


@pytest.mark.parametrize("uri", ["pkg:pypi/pyanyapi@0.6.0", "https://github.com/stranger69/pyanyapi"])
async def test_a_bundle_that_says_another_version_than_is_fetched_is_refused(
    store: Store, joins: Joins, submitter: Party, tmp_path: Path, uri: str
) -> None:
    theirs, sandbox = made(tmp_path / "theirs", submitter.key, uri=uri, version="9.9.9"), Sandbox()
    fix = await validated(store, submitter, await submit(submitter, theirs.body, theirs.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)
    await nothing_is_let_out(store, joins)


async def test_a_bundle_whose_address_cannot_be_split_does_not_end_the_validator(store: Store, submitter: Party, tmp_path: Path) -> None:
    theirs, sandbox = made(tmp_path / "theirs", submitter.key, uri="https://github.com:99999/stranger69/pyanyapi"), Sandbox()
    body = {**theirs.body, "flaw": {**theirs.body["flaw"], "project": "https://github.com:99999/stranger69/pyanyapi"}}
    fix = await validated(store, submitter, await submit(submitter, body, theirs.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.inconclusive, "source-not-public")


async def test_a_key_that_is_revoked_before_the_validator_comes(store: Store, joins: Joins, submitter: Party, bundle: Made) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    await store.revoke_key(submitter.key.public.keyid, "stolen")
    sandbox = Sandbox()
    fix = await validated(store, submitter, fix_id, sandbox)
    assert (fix.state, sandbox.replays) == (FixState.rejected, 0)
    await nothing_is_let_out(store, joins)


@pytest.mark.parametrize("loses", ["key", "standing"])
async def test_whoever_loses_key_or_standing_during_the_replay(
    store: Store, joins: Joins, submitter: Party, bundle: Made, loses: str
) -> None:
    class Slow(Sandbox):
        async def __call__(self, bundle: Path, source: str) -> ReplayReport:
            report = await super().__call__(bundle, source)
            if loses == "key":
                await store.revoke_key(submitter.key.public.keyid, "stolen")
            else:
                await store.disable_organisation(submitter.id)
            return report

    fix = await validated(store, submitter, await submit(submitter, bundle.body, bundle.archive), Slow())
    assert fix.state is FixState.rejected
    assert fix.validation and fix.validation.reason == ("key-revoked" if loses == "key" else "submitter-disabled")
    await nothing_is_let_out(store, joins)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("patch_id", "p-000000000000"),
        ("submission_id", "s-" + "0" * 24),
        ("flaw.project", "pkg:pypi/requests"),
        ("flaw.version", "0.6.1"),
        ("flaw.path", "pyanyapi/parsers.py"),
        ("flaw.cwe", [89]),
        ("flaw.snippet", "eval(content)"),
        ("flaw.severity", "critical"),
        ("flaw.commit", "1" * 40),
        ("flaw.aliases", ["CVE-2017-16616", "CVE-2021-44228"]),
    ],
)
async def test_what_is_said_beside_the_bundle_must_be_what_the_bundle_says(
    store: Store, joins: Joins, submitter: Party, bundle: Made, field: str, said: Any
) -> None:
    outer, _, inner = field.partition(".")
    body = {**bundle.body, outer: {**bundle.body["flaw"], inner: said} if inner else said}
    assert body != bundle.body
    sandbox = Sandbox()
    fix = await validated(store, submitter, await submit(submitter, body, bundle.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)
    await nothing_is_let_out(store, joins)


# -- lies about the proof ---------------------------------------------------------------------------------------------


async def test_a_forged_verdict_under_a_good_signature_is_not_believed(
    store: Store, joins: Joins, submitter: Party, tmp_path: Path
) -> None:
    forged = made(tmp_path / "forged", submitter.key, recorded=checks((*LADDER, ("reproducer", E.E4))))
    sandbox = Sandbox(lambda request: checks((*LADDER, ("reproducer", E.E4)), tests=CheckStatus.failed))
    fix = await validated(store, submitter, await submit(submitter, forged.body, forged.archive), sandbox)
    assert (fix.state, fix.level, sandbox.replays) == (FixState.rejected, None, 1)
    assert fix.validation and fix.validation.reason == "tests-said-so"
    await nothing_is_let_out(store, joins)


async def test_what_was_never_asked_for_in_the_bundle_is_still_asked_for_here(
    store: Store, joins: Joins, submitter: Party, tmp_path: Path
) -> None:
    """The recorder leaves out the tests that did not run, and lets its reviewer pass at E3 and its own replay at E4."""
    told = [*checks(LADDER[:-1]), *checks((("reviewer", E.E3), ("replayed", E.E4)))]
    forged = made(tmp_path / "forged", submitter.key, recorded=told)

    def judge(request: ReplayRequest) -> list[Check]:
        found = checks(WHOLE, **dict.fromkeys(("tests", "reproducer", "variants", "controls"), CheckStatus.not_run))
        return [left_open(check) for check in found]

    fix = await validated(store, submitter, await submit(submitter, forged.body, forged.archive), Sandbox(judge))
    assert (fix.state is FixState.verified, fix.level) == (False, None)
    await nothing_is_let_out(store, joins)


def left_open(check: Check) -> Check:
    if check.name not in ("reviewer", "replayed"):
        return check
    return check.model_copy(update={"status": CheckStatus.not_run, "reason": "not-replayed"})


@pytest.mark.parametrize("unseen", [False, True])
async def test_what_showed_it_is_told_with_the_level(store: Store, joins: Joins, submitter: Party, tmp_path: Path, unseen: bool) -> None:
    def ladder() -> list[Check]:
        evidence = {"shown": False} if unseen else {}
        return [
            check.model_copy(update={"evidence": evidence}) if check.name == "rescan" else check
            for check in checks((*LADDER, ("reproducer", E.E4)))
        ]

    told = made(tmp_path / "e4", submitter.key, recorded=ladder())
    fix_id = await submit(submitter, told.body, told.archive)
    await validated(store, submitter, fix_id, Sandbox(lambda request: ladder()))
    operator = await joins("operator")
    out = (await store.published(operator.caller, fix_id)).fix
    assert (out.level, out.validation and out.validation.shown_by) == (4, "reproducer" if unseen else "scanner")


@pytest.mark.parametrize(
    ("reviewed", "replayed_before", "level"),
    [
        (True, CheckStatus.not_run, 4),
        (True, CheckStatus.passed, 4),
        (False, CheckStatus.passed, 4),
        # All of E5 was measured here, this replay included.
        (False, CheckStatus.not_run, 5),
    ],
)
async def test_what_only_the_submitter_heard_raises_nothing(
    store: Store, submitter: Party, tmp_path: Path, reviewed: bool, replayed_before: CheckStatus, level: int
) -> None:
    ladder = tuple(each for each in WHOLE if reviewed or each[0] != "reviewer")
    told = made(tmp_path / "e5", submitter.key, recorded=checks(ladder, replayed=replayed_before))
    sandbox = Sandbox(lambda request: [left_open(check) for check in checks(ladder)])
    fix = await validated(store, submitter, await submit(submitter, told.body, told.archive), sandbox)
    assert (fix.state, fix.level) == (FixState.verified, level)


@pytest.mark.parametrize(
    ("same_recipe", "state", "reason"),
    [(True, FixState.rejected, "replay-differs"), (False, FixState.inconclusive, "other-recipe")],
)
async def test_a_replay_that_differs_lets_nothing_out(
    store: Store, joins: Joins, submitter: Party, bundle: Made, same_recipe: bool, state: FixState, reason: str
) -> None:
    def judge(request: ReplayRequest) -> list[Check]:
        return [check.model_copy(update={"evidence": {"executed": 3}}) if check.name == "tests" else check for check in checks()]

    sandbox = Sandbox(judge, same_recipe=same_recipe)
    fix = await validated(store, submitter, await submit(submitter, bundle.body, bundle.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason) == (state, reason)
    await nothing_is_let_out(store, joins)


@pytest.mark.parametrize("missing", ["rescan", "tests"])
async def test_a_check_that_did_not_run_here_proves_nothing(
    store: Store, joins: Joins, submitter: Party, bundle: Made, missing: str
) -> None:
    sandbox = Sandbox(lambda request: checks(**{missing: CheckStatus.not_run}))
    fix = await validated(store, submitter, await submit(submitter, bundle.body, bundle.archive), sandbox)
    assert fix.state is FixState.inconclusive
    await nothing_is_let_out(store, joins)


async def test_what_reached_less_than_e3_honestly_is_not_let_out(store: Store, joins: Joins, submitter: Party, tmp_path: Path) -> None:
    told = checks(tests=CheckStatus.not_run)
    low = made(tmp_path / "low", submitter.key, recorded=told)
    fix = await validated(store, submitter, await submit(submitter, low.body, low.archive), Sandbox(lambda request: told))
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.inconclusive, "not-proven")
    await nothing_is_let_out(store, joins)


# -- where the source comes from --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "/etc",
        "file:///etc",
        "ssh://git@github.com/a/b",
        "http://github.com/a/b",
        "https://github.com:8443/a/b",
        "https://user@github.com/a/b",
        "https://github.com\\@evil.example/a/b",
        "https://github.com.evil.example/a/b",
        "https://169.254.169.254/a/b",
        "https://localhost/a/b",
        "https://git\nhub.com/a/b",
        "https://github.com/a/b --upload-pack=x",
        "ext::sh -c id",
        "pkg:npm/left-pad@1.0.0",
        "pkg:pypi/a@1\n",
    ],
)
def test_a_stranger_chooses_no_host_that_we_fetch_from(uri: str) -> None:
    for kind in SourceKind:
        with pytest.raises(UnfetchableError):
            fetchable(source_of(kind, uri), Policy(), "pkg:pypi/x")


@pytest.mark.parametrize(("kind", "uri"), [("package", "pkg:pypi/pyanyapi@0.6.0"), ("git", "https://github.com/a/b.git")])
def test_where_sources_are_fetched_from(kind: str, uri: str) -> None:
    assert fetchable(source_of(SourceKind(kind), uri), Policy(), "pkg:pypi/x") == uri
    with pytest.raises(UnfetchableError):
        fetchable(source_of(SourceKind.path, uri), Policy(), "pkg:pypi/x")


def source_of(kind: SourceKind, uri: str) -> Any:
    class Told(NamedTuple):
        source: Source

    return Told(Source(kind=kind, uri=uri, name="x", commit="0" * 40, tree=TREE))


async def test_a_source_that_is_nowhere_to_be_fetched_is_nobodys_lie(store: Store, submitter: Party, tmp_path: Path) -> None:
    inside = made(tmp_path / "git", submitter.key, uri="https://git.corp.example/team/app.git")
    body = {**inside.body, "flaw": {**inside.body["flaw"], "project": "git.corp.example/team/app"}}
    sandbox = Sandbox()
    fix = await validated(store, submitter, await submit(submitter, body, inside.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.inconclusive, "source-not-public", 0)


# -- accidents of our own ---------------------------------------------------------------------------------------------


class Breaks:
    """A replayer that fails as sandboxes, networks and bugs do."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
        raise self._error


@pytest.mark.parametrize("error", [SandboxUnavailableError("no engine at unix:///run/secret.sock"), OSError("/secret/disk"), MemoryError()])
async def test_our_own_failures_are_tried_again_and_tell_nothing_of_this_machine(
    store: Store, clock: Clock, submitter: Party, bundle: Made, error: Exception
) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    states = []
    for _ in range(3):
        states.append((await validated(store, submitter, fix_id, Breaks(error))).state)
        clock.forward(hours=1)
    fix = await store.fix(submitter.caller, fix_id)
    assert states == [FixState.validating, FixState.validating, FixState.infra_error]
    assert fix.validation and fix.validation.attempts == 3
    assert "secret" not in fix.model_dump_json()


async def test_after_a_failure_of_our_own_the_fix_is_still_proven(store: Store, clock: Clock, submitter: Party, bundle: Made) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    await validated(store, submitter, fix_id, Breaks(SandboxUnavailableError("no engine")))
    clock.forward(hours=1)
    assert (await validated(store, submitter, fix_id, Sandbox())).state is FixState.verified


@pytest.mark.parametrize(
    ("error", "reason"), [(PlaybookError("none of ours"), "unknown-playbook"), (RemediatorError("cannot"), "could-not-replay")]
)
async def test_what_cannot_be_judged_is_neither_right_nor_wrong(
    store: Store, submitter: Party, bundle: Made, error: Exception, reason: str
) -> None:
    fix = await validated(store, submitter, await submit(submitter, bundle.body, bundle.archive), Breaks(error))
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.inconclusive, reason)


async def test_a_proof_that_never_ends_does_not_hold_the_queue_up(store: Store, submitter: Party, bundle: Made) -> None:
    class Hangs:
        async def __call__(self, bundle: Path, source: str) -> ReplayReport:
            await asyncio.Event().wait()
            raise AssertionError

    fix_id = await submit(submitter, bundle.body, bundle.archive)
    fix = await validated(store, submitter, fix_id, Hangs(), Policy(most_seconds=0.05))
    assert (fix.state, fix.validation and fix.validation.reason) == (FixState.inconclusive, "took-too-long")


@pytest.mark.parametrize("accident", ["changed", "gone"])
async def test_a_bundle_that_was_damaged_here_is_not_held_against_its_submitter(
    store: Store, clock: Clock, submitter: Party, bundle: Made, accident: str
) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    path = store.blobs.path((await store.fix(submitter.caller, fix_id)).bundle)
    path.chmod(0o600)
    path.unlink() if accident == "gone" else path.write_bytes(bundle.archive[:-1] + b"\0")
    assert (await validated(store, submitter, fix_id, Sandbox())).state is FixState.validating
    path.write_bytes(bundle.archive)
    clock.forward(hours=1)
    assert (await validated(store, submitter, fix_id, Sandbox())).state is FixState.verified


# -- several validators -----------------------------------------------------------------------------------------------


async def entries(store: Store, kind: str) -> int:
    return sum(entry.kind == kind for entry in await store.ledger_entries(0, 200))


async def test_racing_validators_each_take_their_own(store: Store, submitter: Party, tmp_path: Path) -> None:
    for number in range(6):
        each = made(tmp_path / str(number), submitter.key, diff=DIFF.replace("safe_load(content)", f"safe_load(content)  # {number}"))
        await submit(submitter, each.body, each.archive)
    sandbox = Sandbox()
    racing = (work(store, sandbox, name=f"v{n}", stop=asyncio.Event(), once=True) for n in range(4))
    assert sum(await asyncio.gather(*racing)) == 6
    assert sandbox.replays == 6
    assert await entries(store, "fix-validated") == 6


async def test_a_validator_that_lost_its_job_cannot_finish_it(store: Store, clock: Clock, submitter: Party, bundle: Made) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    began, go_on = asyncio.Event(), asyncio.Event()

    class Stalls(Sandbox):
        async def __call__(self, bundle: Path, source: str) -> ReplayReport:
            began.set()
            await go_on.wait()
            return await Sandbox(lambda request: checks(tests=CheckStatus.failed))(bundle, source)

    # So long that it is not renewed meanwhile.
    stalled = asyncio.create_task(work(store, Stalls(), name="stalled", stop=asyncio.Event(), once=True, lease_seconds=3600))
    await began.wait()
    clock.forward(hours=2)
    assert (await validated(store, submitter, fix_id, Sandbox())).state is FixState.verified
    go_on.set()
    await stalled
    # Which machine it was is for admins.
    fix = await store.fix(submitter.caller._replace(scopes=frozenset((Scope.admin,))), fix_id)
    assert (fix.state, fix.validation and fix.validation.validator) == (FixState.verified, "validator")
    assert await entries(store, "fix-validated") == 1


async def test_a_validator_stops_when_it_learns_that_its_job_is_lost(store: Store, clock: Clock, submitter: Party, bundle: Made) -> None:
    fix_id = await submit(submitter, bundle.body, bundle.archive)
    began, cancelled = asyncio.Event(), asyncio.Event()

    class Stalls(Sandbox):
        async def __call__(self, bundle: Path, source: str) -> ReplayReport:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    stalled = asyncio.create_task(work(store, Stalls(), name="stalled", stop=asyncio.Event(), once=True, lease_seconds=1))
    await began.wait()
    async with asyncio.timeout(60):
        clock.forward(hours=2)
        # Where it is renewed just in between, it is not lost yet.
        while (await validated(store, submitter, fix_id, Sandbox())).state is not FixState.verified:
            clock.forward(hours=2)
        await cancelled.wait()
        await stalled


# -- the database goes away, workers are killed -----------------------------------------------------------------------


class Now(Clock):
    """The real time."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@asynccontextmanager
async def running(url: str, data: Path) -> AsyncIterator[tuple[Store, Party]]:
    async with Store.open(url, data) as store:
        yield store, await party(store, Now(), "submitter", Tier.operator, (Scope.submit, Scope.pull))


async def test_what_was_found_out_while_the_database_was_away_is_not_lost(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        cluster = Postgres(Path(folder))
        cluster.start()
        try:
            async with running(cluster.database(), tmp_path / "data") as (store, submitter):
                bundle = made(tmp_path / "made", submitter.key)
                fix_id = await submit(submitter, bundle.body, bundle.archive)
                away = asyncio.Event()

                class Meanwhile(Sandbox):
                    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
                        report = await super().__call__(bundle, source)
                        await asyncio.to_thread(cluster.stop, "immediate")
                        away.set()
                        return report

                sandbox = Meanwhile()
                working = asyncio.create_task(work(store, sandbox, name="validator", stop=asyncio.Event(), once=True))
                await away.wait()
                with pytest.raises(RefusedError):
                    await store.fix(submitter.caller, fix_id)
                await asyncio.sleep(1.5)
                assert not working.done()
                await asyncio.to_thread(cluster.start)
                assert await asyncio.wait_for(working, 60) == 1
                assert (await store.fix(submitter.caller, fix_id)).state is FixState.verified
                assert sandbox.replays == 1
        finally:
            cluster.stop("immediate")


WORKER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import importlib.util
spec = importlib.util.spec_from_file_location("scripted", {here!r} + "/test_validator.py")
scripted = importlib.util.module_from_spec(spec); sys.modules["scripted"] = scripted; spec.loader.exec_module(scripted)

class Slow(scripted.Sandbox):
    async def __call__(self, bundle, source):
        print("replaying", flush=True)
        await asyncio.sleep({seconds})
        return await super().__call__(bundle, source)

async def main():
    async with scripted.Store.open({url!r}, Path({data!r})) as store:
        await scripted.work(store, Slow(), name="worker", stop=asyncio.Event(), once={once}, lease_seconds=2)

asyncio.run(main())
"""


def worker(url: str, data: Path, *, seconds: float, once: bool = True) -> str:
    return WORKER.format(here=str(Path(__file__).parent), seconds=seconds, url=url, data=str(data), once=once)


async def test_the_job_of_a_worker_that_was_killed_is_done_by_another(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path / "data") as (store, submitter):
        bundle = made(tmp_path / "made", submitter.key)
        fix_id = await submit(submitter, bundle.body, bundle.archive)
        program = worker(database_url, tmp_path / "data", seconds=60)
        doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        assert doomed.stdout is not None
        assert await asyncio.wait_for(doomed.stdout.readline(), 180) == b"replaying\n"
        assert (await store.fix(submitter.caller, fix_id)).state is FixState.validating
        doomed.send_signal(signal.SIGKILL)
        await doomed.wait()
        await asyncio.sleep(2.2)
        fix = await validated(store, submitter, fix_id, Sandbox())
        assert (fix.state, fix.validation and fix.validation.attempts) == (FixState.verified, 2)
        assert await entries(store, "fix-validated") == 1
        assert (await store.verify()).problem == ""


async def test_workers_killed_at_any_moment_lose_nothing_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path / "data") as (store, submitter):
        fixes = []
        for number in range(8):
            each = made(tmp_path / str(number), submitter.key, diff=DIFF.replace("safe_load(content)", f"safe_load(content)  # {number}"))
            fixes.append(await submit(submitter, each.body, each.archive))
        program = worker(database_url, tmp_path / "data", seconds=0.1)
        for _ in range(5):
            doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
            assert doomed.stdout is not None
            await asyncio.wait_for(doomed.stdout.readline(), 180)
            await asyncio.sleep(int.from_bytes(os.urandom(2)) / 65_536 * 0.3)
            if doomed.returncode is None:
                doomed.send_signal(signal.SIGKILL)
            await doomed.wait()
        await asyncio.sleep(2.2)
        await work(store, Sandbox(), name="last", stop=asyncio.Event(), once=True)
        ended = [await store.fix(submitter.caller, each) for each in fixes]
        given_up = [fix for fix in ended if fix.state is not FixState.verified]
        # Five kills can take one fix through all of its three attempts, and no more.
        assert [(fix.state, fix.validation and fix.validation.reason) for fix in given_up] in (
            [],
            [(FixState.infra_error, "validator-lost")],
        )
        assert await entries(store, "fix-validated") == len(fixes)
        assert (await store.verify()).problem == ""


async def test_what_a_clearinghouse_failed_to_check_is_sent_anew_when_asked(tmp_path: Path, submitter: Party, bundle: Made) -> None:
    from remediator.clearinghouse.client.handing import put_fix
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.evidence.container import unpack_files
    from remediator.evidence.examine import examine
    from remediator.evidence.keys import TrustedKeys

    found = examine(unpack_files(bundle.archive, "the bundle"), TrustedKeys([submitter.key.public]))
    outbox = Outbox(tmp_path / "state")
    try:
        first = put_fix(outbox, "ours", found, bundle.archive)
        # What was not delivered yet is sent once, however often one asks.
        assert put_fix(outbox, "ours", found, bundle.archive, again=True).key == first.key
        outbox._note(first, state="delivered")
        assert put_fix(outbox, "ours", found, bundle.archive).key == first.key
        anew = put_fix(outbox, "ours", found, bundle.archive, again=True)
        assert anew.key != first.key and (anew.subject, anew.body, anew.state) == (first.subject, first.body, "waiting")
        assert put_fix(outbox, "ours", found, bundle.archive, again=True).key == anew.key
    finally:
        outbox.close()
