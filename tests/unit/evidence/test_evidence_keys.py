from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from remediator.errors import StateError
from remediator.evidence.keys import KEY_FILE, TRUST_FILE, PublicKey, SigningKey, TrustedKeys, signing_key, trust

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_key_is_made_once_private_and_kept(tmp_path: Path):
    folder = tmp_path / "state" / "keys"

    first, second = signing_key(folder), signing_key(folder)

    assert first.public == second.public
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def test_key_does_not_show_itself(tmp_path: Path):
    key = signing_key(tmp_path / "keys")

    assert repr(key) == f"SigningKey({key.public.keyid})"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path):
    key = SigningKey.generate().public
    path = tmp_path / "key.pub"
    path.write_text(key.line() + " someone\n")

    shown = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True, timeout=20).stdout

    assert shown.split()[1] == key.keyid


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_key_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    signing_key(tmp_path / "keys")
    (tmp_path / "keys" / KEY_FILE).chmod(mode)

    with pytest.raises(StateError, match="open to others") as told:
        signing_key(tmp_path / "keys")
    assert told.value.hint.startswith("chmod 600 ")


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o702])
def test_folder_that_others_can_write_is_refused(tmp_path: Path, mode: int):
    signing_key(tmp_path / "keys")
    (tmp_path / "keys").chmod(mode)

    with pytest.raises(StateError, match="open to others"):
        signing_key(tmp_path / "keys")


def test_linked_key_is_refused(tmp_path: Path):
    signing_key(tmp_path / "other")
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / KEY_FILE).symlink_to(tmp_path / "other" / KEY_FILE)

    with pytest.raises(StateError, match="is a symbolic link"):
        signing_key(tmp_path / "keys")


def test_dangling_link_does_not_make_a_key_elsewhere(tmp_path: Path):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / KEY_FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StateError, match="is a symbolic link"):
        signing_key(tmp_path / "keys")
    assert not (tmp_path / "elsewhere").exists()


@root_only
def test_key_of_another_user_is_refused(tmp_path: Path):
    signing_key(tmp_path / "keys")
    os.chown(tmp_path / "keys" / KEY_FILE, 12345, 12345)

    with pytest.raises(StateError, match="belongs to user 12345"):
        signing_key(tmp_path / "keys")


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"x" * (2 << 20)])
def test_damaged_key_is_an_error_and_not_a_new_key(tmp_path: Path, content: bytes):
    signing_key(tmp_path / "keys")
    (tmp_path / "keys" / KEY_FILE).write_bytes(content)

    with pytest.raises(StateError):
        signing_key(tmp_path / "keys")
    assert (tmp_path / "keys" / KEY_FILE).read_bytes() == content


def test_key_of_another_kind_is_refused(tmp_path: Path):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    signing_key(tmp_path / "keys")
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "keys" / KEY_FILE).write_bytes(pem)

    with pytest.raises(StateError, match="holds no ed25519 key"):
        signing_key(tmp_path / "keys")


def _make(folder: str) -> str:
    return signing_key(Path(folder)).public.keyid


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        found = pool.map(_make, [str(tmp_path / "keys")] * 24)

    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [KEY_FILE]


def test_own_key_and_listed_keys_are_trusted_and_no_other(tmp_path: Path):
    own, friend, stranger = signing_key(tmp_path / "keys").public, SigningKey.generate().public, SigningKey.generate().public
    trust(tmp_path / "keys", friend, "the team\nnext door")
    trust(tmp_path / "keys", friend, "again")

    trusted = TrustedKeys.load(tmp_path / "keys")

    assert (trusted.find(own.keyid), trusted.find(friend.keyid), trusted.find(stranger.keyid)) == (own, friend, None)
    assert len((tmp_path / "keys" / TRUST_FILE).read_text().splitlines()) == 1


def test_reading_trust_makes_no_key(tmp_path: Path):
    assert len(TrustedKeys.load(tmp_path / "keys")) == 0
    assert not (tmp_path / "keys").exists()


def test_trust_file_takes_comments_and_names_a_bad_line(tmp_path: Path):
    friend = SigningKey.generate().public
    path = tmp_path / TRUST_FILE
    path.write_text(f"# ours\n\n{friend.line()} friend\n")
    path.chmod(0o644)
    assert TrustedKeys.load(tmp_path).find(friend.keyid) == friend

    path.write_text(f"{friend.line()}\nssh-rsa AAAA x\n")
    with pytest.raises(StateError, match="line 2: not an ssh-ed25519 public key"):
        TrustedKeys.load(tmp_path)


def test_trust_file_that_others_can_write_is_refused(tmp_path: Path):
    (tmp_path / TRUST_FILE).write_text(SigningKey.generate().public.line())
    (tmp_path / TRUST_FILE).chmod(0o666)

    with pytest.raises(StateError, match="open to others"):
        TrustedKeys.load(tmp_path)


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E="])
def test_what_is_no_public_key_is_refused(line: str):
    with pytest.raises(ValueError, match="not"):
        PublicKey.parse(line)
