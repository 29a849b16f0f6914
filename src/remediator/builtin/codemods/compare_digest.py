"""Digests that are compared byte by byte until one differs."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_model, unsafe

_ENCODERS = frozenset({"base64.b64encode", "base64.urlsafe_b64encode", "base64.b16encode", "base64.b32encode", "binascii.hexlify"})
_DIGESTS = frozenset({"digest", "hexdigest"})


class CompareDigest(Transform):
    """Compares in constant time."""

    name = "compare-digest"
    cwe = frozenset({203, 208, 385})
    words = ("timing",)
    summary = "Compare digests in constant time"
    behaviour = (
        "The answer is the same for two texts of ASCII or two of bytes; a None, or text outside of ASCII, now raises TypeError "
        "instead of being unequal."
    )
    declines = "Neither side is certainly a digest, the other one may be None, or more is compared at once."
    nodes = (cst.Comparison,)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `==` and `!=` into `hmac.compare_digest`."""
        if not isinstance(node, cst.Comparison):
            return False
        if len(node.comparisons) != 1:
            raise unsafe("more than two values are compared at once")
        target = node.comparisons[0]
        if not isinstance(target.operator, cst.Equal | cst.NotEqual):
            return False
        sides = (node.left, target.comparator)
        if not any(_is_digest(side, scene) for side in sides):
            if any(isinstance(side, cst.SimpleString | cst.Integer | cst.List | cst.Dict) for side in sides):
                return False
            raise needs_model("neither side is certainly a digest, so whether both are of one type is not known")
        for side in sides:
            if not _is_digest(side, scene) and _may_be_none(side, scene):
                raise ambiguous(f"`{scene.code(side)}` may be None, which compare_digest refuses")
        if "#" in scene.text[scene.span(node).start : scene.span(node).end]:
            raise unsafe("a comment stands inside of the comparison")
        compare = draft.member("hmac", "compare_digest", node)
        call = f"{compare}({scene.code(node.left)}, {scene.code(target.comparator)})"
        negated = isinstance(target.operator, cst.NotEqual)
        tight = isinstance(scene.parent(node), cst.Comparison | cst.BinaryOperation | cst.Attribute | cst.Await) and not node.lpar
        draft.replace(node, (f"(not {call})" if tight else f"not {call}") if negated else call)
        return True


def _is_digest(node: cst.BaseExpression, scene: Scene) -> bool:
    value = scene.value_of(node) or node
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
        return _is_digest(value.left, scene) or _is_digest(value.right, scene)
    if not isinstance(value, cst.Call):
        return False
    if scene.name(value.func) in _ENCODERS:
        return bool(value.args) and _is_digest(value.args[0].value, scene)
    if not isinstance(value.func, cst.Attribute):
        return False
    method = value.func.attr.value
    return method in _DIGESTS or (method in ("decode", "encode") and _is_digest(value.func.value, scene))


def _may_be_none(node: cst.BaseExpression, scene: Scene) -> bool:
    value = scene.value_of(node) or node
    if isinstance(value, cst.Name | cst.Attribute | cst.SimpleString | cst.Subscript):
        return value is not node and isinstance(value, cst.Name) and value.value == "None"
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
        return (
            value.func.attr.value in ("get", "pop", "getenv", "header", "get_header", "first", "search", "match", "group")
            and len(value.args) < 2
        )
    return True
