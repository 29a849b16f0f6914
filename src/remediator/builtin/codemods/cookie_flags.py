"""Cookies that are set without their flags."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_in
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_READ_BY_SCRIPTS = vocabulary("csrf xsrf csrftoken theme lang language locale consent")


class _CookieFlag(Transform):
    flag = ""
    safe = "True"
    unsafe_value = "False"

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give the flag to `set_cookie`."""
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
            return False
        if node.func.attr.value not in ("set_cookie", "set_signed_cookie") or not node.args:
            return False
        given = argument(node, self.flag)
        if given is not None:
            if not is_name(given.value, self.unsafe_value, "None"):
                if is_name(given.value, "True") or isinstance(given.value, cst.SimpleString):
                    return False
                raise ambiguous(f"{self.flag} is decided elsewhere")
            self.check(node)
            draft.replace(given.value, self.safe)
            return True
        if has_stars(node) or len([arg for arg in node.args if arg.keyword is None]) > 2:
            raise unsafe("the call's arguments cannot all be told apart")
        self.check(node)
        draft.add_argument(node, f"{self.flag}={self.safe}")
        return True

    def check(self, node: cst.Call) -> None:
        """Raise RefusedError where the flag would break what the cookie is for."""


class CookieSecure(_CookieFlag):
    """Sends the cookie over HTTPS only."""

    name = "cookie-secure"
    cwe = frozenset({311, 319, 523, 614})
    words = ("secure",)
    summary = "Send the cookie over HTTPS only"
    behaviour = "Browsers send the cookie back over HTTPS only: on plain HTTP it is lost."
    declines = "The flag is a variable, or arguments are unpacked."
    flag = "secure"


class CookieHttpOnly(_CookieFlag):
    """Hides the cookie from scripts."""

    name = "cookie-httponly"
    cwe = frozenset({732, 1004})
    words = ("httponly",)
    summary = "Hide the cookie from scripts"
    behaviour = "Scripts in the page cannot read the cookie."
    declines = "The flag is a variable, arguments are unpacked, or the cookie's name says that scripts read it (a CSRF token, a theme)."
    flag = "httponly"

    def check(self, node: cst.Call) -> None:
        """Refuse for cookies that scripts read."""
        if words_in(node.args[0].value) & _READ_BY_SCRIPTS:
            raise ambiguous("by its name the cookie is one that scripts read")


class CookieSameSite(_CookieFlag):
    """Keeps the cookie out of other sites' forms."""

    name = "cookie-samesite"
    cwe = frozenset({352, 1275})
    words = ("samesite",)
    summary = "Keep the cookie out of other sites' forms"
    behaviour = (
        "Browsers leave the cookie out of requests that other sites start, plain links apart; "
        "needs Django 2.1, Flask 1.0, Werkzeug 0.14 or later."
    )
    declines = "The flag is a variable, or arguments are unpacked."
    flag = "samesite"
    safe = '"Lax"'
    unsafe_value = "None"
