"""random where secrets are made."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_around, words_in
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_FUNCTIONS = vocabulary("random randint randrange choice choices sample shuffle uniform getrandbits triangular randbytes")
_SECRET = vocabulary(
    "token tokens password passwd pwd passphrase secret secrets nonce salt otp totp pin captcha csrf xsrf session sessionid sid "
    "apikey credential credentials key auth verification activation reset challenge cookie signature iv seckey totps code"
)


class SystemRandom(Transform):
    """Draws from the operating system's generator."""

    name = "system-random"
    cwe = frozenset({310, 330, 331, 332, 335, 337, 338, 340})
    words = ("random", "prng")
    summary = "Draw secrets from the operating system's generator"
    behaviour = "Values cannot be foretold or repeated by a seed any more, and are drawn more slowly; their form stays the same."
    declines = "No name tells that a secret is made, or the file seeds the generator."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `random.choice` into `random.SystemRandom().choice`."""
        if not isinstance(node, cst.Call):
            return False
        module, _, member = scene.name(node.func).rpartition(".")
        if module != "random" or member not in _FUNCTIONS | {"Random"}:
            return False
        words = words_around(scene, node) | frozenset(word for arg in node.args for word in words_in(arg.value))
        if not words & _SECRET:
            raise ambiguous("nothing tells that a secret is made here; elsewhere a seed may be wanted")
        if _is_seeded(scene):
            raise unsafe("the file seeds the generator, so repeatable values are wanted somewhere")
        if member == "Random":
            if node.args:
                raise unsafe("the generator is seeded, so repeatable values are wanted")
            draft.replace_func(node, draft.sibling(node.func, "SystemRandom"))
            return True
        draft.replace_func(node, f"{draft.sibling(node.func, 'SystemRandom')}().{member}")
        return True


def _is_seeded(scene: Scene) -> bool:
    return any(isinstance(node, cst.Call) and scene.name(node.func) in ("random.seed", "random.setstate") for node in scene.nodes())
