"""Flask and Django settings that weaken cookies or CSRF protection."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, is_name
from remediator.builtin.codemods.setting_assignment import is_for_trial, setting_of
from remediator.builtin.codemods.transform import Transform, ambiguous

_ON = {
    "SESSION_COOKIE_SECURE": "The session cookie goes over HTTPS only: on plain HTTP nobody stays logged in.",
    "SESSION_COOKIE_HTTPONLY": "Scripts in the page cannot read the session cookie.",
    "REMEMBER_COOKIE_SECURE": "The remember-me cookie goes over HTTPS only.",
    "REMEMBER_COOKIE_HTTPONLY": "Scripts in the page cannot read the remember-me cookie.",
    "CSRF_COOKIE_SECURE": "The CSRF cookie goes over HTTPS only: forms on plain HTTP are refused.",
    "LANGUAGE_COOKIE_SECURE": "The language cookie goes over HTTPS only.",
    "WTF_CSRF_ENABLED": "Forms without a valid CSRF token are refused.",
    "WTF_CSRF_CHECK_DEFAULT": "Requests without a valid CSRF token are refused.",
    "SECURE_CONTENT_TYPE_NOSNIFF": "Browsers no longer guess the type of responses.",
    "SECURE_BROWSER_XSS_FILTER": "A header asks old browsers to filter reflected scripts.",
}


class CookieSettings(Transform):
    """Switches the protection on."""

    name = "cookie-settings"
    cwe = frozenset({311, 319, 352, 523, 614, 693, 732, 1004, 1275})
    words = ("cookie", "csrf", "nosniff")
    summary = "Switch the protection of cookies and forms on"
    behaviour = "Cookies go over HTTPS only or are hidden from scripts, and forms need their CSRF token, as the setting says."
    declines = "The value is a variable, or the file or class is named as one for development or tests."
    nodes = (cst.Assign, cst.Arg)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Turn `False` into `True`."""
        setting = setting_of(node, scene)
        if setting is None or setting.name not in _ON or not is_name(setting.value, "False"):
            return False
        if is_for_trial(scene, node):
            raise ambiguous("the settings are named as those for development or tests")
        draft.replace(setting.value, "True")
        draft.behaviour = _ON[setting.name]
        return True
