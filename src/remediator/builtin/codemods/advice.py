"""Flaws that are known and never changed: only why not is said."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.builtin.codemods.transform import Transform, ambiguous, needs_design

_WEAK_CIPHERS = vocabulary("DES DES3 ARC2 ARC4 Blowfish CAST XOR TripleDES IDEA CAST5 SEED RC4 RC2 ECB")
_CIPHER_ROOTS = ("Crypto.Cipher", "Cryptodome.Cipher", "cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.decrepit.ciphers")
_REDIRECTS = frozenset(
    {
        "flask.redirect",
        "werkzeug.utils.redirect",
        "django.shortcuts.redirect",
        "django.http.HttpResponseRedirect",
        "starlette.responses.RedirectResponse",
        "fastapi.responses.RedirectResponse",
        "bottle.redirect",
    }
)
_TEMPLATES = frozenset({"jinja2.Template", "mako.template.Template", "django.template.Template", "tornado.template.Template"})
_CLEARTEXT = frozenset({"telnetlib.Telnet", "ftplib.FTP", "smtplib.SMTP"})


class WeakCipher(Transform):
    """Declines: another cipher cannot read what this one wrote."""

    name = "weak-cipher"
    cwe = frozenset({310, 326, 327, 328, 780})
    words = ("cipher", "des", "rc4", "ecb", "blowfish", "encrypt")
    summary = "Use a cipher that holds"
    behaviour = "None: it never changes anything."
    declines = "Always: data that exist could not be read any more, and a safe mode needs a nonce and a tag beside them."
    nodes = (cst.Call, cst.Attribute)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        name = scene.name(node.func if isinstance(node, cst.Call) else node)
        parts = {part.removeprefix("MODE_") for part in name.split(".")}
        inner = [arg.value for arg in node.args] if isinstance(node, cst.Call) else []
        parts |= {part.removeprefix("MODE_") for value in inner for part in scene.name(value).split(".")}
        if name.startswith(_CIPHER_ROOTS) and parts & _WEAK_CIPHERS:
            raise needs_design("another cipher or mode cannot read what this one wrote, and needs a nonce and a tag to be kept")
        return False


class OpenRedirect(Transform):
    """Declines: which hosts are one's own is not in the code."""

    name = "open-redirect"
    cwe = frozenset({601})
    words = ("redirect",)
    summary = "Redirect to known places only"
    behaviour = "None: it never changes anything."
    declines = "Always: which addresses are allowed is a decision."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.Call) and (scene.name(node.func) in _REDIRECTS or _is_method(node, "redirect")):
            raise needs_design("which hosts a redirect may lead to is not in the code")
        return False


class BindAll(Transform):
    """Declines: a server in a container has to listen everywhere."""

    name = "bind-all"
    cwe = frozenset({200, 605, 668})
    words = ("0.0.0.0", "all interfaces", "bind")  # noqa: S104
    summary = "Listen on one interface"
    behaviour = "None: it never changes anything."
    declines = "Always: whether a server is meant for other machines is not in the code."
    nodes = (cst.SimpleString,)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.SimpleString) and node.evaluated_value in ("0.0.0.0", "::", ""):  # noqa: S104
            raise ambiguous("whether the server is meant for other machines is not in the code")
        return False


class TemplateFromText(Transform):
    """Declines: where the template comes from is decided elsewhere."""

    name = "template-from-text"
    cwe = frozenset({94, 95, 1336})
    words = ("template",)
    summary = "Render known templates only"
    behaviour = "None: it never changes anything."
    declines = "Always: whether the text is a template of one's own is not in the code."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.Call) and scene.name(node.func) in _TEMPLATES:
            raise needs_design("whether the text is a template of the project's own is not in the code")
        return False


class LoggedSecret(Transform):
    """Declines: what a log line is for is not in the code."""

    name = "logged-secret"
    cwe = frozenset({200, 312, 532})
    words = ("log", "secret", "sensitive")
    summary = "Keep secrets out of the log"
    behaviour = "None: it never changes anything."
    declines = "Always: which part of a line is needed is not in the code."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.Call) and (
            _is_method(node, "debug", "info", "warning", "error", "exception", "log") or scene.name(node.func) == "builtins.print"
        ):
            raise ambiguous("which part of the line somebody needs is not in the code")
        return False


class HardCodedSecret(Transform):
    """Declines: where a secret is to come from is a decision."""

    name = "hard-coded-secret"
    cwe = frozenset({259, 321, 547, 798})
    words = ("password", "secret", "credential", "hard-coded", "hardcoded")
    summary = "Keep secrets out of the code"
    behaviour = "None: it never changes anything."
    declines = "Always: where the secret is to come from is a decision, and the one that was published has to be changed."
    nodes = (cst.SimpleString,)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.SimpleString):
            raise needs_design(
                "where the secret is to come from is a decision, and the one in the code has to be replaced wherever it is used"
            )
        return False


class CleartextProtocol(Transform):
    """Declines: the other side has to speak the safe one too."""

    name = "cleartext-protocol"
    cwe = frozenset({319})
    words = ("telnet", "ftp", "cleartext", "plaintext")
    summary = "Speak an encrypted protocol"
    behaviour = "None: it never changes anything."
    declines = "Always: whether the other side speaks an encrypted protocol is not in the code."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Refuse with the reason."""
        if isinstance(node, cst.Call) and scene.name(node.func) in _CLEARTEXT:
            raise needs_design("whether the other side speaks an encrypted protocol is not in the code")
        return False


def _is_method(node: cst.Call, *names: str) -> bool:
    return isinstance(node.func, cst.Attribute) and node.func.attr.value in names
