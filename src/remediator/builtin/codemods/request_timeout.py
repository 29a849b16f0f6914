"""HTTP calls that may wait for ever."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

_VERBS = vocabulary("get post put patch delete head options request")
_SESSIONS = frozenset({"requests.Session", "requests.session", "requests.sessions.Session"})
# The position at which each function takes its time-out.
_OPENERS = {"urllib.request.urlopen": 2, "urllib2.urlopen": 2, "six.moves.urllib.request.urlopen": 2, "ftplib.FTP": 4}
_KEYWORD_ONLY = frozenset({"smtplib.SMTP", "smtplib.SMTP_SSL", "http.client.HTTPConnection", "http.client.HTTPSConnection", "poplib.POP3"})
SECONDS = 60


class RequestTimeout(Transform):
    """Gives up after a minute."""

    name = "request-timeout"
    cwe = frozenset({400, 770, 772, 1088})
    words = ("timeout", "time-out", "without a time")
    summary = f"Give up a request after {SECONDS} seconds of silence"
    behaviour = f"A server that is silent for {SECONDS} seconds now makes the call raise its time-out error; before, it waited for ever."
    declines = "The object that is called is not certainly a requests session, or arguments are unpacked."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give `timeout`."""
        if not isinstance(node, cst.Call):
            return False
        known, position = _position(node, scene)
        if not known:
            return False
        given = argument(node, "timeout", position)
        if given is not None:
            if not is_name(given.value, "None"):
                return False
            if scene.name(node.func).startswith("httpx."):
                raise ambiguous("the time-out is switched off on purpose")
            draft.replace(given.value, str(SECONDS))
            return True
        if scene.name(node.func).startswith("httpx."):
            return False
        if has_stars(node) or not draft.takes_another(node):
            raise unsafe("the call unpacks its arguments, among which there may be a time-out")
        draft.add_argument(node, f"timeout={SECONDS}")
        return True


def _position(node: cst.Call, scene: Scene) -> tuple[bool, int | None]:
    names = scene.names(node.func)
    if names and all(name in _OPENERS for name in names):
        return True, max(_OPENERS[name] for name in names)
    if names and names <= _KEYWORD_ONLY:
        return True, None
    if len(names) == 1:
        module, _, member = next(iter(names)).rpartition(".")
        return (module in ("requests", "requests.api", "httpx") and member in _VERBS), None
    if not isinstance(node.func, cst.Attribute) or node.func.attr.value not in _VERBS:
        return False, None
    made = scene.made_by(node.func.value)
    return bool(made) and made <= _SESSIONS, None
