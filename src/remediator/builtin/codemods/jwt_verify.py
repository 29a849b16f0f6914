"""JSON web tokens that are read without being checked."""

from __future__ import annotations

from typing import TypeGuard

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design, unsafe


class JwtVerify(Transform):
    """Checks the signature, by the algorithms that the file itself signs with."""

    name = "jwt-verify"
    cwe = frozenset({287, 290, 295, 327, 345, 347})
    words = ("jwt",)
    summary = "Check the token's signature"
    behaviour = "Tokens with a wrong, missing or foreign signature are refused."
    declines = "The call has no key, or which algorithm is used cannot be told from the file."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Take `verify=False` away and name the algorithms."""
        if not isinstance(node, cst.Call) or scene.name(node.func) not in ("jwt.decode", "jwt.api_jwt.decode"):
            return False
        if has_stars(node):
            raise unsafe("the arguments cannot all be seen")
        off = self._off(node)
        algorithms = argument(node, "algorithms", 2)
        missing = algorithms is None
        none = algorithms is not None and _allows_none(algorithms)
        if not off and not missing and not none:
            return False
        self._check_key(node, scene)
        wanted = _signed_with(scene) if missing or none else []
        if (missing or none) and not wanted:
            raise ambiguous("no call in the file tells by which algorithm the tokens are signed")
        if algorithms is not None and none:
            draft.replace(algorithms.value, "[" + ", ".join(wanted) + "]")
        for change in off:
            self._switch_on(change, node, draft)
        if missing:
            draft.add_argument(node, f"algorithms=[{', '.join(wanted)}]")
        return True

    def _off(self, node: cst.Call) -> list[cst.Arg | cst.DictElement]:
        found: list[cst.Arg | cst.DictElement] = []
        verify = argument(node, "verify")
        if verify is not None and is_name(verify.value, "False"):
            found.append(verify)
        options = argument(node, "options")
        if options is not None and isinstance(options.value, cst.Dict):
            found.extend(item for item in options.value.elements if _switches_off(item))
        elif options is not None:
            raise ambiguous("what is checked is decided elsewhere")
        return found

    def _switch_on(self, change: cst.Arg | cst.DictElement, node: cst.Call, draft: Draft) -> None:
        if isinstance(change, cst.DictElement):
            draft.replace(change.value, "True")
        else:
            draft.remove_argument(node, change)

    def _check_key(self, node: cst.Call, scene: Scene) -> None:
        key = argument(node, "key", 1)
        empty = key is not None and (
            is_name(key.value, "None", "False") or (isinstance(key.value, cst.SimpleString) and not key.value.evaluated_value)
        )
        if key is None or empty:
            raise needs_design("the call has no key to check the signature with")


def _switches_off(item: cst.BaseDictElement) -> TypeGuard[cst.DictElement]:
    return (
        isinstance(item, cst.DictElement)
        and isinstance(item.key, cst.SimpleString)
        and item.key.evaluated_value == "verify_signature"
        and is_name(item.value, "False")
    )


def _allows_none(algorithms: cst.Arg) -> bool:
    value = algorithms.value
    if is_name(value, "None"):
        return True
    items = value.elements if isinstance(value, cst.List | cst.Tuple) else ()
    return any(isinstance(item.value, cst.SimpleString) and str(item.value.evaluated_value).lower() == "none" for item in items)


def _signed_with(scene: Scene) -> list[str]:
    """Return the source of the algorithms by which the file signs tokens; empty where one of them cannot be told."""
    found: list[str] = []
    for node in scene.nodes():
        if isinstance(node, cst.Call) and scene.name(node.func) in ("jwt.encode", "jwt.api_jwt.encode"):
            algorithm = argument(node, "algorithm", 2)
            if algorithm is None and not has_stars(node):
                found.append('"HS256"')
            elif (
                algorithm is not None
                and isinstance(algorithm.value, cst.SimpleString)
                and str(algorithm.value.evaluated_value).lower() != "none"
            ):
                found.append(scene.code(algorithm.value))
            else:
                return []
    return list(dict.fromkeys(found))
