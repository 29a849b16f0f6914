"""Cookies that are set without their flags."""

from __future__ import annotations

from typing import NamedTuple

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary, words_in
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_READ_BY_SCRIPTS = vocabulary("csrf xsrf csrftoken theme lang language locale consent")


class _Flag(NamedTuple):
    keyword: str
    safe: str
    cwe: frozenset[int]


_SECURE = _Flag("secure", "True", frozenset({311, 319, 523, 614}))
_HTTP_ONLY = _Flag("httponly", "True", frozenset({732, 1004}))
_SAME_SITE = _Flag("samesite", '"Lax"', frozenset({352, 1275}))


class CookieFlags(Transform):
    """Gives the flags that the finding is about; at a second try, both `secure` and `httponly`."""

    name = "cookie-flags"
    cwe = _SECURE.cwe | _HTTP_ONLY.cwe | _SAME_SITE.cwe
    words = ("cookie", "httponly", "samesite")
    summary = "Set the cookie with its protecting flags"
    behaviour = (
        "With `secure`, browsers send the cookie back over HTTPS only; with `httponly`, scripts in the page cannot read it; "
        "with `samesite`, it is left out of requests that other sites start (needs Django 2.1, Flask 1.0 or Werkzeug 0.14)."
    )
    declines = "A flag is a variable, arguments are unpacked, or the cookie's name says that scripts read it (a CSRF token, a theme)."
    variants = 2

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give the flags to `set_cookie`."""
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
            return False
        if node.func.attr.value not in ("set_cookie", "set_signed_cookie") or argument(node, "value", 1) is None:
            # With one argument it is a cookie that is put into a jar.
            return False
        wanted = [flag for flag in (_SECURE, _HTTP_ONLY, _SAME_SITE) if flag.cwe & draft.cwe]
        if draft.variant or not wanted:
            wanted = [_SECURE, _HTTP_ONLY]
        changes = [self._give(flag, node, draft) for flag in wanted]
        missing = [text for text in changes if text]
        if missing:
            draft.add_argument(node, ", ".join(missing))
        return any(text is not None for text in changes)

    def _give(self, flag: _Flag, node: cst.Call, draft: Draft) -> str | None:
        """Set a flag that is there; return what has to be added for one that is not, None where nothing has to be done."""
        given = argument(node, flag.keyword)
        if given is not None and (is_name(given.value, "True") or isinstance(given.value, cst.SimpleString)):
            return None
        if given is not None and not is_name(given.value, "False", "None"):
            raise ambiguous(f"{flag.keyword} is decided elsewhere")
        if given is None and (has_stars(node) or sum(arg.keyword is None for arg in node.args) > 2):
            raise unsafe("the call's arguments cannot all be told apart")
        if flag is _HTTP_ONLY and words_in(node.args[0].value) & _READ_BY_SCRIPTS:
            raise ambiguous("by its name the cookie is one that scripts read")
        if given is None:
            return f"{flag.keyword}={flag.safe}"
        draft.replace(given.value, flag.safe)
        return ""
