"""The ed25519 key that signs our evidence, and the public keys whose signatures we believe.

A key is known by its OpenSSH fingerprint, `SHA256:<base64>`, so `ssh-keygen -lf` shows the same. The private key is a PKCS #8 PEM
file of mode 0600 in the state folder, made on first use. The trust file holds one OpenSSH public key a line.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from remediator.artefacts import private_folder, read_regular, state_error, sync_folder, write_atomically, write_synced
from remediator.errors import StateError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "signing-key.pem"
TRUST_FILE = "trusted-keys"
_TYPE = b"ssh-ed25519"
_MOST_BYTES = 1024 * 1024


class PublicKey(NamedTuple):
    """An ed25519 public key, as its 32 raw bytes."""

    raw: bytes

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, line: str) -> PublicKey:
        """Read `ssh-ed25519 <base64> [comment]`. Raises ValueError."""
        words = line.split()
        if len(words) < 2 or words[0] != _TYPE.decode():
            raise ValueError("not an ssh-ed25519 public key")
        try:
            blob = base64.b64decode(words[1], validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error
        key = cls(blob[-32:])
        if blob != key._blob():
            raise ValueError("not an ssh-ed25519 public key")
        return key

    @property
    def keyid(self) -> str:
        """Return the OpenSSH fingerprint."""
        return _fingerprint(self._blob())

    def line(self) -> str:
        """Return the key as one OpenSSH line."""
        return f"{_TYPE.decode()} {base64.b64encode(self._blob()).decode()}"

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Return whether this key made the signature over the data."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _blob(self) -> bytes:
        return b"".join(len(part).to_bytes(4, "big") + part for part in (_TYPE, self.raw))


@lru_cache(maxsize=1024)
def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class SigningKey:
    """Our own key. It shows only its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a fresh key that is kept nowhere."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Return the signature over the data."""
        return self._private.sign(data)

    def pem(self) -> bytes:
        """Return the private key as an unencrypted PKCS #8 PEM file."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"SigningKey({self.public.keyid})"


def signing_key(folder: Path) -> SigningKey:
    """Return the key in the folder, made now where there is none yet.

    Raises StateError where the folder or the file could be read or replaced by others, is a link, or is damaged.
    """
    private_folder(folder)
    _owned(folder, 0o022)
    path = folder / KEY_FILE
    if not os.path.lexists(path):
        _make(path)
    return _load(path)


class TrustedKeys:
    """The public keys whose signatures we believe: our own, and those that the operator listed."""

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self._keys = {key.keyid: key for key in keys}

    @classmethod
    def load(cls, folder: Path) -> TrustedKeys:
        """Read the trust file, and our own key where there is one. Makes nothing. Raises StateError naming the bad line."""
        keys = list(_listed(folder / TRUST_FILE))
        if os.path.lexists(folder / KEY_FILE):
            keys.append(_load(folder / KEY_FILE).public)
        return cls(keys)

    def find(self, keyid: str) -> PublicKey | None:
        """Return the trusted key with this fingerprint, or None."""
        return self._keys.get(keyid)

    def __len__(self) -> int:
        return len(self._keys)


def trust(folder: Path, key: PublicKey, comment: str = "") -> None:
    """Add a key to the trust file; adding it twice is adding it once. Raises StateError."""
    private_folder(folder)
    path = folder / TRUST_FILE
    if key in _listed(path):
        return
    before = _guarded(path) if os.path.lexists(path) else b""
    note = " ".join(word for word in comment.split() if word.isprintable())
    head = before if not before or before.endswith(b"\n") else before + b"\n"
    write_atomically(path, head + f"{key.line()} {note}".strip().encode() + b"\n")


def _listed(path: Path) -> tuple[PublicKey, ...]:
    if not os.path.lexists(path):
        return ()
    found = []
    for number, line in enumerate(_guarded(path).decode("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append(PublicKey.parse(text))
        except ValueError as error:
            raise StateError(f"{path} line {number}: {error}", hint="each line is `ssh-ed25519 <base64> [comment]`") from error
    return tuple(found)


def _make(path: Path) -> None:
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        write_synced(temporary, SigningKey.generate().pem())
        # A link fails where another process was first: then its key is the key.
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
        temporary.unlink()
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise state_error(error, path) from error


def _load(path: Path) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    _owned(path, 0o077)
    data = _read(path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise StateError(
            f"{path} is not an unencrypted PEM key", hint="restore it from a copy, or move it away to have a new one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StateError(f"{path} holds no ed25519 key", hint="move it away to have one made")
    return SigningKey(key)


def _guarded(path: Path) -> bytes:
    _owned(path, 0o022)
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, limit_bytes=_MOST_BYTES)
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", hint="it must be a regular file of yours, not a link") from error


def _owned(path: Path, loose: int) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", hint=_mend(path, error)) from error
    if stat.S_ISLNK(found.st_mode):
        raise StateError(f"{path} is a symbolic link", hint="put the real file there: a link can be turned by others")
    if found.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to user {found.st_uid}, not to you", hint="run as its owner, or use another state folder")
    if found.st_mode & loose:
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise StateError(f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):o})", hint=f"chmod {mode} {path}")


def _mend(path: Path, error: OSError) -> str:
    return f"check the permissions of {path.parent}" if error.errno == errno.EACCES else ""
