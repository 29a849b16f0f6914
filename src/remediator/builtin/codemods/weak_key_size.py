"""Asymmetric keys that are too short."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument
from remediator.builtin.codemods.transform import Transform, ambiguous

_ASYMMETRIC = "cryptography.hazmat.primitives.asymmetric"
_MAKERS: dict[str, tuple[str, int]] = {
    f"{_ASYMMETRIC}.rsa.generate_private_key": ("key_size", 1),
    f"{_ASYMMETRIC}.dsa.generate_private_key": ("key_size", 0),
    **{f"{package}.PublicKey.{kind}.generate": ("bits", 0) for package in ("Crypto", "Cryptodome") for kind in ("RSA", "DSA")},
    "paramiko.RSAKey.generate": ("bits", 0),
}
_ENOUGH = 2048


class WeakKeySize(Transform):
    """Makes RSA and DSA keys of 2048 bits."""

    name = "weak-key-size"
    cwe = frozenset({310, 326, 327})
    words = ("key size", "key-size", "keysize", "weak key", "rsa", "dsa")
    summary = "Make keys of 2048 bits"
    behaviour = "New keys are longer, and take longer to make; keys that exist are not touched."
    declines = "The size is not a number in the call."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Raise the number of bits."""
        if not isinstance(node, cst.Call):
            return False
        place = _MAKERS.get(scene.name(node.func))
        if place is None:
            return False
        size = argument(node, *place)
        if size is None or not isinstance(size.value, cst.Integer):
            raise ambiguous("the key's size is decided elsewhere")
        if size.value.evaluated_value >= _ENOUGH:
            return False
        draft.replace(size.value, str(_ENOUGH))
        return True
