"""MD5 and SHA-1."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_around, words_in
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design

_WEAK = frozenset({"md5", "sha1", "sha", "md4"})
_OTHERS = frozenset(
    {
        *(f"{package}.Hash.{kind}.new" for package in ("Crypto", "Cryptodome") for kind in ("MD2", "MD4", "MD5", "SHA", "SHA1")),
        *(f"cryptography.hazmat.primitives.hashes.{kind}" for kind in ("MD5", "SHA1")),
    }
)
_HARMLESS = vocabulary(
    "etag etags cache cached caching checksum checksums dedup dedupe duplicate duplicates bucket shard filename basename"
)
_STORED = vocabulary("password passwd pwd passphrase passcode")
_CHANCE = vocabulary("random urandom uuid secrets getrandbits randint randrange")
_FRESH = vocabulary("token tokens nonce session sessionid sid csrf xsrf otp")


class WeakHash(Transform):
    """Uses SHA-256 for secrets, and says so where a digest protects nothing."""

    name = "weak-hash"
    cwe = frozenset({310, 326, 327, 328, 916})
    words = ("md5", "sha1", "sha-1", "weak hash", "insecure hash")
    summary = "Use a strong hash, or say that this one protects nothing"
    behaviour = (
        "Tokens become longer (SHA-256, 64 hexadecimal digits); tokens that were handed out before are not recognised "
        "where they are worked out again."
    )
    declines = (
        "Names do not tell whether the digest protects something, it may be stored or part of a protocol, "
        "or Python older than 3.9 is supported."
    )

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give `usedforsecurity=False`, or turn the function into `sha256`."""
        if not isinstance(node, cst.Call):
            return False
        weak = _weak_name(node, scene)
        if not weak:
            return False
        said = argument(node, "usedforsecurity")
        if said is not None and is_name(said.value, "False"):
            return False
        words = words_around(scene, node) | frozenset(word for arg in node.args for word in words_in(arg.value))
        if words & _STORED:
            raise needs_design("a password hash takes a slow, salted function, and those that are stored need a way there")
        if words & _FRESH and _is_drawn(node, scene):
            _strengthen(node, scene, draft, said)
            return True
        if words & _HARMLESS:
            if not scene.project.supports_only_from(3, 9):
                raise ambiguous(
                    "the digest seems to protect nothing, but usedforsecurity needs Python 3.9, and older ones are not ruled out"
                )
            if has_stars(node) or said is not None:
                raise ambiguous("the arguments of the hash cannot all be seen")
            draft.behaviour = "None: the digests stay the same. Python older than 3.9 does not know the argument."
            draft.add_argument(node, "usedforsecurity=False")
            return True
        raise ambiguous(f"nothing tells whether this {weak} protects something; another hash changes every digest")


def _weak_name(call: cst.Call, scene: Scene) -> str:
    name = scene.name(call.func)
    if name == "hashlib.new":
        first = argument(call, "name", 0)
        value = first.value if first is not None else None
        text = value.evaluated_value if isinstance(value, cst.SimpleString) else None
        return text.lower() if isinstance(text, str) and text.lower() in _WEAK else ""
    module, _, member = name.rpartition(".")
    if name in _OTHERS:
        raise ambiguous("nothing tells whether this digest protects something, or is part of a format; another hash changes it")
    return member if module == "hashlib" and member in _WEAK else ""


def _is_drawn(call: cst.Call, scene: Scene) -> bool:
    """Return whether what is hashed comes from chance: then nobody else works the digest out again, as a protocol would."""
    values = [scene.value_of(arg.value) or arg.value for arg in call.args]
    return any(words_in(value) & _CHANCE for value in values)


def _strengthen(call: cst.Call, scene: Scene, draft: Draft, said: cst.Arg | None) -> None:
    if said is not None or has_stars(call):
        raise ambiguous("the arguments of the hash cannot all be seen")
    if scene.name(call.func) == "hashlib.new":
        first = argument(call, "name", 0)
        assert first is not None
        draft.replace(first.value, '"sha256"')
    else:
        draft.replace_func(call, draft.sibling(call.func, "sha256"))
