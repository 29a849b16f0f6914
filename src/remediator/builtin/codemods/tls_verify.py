"""Certificates that are not checked, by an argument."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.context_words import vocabulary
from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, dotted, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, unsafe

_VERBS = vocabulary("get post put patch delete head options request stream send")
_CLIENTS = frozenset({"requests.Session", "requests.session", "requests.sessions.Session", "httpx.Client", "httpx.AsyncClient"})
_URLLIB3 = frozenset({f"urllib3.{name}" for name in ("PoolManager", "ProxyManager", "HTTPSConnectionPool", "connection_from_url")})


class TlsVerify(Transform):
    """Checks the server's certificate."""

    name = "tls-verify"
    cwe = frozenset({295, 296, 297, 298, 299, 300, 319, 326, 345})
    words = ("verify", "certificate", "tls", "ssl")
    summary = "Check the server's certificate"
    behaviour = "Servers with a certificate that no trusted authority signed (self-signed, expired, wrong name) are refused."
    declines = "The value is a variable, or the function that takes it is not an HTTP client's."
    nodes = (cst.Call, cst.Assign)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Take `verify=False` away, or its like."""
        if isinstance(node, cst.Assign):
            return self._attribute(node, scene, draft)
        if not isinstance(node, cst.Call):
            return False
        return self._verify(node, scene, draft) or self._aiohttp(node, scene, draft) or self._urllib3(node, scene, draft)

    def _verify(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        arg = argument(node, "verify")
        if arg is None or not is_name(arg.value, "False"):
            return False
        name = scene.name(node.func)
        module, _, member = name.rpartition(".")
        if (module in ("requests", "requests.api", "httpx") and member in _VERBS) or name in _CLIENTS:
            draft.remove_argument(node, arg)
            return True
        method = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
        made = scene.made_by(node.func.value) if isinstance(node.func, cst.Attribute) else frozenset()
        if method in _VERBS and (made & _CLIENTS or scene.imports("requests", "httpx", "requests_toolbelt")):
            # Not removed: the session may say False too, and the call then has to say otherwise.
            draft.replace(arg.value, "True")
            return True
        raise unsafe(f"what `{scene.code(node.func)}` does with verify is not known")

    def _aiohttp(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        if not scene.imports("aiohttp"):
            return False
        method = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
        if scene.name(node.func) != "aiohttp.TCPConnector" and method not in _VERBS | {"ws_connect"}:
            return False
        for keyword in ("ssl", "verify_ssl"):
            arg = argument(node, keyword)
            if arg is not None and is_name(arg.value, "False"):
                draft.remove_argument(node, arg)
                return True
        return False

    def _urllib3(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        if scene.name(node.func) not in _URLLIB3:
            return False
        arg = argument(node, "cert_reqs")
        if arg is None or has_stars(node):
            return False
        if isinstance(arg.value, cst.SimpleString) and arg.value.evaluated_value in ("CERT_NONE", "NONE"):
            draft.replace(arg.value, '"CERT_REQUIRED"')
        elif scene.name(arg.value) == "ssl.CERT_NONE":
            draft.replace(arg.value, draft.sibling(arg.value, "CERT_REQUIRED"))
        else:
            return False
        host = argument(node, "assert_hostname")
        if host is not None and is_name(host.value, "False"):
            draft.remove_argument(node, host)
        return True

    def _attribute(self, node: cst.Assign, scene: Scene, draft: Draft) -> bool:
        if not is_name(node.value, "False") or len(node.targets) != 1:
            return False
        target = node.targets[0].target
        if not isinstance(target, cst.Attribute) or target.attr.value != "verify":
            return False
        made = scene.made_by(target.value)
        if not made & _CLIENTS and not (scene.imports("requests", "httpx") and "session" in dotted(target.value).lower()):
            raise unsafe(f"what `{scene.code(target)}` does is not known")
        draft.replace(node.value, "True")
        return True
