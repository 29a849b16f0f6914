"""Every way of changing a bundle that we could think of ends in an error that names what is wrong."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.attest import sign
from remediator.evidence.bundle import read, write
from remediator.evidence.comparison import RULES
from remediator.evidence.compress import compress, decompress
from remediator.evidence.container import pack_files, read_files, unpack_files
from remediator.evidence.content import json_file
from remediator.evidence.examine import examine
from remediator.evidence.keys import SigningKey, TrustedKeys
from remediator.evidence.statement import statement_of
from remediator.evidence.tarball import LINK, Member, pack
from remediator.records import digest_of


def archive_of(*infos: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for info, data in infos:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, data: bytes = b"x", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


@pytest.fixture
def files(ref) -> dict[str, bytes]:
    return read_files(ref.path)


@pytest.fixture
def resealed(world, files) -> Callable[..., dict[str, bytes]]:
    """Return the bundle with changed files, manifest and signature made anew by another key: what a forger can do."""

    def reseal(key: SigningKey | None = None, **changes: bytes) -> dict[str, bytes]:
        new = {**files, **{name.replace("__", "/").replace("_DOT_", "."): data for name, data in changes.items()}}
        del new[attest.FILE]
        manifest = json.loads(new["MANIFEST.json"])
        for entry in manifest["files"]:
            entry |= {"digest": digest_of(new[entry["path"]]), "bytes": len(new[entry["path"]])}
        new["MANIFEST.json"] = json_file(manifest)
        try:
            body = statement_of(new, "")
        except (EvidenceError, KeyError, TypeError, AttributeError):
            listed = [{"name": name, "digest": {"sha256": digest_of(data)[7:]}} for name, data in sorted(new.items())]
            body = attest.statement([], {"byproducts": listed})
        return {**new, attest.FILE: sign(body, key or SigningKey.generate())}

    return reseal


def test_one_flipped_byte_anywhere_is_named(world, files):
    trusted = TrustedKeys([world.key.public])
    examine(files, trusted)
    for path, data in files.items():
        for position in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
            broken = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            with pytest.raises(EvidenceError) as told:
                examine({**files, path: broken}, trusted)
            assert path in told.value.message, (path, position, told.value.message)


def test_every_byte_of_the_attestation_counts(world, files):
    envelope = files[attest.FILE]
    for trusted in (TrustedKeys([world.key.public]), TrustedKeys()):
        for position in range(0, len(envelope), max(1, len(envelope) // 400)):
            for bit in (1, 32):
                broken = envelope[:position] + bytes([envelope[position] ^ bit]) + envelope[position + 1 :]
                with pytest.raises(EvidenceError, match="attestation"):
                    examine({**files, attest.FILE: broken}, trusted)


def test_cut_and_grown_files_are_named(files, world):
    for path, data in files.items():
        for broken in (data[:-1], data + b"\n", b""):
            with pytest.raises(EvidenceError) as told:
                examine({**files, path: broken}, TrustedKeys([world.key.public]))
            assert path in told.value.message


def test_missing_file_is_named(files):
    for path in files:
        with pytest.raises(EvidenceError, match="missing") as told:
            examine({name: data for name, data in files.items() if name != path}, TrustedKeys())
        assert path in told.value.message


def test_extra_file_is_named(files):
    with pytest.raises(EvidenceError, match=r"logs/extra does not belong"):
        examine({**files, "logs/extra": b""}, TrustedKeys())


def test_attestation_of_another_bundle_is_named(world, files, tmp_path):
    other = read_files(write(tmp_path, world.content._replace(case_id="c-0002", detail="other"), world.key).path)

    for mine, theirs in ((files, other), (other, files)):
        with pytest.raises(EvidenceError, match=r"attestation.dsse.json belongs to another bundle"):
            examine({**mine, attest.FILE: theirs[attest.FILE]}, TrustedKeys([world.key.public]))


def test_older_verdict_put_back_is_named(world, files, tmp_path):
    rejected = read_files(write(tmp_path, world.content._replace(attempts=world.content.attempts[:1], chosen=None), world.key).path)

    with pytest.raises(EvidenceError, match=r"^verdict.json was changed"):
        examine({**files, "verdict.json": rejected["attempts/1/verdict.json"]}, TrustedKeys([world.key.public]))


def test_forger_with_a_key_of_his_own_is_told_from_us(world, resealed):
    forged = resealed()

    signature = examine(forged, TrustedKeys([world.key.public])).signature

    assert not signature.trusted
    assert signature.keyid != world.key.public.keyid


def test_forger_who_claims_our_key_is_refused(world, resealed):
    forged = resealed()
    envelope = json.loads(forged[attest.FILE])
    envelope["signatures"][0]["keyid"] = world.key.public.keyid
    spelt = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    with pytest.raises(EvidenceError, match="the signature is not by"):
        examine({**forged, attest.FILE: spelt}, TrustedKeys([world.key.public]))
    with pytest.raises(EvidenceError, match="says it is signed by"):
        examine({**forged, attest.FILE: spelt}, TrustedKeys())


def test_signed_lie_about_the_level_is_refused(files, resealed):
    verdict = json.loads(files["verdict.json"])
    verdict["checks"][-1]["status"] = "not_run"

    with pytest.raises(EvidenceError, match=r"verdict.json: says more than its checks add up to"):
        examine(resealed(verdict_DOT_json=json_file(verdict)), TrustedKeys())


def test_signed_bundle_with_another_diff_than_was_judged_is_refused(files, resealed):
    with pytest.raises(EvidenceError, match="is not the id of this diff"):
        examine(resealed(patch_DOT_diff=files["patch.diff"].replace(b"safe_load", b"evil_load")), TrustedKeys())


def test_signed_bundle_with_another_base_than_it_names_is_refused(world, resealed, new_world):
    other = new_world(code=b"import yaml\n\n\ndef read(text):\n    return yaml.load(text) or None\n")

    with pytest.raises(EvidenceError, match=r"base.tar.zst: holds the tree"):
        examine(resealed(base_DOT_tar_DOT_zst=other.content.base.archive), TrustedKeys())


def test_signed_evidence_that_is_not_the_verdicts_is_refused(files, resealed):
    check = json.loads(files["evidence/tests.json"])
    check["evidence"]["executed"] = 4000

    with pytest.raises(EvidenceError, match="does not hold the checks of the verdict"):
        examine(resealed(evidence__tests_DOT_json=json_file(check)), TrustedKeys())


def test_statement_that_says_something_else_than_the_files_is_refused(files):
    rest = {name: data for name, data in files.items() if name != attest.FILE}
    for change in (
        {"evidenceDigest": "sha256:0"},
        {"evidenceDigest": {"rules": RULES, "sha256": "0" * 64}},
        {"case": {}},
        {"note": "more"},
    ):
        body = statement_of(rest, "")
        body["predicate"] |= change
        with pytest.raises(EvidenceError, match="says something else than the files"):
            examine({**rest, attest.FILE: sign(body, SigningKey.generate())}, TrustedKeys())


def test_evidence_digest_of_another_releases_rules_is_said_and_not_believed(files):
    rest = {name: data for name, data in files.items() if name != attest.FILE}
    body = statement_of(rest, "")
    body["predicate"]["evidenceDigest"] = {"rules": RULES + 1, "sha256": "0" * 64}

    notes = examine({**rest, attest.FILE: sign(body, SigningKey.generate())}, TrustedKeys()).notes

    assert any("rules of another release" in note for note in notes)


@pytest.mark.parametrize("text", [b"", b"{", b"7", b"null", b"{}", b"[[]]", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_hostile_json_is_an_error_that_names_the_file(resealed, text):
    for name in ("case.json", "verdict.json", "source.json", "base.json", "finding.json", "patch.json", "declined.json", "recipe.json"):
        with pytest.raises(EvidenceError, match="json"):
            examine(resealed(**{name.replace(".", "_DOT_"): text}), TrustedKeys())


@pytest.mark.parametrize("change", [{"attempts": 10**12}, {"chosen": 7}, {"chosen": 0}, {"expected": 3}, {"tools": []}, {"attempts": None}])
def test_hostile_numbers_are_errors(files, resealed, change):
    with pytest.raises(EvidenceError):
        examine(resealed(case_DOT_json=json_file({**json.loads(files["case.json"]), **change})), TrustedKeys())


def test_symbolic_link_in_a_folder_is_not_followed(ref, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes((ref.path / "finding.json").read_bytes())
    (ref.path / "finding.json").unlink()
    (ref.path / "finding.json").symlink_to(secret)

    with pytest.raises(EvidenceError, match=r"finding.json: not a regular file"):
        read(ref.path)


def test_linked_folder_pipe_and_stray_folder_are_refused(ref, tmp_path):
    import os

    shutil.move(ref.path / "logs", tmp_path / "logs")
    (ref.path / "logs").symlink_to(tmp_path / "logs")
    with pytest.raises(EvidenceError, match="logs: not a regular file"):
        read(ref.path)
    (ref.path / "logs").unlink()
    shutil.move(tmp_path / "logs", ref.path / "logs")
    os.mkfifo(ref.path / "pipe")
    with pytest.raises(EvidenceError, match="pipe: not a regular file"):
        read(ref.path)
    (ref.path / "pipe").unlink()
    (ref.path / "empty").mkdir()
    with pytest.raises(EvidenceError, match="an empty folder"):
        read(ref.path)


def test_link_as_bundles_pack_it_is_still_no_file_of_a_bundle():
    with pytest.raises(EvidenceError, match="none that a bundle has"):
        unpack_files(compress(pack([Member("a", LINK, b"/etc/passwd")])), "x")


def test_archive_with_two_members_of_one_name_is_refused(files):
    pairs = [member(name, data) for name, data in sorted(files.items())]
    twice = compress([archive_of(pairs[0], *pairs)])

    with pytest.raises(EvidenceError, match="stands twice or out of order"):
        unpack_files(twice, "x")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("../evil"), "path that no archive may have"),
        (member("/etc/passwd"), "path that no archive may have"),
        (member("a/./b"), "path that no archive may have"),
        (member("a//b"), "path that no archive may have"),
        (member("a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd", mode=0o777), "header that no bundle has"),
        (member("a", b"", type=tarfile.LNKTYPE, linkname="b"), "neither a regular file nor a symbolic link"),
        (member("a", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a regular file nor a symbolic link"),
        (member("a", b"", type=tarfile.FIFOTYPE), "neither a regular file nor a symbolic link"),
        (member("a", b"", type=tarfile.DIRTYPE), "path that no archive may have"),
        (member("a", mode=0o4755), "header that no bundle has"),
        (member("a", mode=0o755), "none that a bundle has"),
        (member("a", uid=1000), "header that no bundle has"),
        (member("a", mtime=1), "header that no bundle has"),
        (member("a", uname="alice"), "header that no bundle has"),
        (member(".hidden"), "none that a bundle has"),
        (member("a\nb"), "none that a bundle has"),
        (member("a b"), "none that a bundle has"),
    ],
)
def test_member_that_no_bundle_has_is_refused(bad, why):
    plain = archive_of(bad)
    padding = len(plain) - plain.rstrip(b"\0").__len__()
    body = plain[: len(plain) - padding]
    body += b"\0" * (-len(body) % 512) + b"\0" * 1024

    with pytest.raises(EvidenceError, match=why):
        unpack_files(compress([body]), "x")


def test_pax_headers_that_rename_a_member_are_refused():
    info, data = member("plain")
    info.pax_headers = {"path": "../../evil"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(data))

    with pytest.raises(EvidenceError, match="path that no archive may have"):
        unpack_files(compress([buffer.getvalue()]), "x")


def test_what_is_hidden_behind_the_end_is_refused(files, ref):
    packed = ref.archive.read_bytes()
    plain = decompress(packed, origin="x", limit_bytes=1 << 30)

    for hidden in (packed + b"x", packed + packed, packed + b"\x50\x2a\x4d\x18\x04\0\0\0evil", packed[:-1]):
        with pytest.raises(EvidenceError):
            unpack_files(hidden, "x")
    with pytest.raises(EvidenceError, match="behind the end of the archive"):
        unpack_files(compress([plain, b"\0" * 512]), "x")
    with pytest.raises(EvidenceError, match="ends in the middle"):
        unpack_files(compress([plain[:-512]]), "x")


def test_padding_that_carries_something_is_refused(files):
    plain = bytearray(archive_of(member("a", b"x")))
    plain[600:604] = b"evil"

    with pytest.raises(EvidenceError, match="something is hidden behind member 'a'"):
        unpack_files(compress([bytes(plain[:1024]), b"\0" * 1024]), "x")


def test_bomb_is_refused_before_it_is_there():
    import resource

    bomb = compress(b"\0" * (1 << 20) for _ in range(600))
    assert len(bomb) < 1 << 17
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(EvidenceError, match="unpacks to more than 1"):
        unpack_files(bomb, "x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_frame_that_asks_for_a_huge_window_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = packer.compress(b"x" * 100) + packer.flush()

    with pytest.raises(EvidenceError, match="not a whole zstd file"):
        unpack_files(frame, "x")


def test_too_many_members_are_refused():
    many = compress([archive_of(*(member(f"f{number:06}", b"") for number in range(5_001)))])

    with pytest.raises(EvidenceError, match="more than 5000 members"):
        unpack_files(many, "x")


def test_folder_of_too_many_files_is_refused(tmp_path):
    for number in range(5_002):
        (tmp_path / f"f{number}").touch()

    with pytest.raises(EvidenceError, match="more than 5000"):
        read(tmp_path)


def test_member_that_claims_more_than_there_is_is_refused():
    info, _ = member("a")
    info.size = 1 << 32
    header = info.tobuf(tarfile.GNU_FORMAT)

    with pytest.raises(EvidenceError, match="unpacks to more than is allowed"):
        unpack_files(compress([header, b"\0" * 2048]), "x")


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"\x28\xb5\x2f\xfd", b"\0" * 4096, b"not zstd at all"])
def test_what_is_no_archive_is_refused(data, tmp_path: Path):
    path = tmp_path / "x.tar.zst"
    path.write_bytes(data)

    with pytest.raises(EvidenceError):
        read(path)


def test_reading_an_archive_writes_nothing(ref, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))

    read(ref.archive)

    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_repacked_files_are_the_same_bundle(files, ref):
    assert pack_files(files) == ref.archive.read_bytes()
