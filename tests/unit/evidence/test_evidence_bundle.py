from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import zstandard

from remediator.errors import EvidenceError, StateError
from remediator.evidence.bundle import BundleRef, read, write
from remediator.evidence.keys import SigningKey, TrustedKeys
from remediator.evidence.scrub import Scrubber
from remediator.playbook import parse_playbook
from remediator.records import CheckStatus, Choice, EvidenceLevel, Outcome, RecipeStep, SourceKind, Verdict


def test_folder_and_archive_read_back_as_what_was_written(world, ref):
    trusted = TrustedKeys([world.key.public])

    for path in (ref.path, ref.archive):
        bundle = read(path, trusted)

        assert bundle.digest == ref.digest
        assert bundle.signature.trusted
        assert bundle.patch == world.content.attempts[1].patch
        assert bundle.verdict is not None
        assert bundle.verdict.level is EvidenceLevel.E3
        assert bundle.attempts[0].verdict is not None
        assert bundle.attempts[0].verdict.outcome is Outcome.rejected
        assert bundle.declined == world.content.declined
        assert bundle.recipe == world.content.recipe
        assert bundle.expected == tuple(world.content.expected)


def test_layout_is_the_documented_one(ref):
    found = {str(path.relative_to(ref.path)) for path in ref.path.rglob("*") if path.is_file()}

    assert {
        "MANIFEST.json",
        "attestation.dsse.json",
        "base.tar.zst",
        "case.json",
        "finding.json",
        "patch.diff",
        "playbook.yaml",
        "recipe.json",
        "source.json",
        "verdict.json",
        "evidence/tests.json",
        "logs/tests.log",
        "logs/baseline.tests.1",
        "attempts/1/patch.diff",
        "attempts/1/verdict.json",
        "attempts/1/evidence/tests.json",
    } <= found


def test_same_content_gives_the_same_bytes_whoever_writes_it(world, ref, tmp_path):
    again = write(tmp_path / "elsewhere", world.content, world.key)
    other = write(tmp_path / "other", world.content, SigningKey.generate())

    assert again.archive.read_bytes() == ref.archive.read_bytes()
    assert other.digest == ref.digest


def test_writing_twice_finds_what_is_there(world, ref):
    before = {path: path.stat().st_mtime_ns for path in ref.path.parent.rglob("*")}

    assert write(ref.path.parent, world.content, world.key) == ref
    assert {path: path.stat().st_mtime_ns for path in ref.path.parent.rglob("*")} == before


def test_lost_archive_is_made_again(world, ref):
    before = ref.archive.read_bytes()
    ref.archive.unlink()

    write(ref.path.parent, world.content, world.key)

    assert ref.archive.read_bytes() == before


def test_archive_has_no_times_no_owners_and_fixed_modes(ref):
    with (
        zstandard.open(ref.archive, "rb") as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        infos = list(archive)

    assert {(info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) for info in infos} == {(0, 0, 0, "", "", 0o644)}
    assert [info.name for info in infos] == sorted(info.name for info in infos)


def test_nothing_of_this_machine_or_its_user_is_in_it(world, ref):
    told = b"".join(path.read_bytes() for path in ref.path.rglob("*") if path.is_file() and path.name != "base.tar.zst")

    for secret in (b"alice", str(world.repository).encode(), b"ghp_0123456789"):
        assert secret not in told


def test_source_of_a_folder_is_known_by_its_name_only(world, ref):
    source = read(ref.path).source

    assert source.kind is SourceKind.path
    assert source.uri == "local:repository"


def test_logs_are_redacted_and_keep_the_digest_of_the_original(world, tmp_path):
    digest = world.store.put(b"cloning https://bob:hunter22@host.invalid/x\n")
    patch, verdict = world.content.attempts[1]
    checks = tuple(c.model_copy(update={"artefacts": {"clone": digest}}) if c.name == "builds" else c for c in verdict.checks)
    content = world.content._replace(attempts=((patch, verdict.model_copy(update={"checks": checks})),), chosen=0)
    content = content._replace(attempts=(world.content.attempts[1]._replace(verdict=content.attempts[0][1]),))

    ref = write(tmp_path, content, world.key)

    assert b"hunter22" not in (ref.path / "logs/builds.clone").read_bytes()
    (entry,) = [e for e in json.loads((ref.path / "MANIFEST.json").read_bytes())["files"] if e["path"] == "logs/builds.clone"]
    assert entry["artefact"] == digest
    assert entry["scrubbed"] is True


def test_recipe_keeps_the_homes_of_the_sandbox_and_loses_secrets_and_named_folders(world, tmp_path):
    env = {"HOME": "/home/builder", "INDEX": "https://u:pw1234@host.invalid/simple", "STATE": "/srv/state/x"}
    recipe = world.content.recipe.model_copy(update={"build": (RecipeStep(argv=("make", "/home/builder/x"), env=env),)})
    content = world.content._replace(recipe=recipe, scrub=Scrubber(paths={"/srv/state": "state"}))

    bundle = read(write(tmp_path, content, world.key).path)

    assert bundle.recipe is not None
    assert bundle.recipe.build[0].argv == ("make", "/home/builder/x")
    assert bundle.recipe.build[0].env == {"HOME": "/home/builder", "INDEX": "https://[redacted]@host.invalid/simple", "STATE": "<state>/x"}
    assert any("blanked in the recipe" in note for note in bundle.notes)


def test_playbook_is_one_that_the_parser_takes(world, tmp_path):
    resolved = parse_playbook(b"name: x\nverify: [{use: applies}]\nrequire: {default: E2}\n", "x").resolved()

    ref = write(tmp_path, world.content._replace(playbook=resolved), world.key)

    assert parse_playbook(read(ref.path).playbook, "bundle").resolved() == resolved


def test_declined_case_has_a_bundle_without_a_patch(world, tmp_path):
    ref = write(tmp_path, world.content._replace(attempts=(), chosen=None, recipe=None, baseline=None), world.key)

    bundle = read(ref.archive, TrustedKeys([world.key.public]))

    assert (bundle.patch, bundle.verdict, bundle.attempts) == (None, None, ())
    assert bundle.declined[0].reason == "needs-model"
    assert not (ref.path / "patch.diff").exists()


def test_rejected_case_lists_its_attempts(world, tmp_path):
    ref = write(tmp_path, world.content._replace(attempts=world.content.attempts[:1], chosen=None), world.key)

    bundle = read(ref.path)

    assert bundle.patch is None
    assert bundle.attempts[0].verdict is not None
    assert bundle.attempts[0].verdict.reason == "tests-regressed"
    assert (ref.path / "attempts/1/patch.diff").is_file()


def test_how_one_of_several_was_chosen_is_told_and_checked(world, tmp_path):
    first, second = (attempt.patch.id for attempt in world.content.attempts)
    choice = Choice(patch_id=second, among=(first, second), decided_by="first", detail="no key")
    ref = write(tmp_path / "told", world.content._replace(choice=choice), world.key)

    assert read(ref.path).choice == choice
    assert read(write(tmp_path / "none", world.content, world.key).path).choice is None
    for wrong in (choice.model_copy(update={"patch_id": first}), choice.model_copy(update={"among": (second, "p-other")})):
        with pytest.raises(EvidenceError, match=r"choice\.json"):
            write(tmp_path / "wrong", world.content._replace(choice=wrong), world.key)


def test_base_archive_gives_back_every_file_and_is_checked_against_the_tree_id(world, ref):
    bundle = read(ref.path)

    files = {member.path: member for member in bundle.base.files()}

    assert files["pkg/app.py"].data == world.tree.read("pkg/app.py")
    assert files["run.sh"].mode == 0o100755
    assert files["inside"].data == b"pkg/app.py"
    assert {"two\nlines \x1b[31m.txt", "latin-\udce9.txt"} <= files.keys()
    assert [entry.path for entry in bundle.base.omitted] == [b"outside"]
    assert bundle.base.tree == world.tree.id


def test_base_that_is_too_large_is_left_out_and_said(world, tmp_path):
    from remediator.evidence.base import Base
    from remediator.evidence.tarball import Limits

    base = Base.of(world.tree, limits=Limits(members=3, bytes=1 << 20))
    bundle = read(write(tmp_path, world.content._replace(base=base), world.key).path)

    assert not bundle.base.included
    assert "needs the source" in bundle.notes[0]
    with pytest.raises(EvidenceError, match="does not carry its base tree"):
        list(bundle.base.files())


def test_unknown_key_is_said_and_never_trusted(world, ref):
    signature = read(ref.path, TrustedKeys([SigningKey.generate().public])).signature

    assert not signature.trusted
    assert signature.keyid == world.key.public.keyid
    assert "none of the keys you trust" in signature.sentence


def test_older_bundle_of_the_same_case_is_refused_by_digest(world, ref, tmp_path):
    newer = write(tmp_path, world.content._replace(detail="second thoughts"), world.key)

    with pytest.raises(EvidenceError, match="not sha256:"):
        read(ref.path, digest=newer.digest)


def test_verdict_that_says_more_than_its_checks_cannot_be_written(world, tmp_path):
    _, verdict = world.content.attempts[1]
    checks = tuple(c.model_copy(update={"status": CheckStatus.not_run}) if c.name == "tests" else c for c in verdict.checks)
    lying = verdict.model_copy(update={"checks": checks})

    with pytest.raises(EvidenceError, match="says more than its checks add up to"):
        write(tmp_path, world.content._replace(attempts=(world.content.attempts[1]._replace(verdict=lying),), chosen=0), world.key)
    assert list(tmp_path.iterdir()) == []


def test_verdict_that_leaves_out_an_expected_check_cannot_be_written(world, tmp_path):
    _, verdict = world.content.attempts[1]
    short = verdict.model_copy(update={"checks": tuple(c for c in verdict.checks if c.name != "guards")})

    with pytest.raises(EvidenceError, match="says more than its checks add up to"):
        write(tmp_path, world.content._replace(attempts=(world.content.attempts[1]._replace(verdict=short),), chosen=0), world.key)


def test_verdict_about_another_patch_cannot_be_written(world, tmp_path):
    swapped = (world.content.attempts[1]._replace(verdict=world.content.attempts[0].verdict),)

    with pytest.raises(EvidenceError, match="is about another patch"):
        write(tmp_path, world.content._replace(attempts=swapped, chosen=0), world.key)


def test_lost_log_is_an_error_and_not_a_bundle_without_it(world, tmp_path):
    def gone(digest: str) -> bytes:
        raise StateError("gone")

    with pytest.raises(StateError, match="gone"):
        write(tmp_path, world.content._replace(artefact=gone), world.key)


def test_huge_logs_are_cut_in_the_middle_and_said(world, tmp_path):
    log = b"start " + b"a line of a log\n" * (9 << 15) + b" end"
    _, verdict = world.content.attempts[1]
    checks = tuple(c.model_copy(update={"artefacts": {"big": world.store.put(log)}}) if c.name == "builds" else c for c in verdict.checks)
    attempts = (world.content.attempts[1]._replace(verdict=verdict.model_copy(update={"checks": checks})),)

    ref = write(tmp_path, world.content._replace(attempts=attempts, chosen=0), world.key)

    kept = (ref.path / "logs/builds.big").read_bytes()
    assert len(kept) < 5 << 20
    assert kept.startswith(b"start ")
    assert kept.endswith(b" end")
    (entry,) = [e for e in json.loads((ref.path / "MANIFEST.json").read_bytes())["files"] if e["path"] == "logs/builds.big"]
    assert entry["cut"] == len(log)
    read(ref.archive)


def test_hostile_check_and_log_names_stay_inside_the_bundle(world, tmp_path):
    _, verdict = world.content.attempts[1]
    digest = world.store.put(b"x")
    names = ("../../etc/passwd", "a/b\n", ".hidden", "A" * 300, "tests.json")
    checks = tuple(c.model_copy(update={"artefacts": dict.fromkeys(names, digest)}) if c.name == "builds" else c for c in verdict.checks)
    attempts = (world.content.attempts[1]._replace(verdict=verdict.model_copy(update={"checks": checks})),)

    ref = write(tmp_path / "bundles", world.content._replace(attempts=attempts, chosen=0), world.key)

    assert len([path for path in (ref.path / "logs").iterdir() if path.name.startswith("builds.")]) == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["bundles"]


def test_verdict_in_the_bundle_keeps_its_meaning(world, ref):
    recorded = world.content.attempts[1].verdict
    assert recorded is not None

    told = Verdict.model_validate_json((ref.path / "verdict.json").read_bytes())

    assert (told.outcome, told.level, told.patch_id) == (recorded.outcome, recorded.level, recorded.patch_id)
    assert told.checks[0].summary == "in <home>/project: ok"


def test_bundle_is_private_to_its_owner(ref: BundleRef):
    assert ref.path.stat().st_mode & 0o777 == 0o700
    assert ref.archive.stat().st_mode & 0o777 == 0o600


def test_missing_bundle_is_a_clear_error(tmp_path: Path):
    with pytest.raises(EvidenceError, match="cannot be read"):
        read(tmp_path / "nowhere")
