"""ssl contexts that check nothing, or speak protocols that are broken."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, Span, dotted, is_name
from remediator.builtin.codemods.transform import RefusedError, Transform, unsafe

_BROKEN = frozenset(f"ssl.PROTOCOL_{name}" for name in ("SSLv2", "SSLv3", "TLSv1", "TLSv1_1"))
_BROKEN_VERSIONS = frozenset(f"ssl.TLSVersion.{name}" for name in ("SSLv3", "TLSv1", "TLSv1_1", "MINIMUM_SUPPORTED"))
_CHECKING = frozenset({"ssl.create_default_context", "ssl._create_default_https_context"})


class SslContext(Transform):
    """Uses the default context, which checks certificate and name."""

    name = "ssl-context"
    cwe = frozenset({295, 296, 297, 298, 299, 300, 319, 326, 327, 345, 757})
    words = ("ssl", "tls", "certificate", "hostname")
    summary = "Use an ssl context that checks certificate and name"
    behaviour = "Servers with a certificate that no trusted authority signed, or with another name in it, are refused."
    declines = "The context is made elsewhere, or without certificates of authorities to check against."
    nodes = (cst.Attribute, cst.Name, cst.Assign)

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Replace the unchecked context, the broken protocol, or the assignments that switch checks off."""
        if isinstance(node, cst.Assign):
            return self._for_everybody(node, scene, draft) or self._switched_off(node, scene, draft)
        if isinstance(scene.parent(node), cst.Attribute | cst.ImportAlias | cst.AssignTarget) or not isinstance(
            node, cst.Attribute | cst.Name
        ):
            return False
        name = scene.name(node)
        if isinstance(scene.parent(node), cst.ComparisonTarget | cst.Comparison | cst.DictElement | cst.Element | cst.Index):
            # It is looked for there, not chosen.
            return False
        if name in ("ssl._create_unverified_context", "ssl._create_stdlib_context"):
            return self._default_context(node, scene, draft)
        if name in _BROKEN_VERSIONS:
            statement = scene.parent(node)
            if not isinstance(statement, cst.Assign) or not dotted(statement.targets[0].target).endswith(".minimum_version"):
                return False
            draft.replace(node, f"{scene.code(cst.ensure_type(node, cst.Attribute).value)}.TLSv1_2")
            draft.behaviour = "A peer that speaks nothing newer than TLS 1.1 is refused."
            return True
        if name in _BROKEN:
            draft.replace(node, draft.sibling(node, "PROTOCOL_TLS"))
            draft.release(node)
            draft.behaviour = (
                "The newest protocol that both sides speak is used; a peer that speaks nothing newer than TLS 1.1 may be refused."
            )
            return True
        return False

    def _for_everybody(self, node: cst.Assign, scene: Scene, draft: Draft) -> bool:
        """Take away the statement that gives an unchecked context to every HTTPS request of the process."""
        line = scene.line(node)
        target = node.targets[0].target
        if (
            line is None
            or dotted(target) != "ssl._create_default_https_context"
            or scene.name(node.value) != "ssl._create_unverified_context"
        ):
            return False
        try:
            self._remove(line, scene, draft)
        except RefusedError:
            return False
        draft.release(target)
        return True

    def _default_context(self, node: cst.Attribute | cst.Name, scene: Scene, draft: Draft) -> bool:
        parent = scene.parent(node)
        if (
            isinstance(parent, cst.Call)
            and parent.func is node
            and any(arg.keyword is None or arg.keyword.value not in _SHARED for arg in parent.args)
        ):
            raise unsafe("the call has arguments that create_default_context does not take in the same way")
        draft.replace(node, draft.sibling(node, "create_default_context"))
        draft.release(node)
        return True

    def _switched_off(self, node: cst.Assign, scene: Scene, draft: Draft) -> bool:
        off = _switch(node, scene)
        if not off:
            return False
        made = scene.made_by(cst.ensure_type(node.targets[0].target, cst.Attribute).value)
        if not made or not made <= _CHECKING:
            raise unsafe(f"whether `{off}` has certificates to check against is not known")
        for line in _lines_that_switch(off, node, scene):
            self._remove(line, scene, draft)
        return True

    def _remove(self, line: cst.SimpleStatementLine, scene: Scene, draft: Draft) -> None:
        block = scene.parent(line)
        if not draft.stands_alone(line) or len(getattr(block, "body", ())) < 3:
            raise unsafe("the statement cannot be taken away without leaving an empty block")
        span = scene.span(line)
        draft.replace_span(Span(scene.lines.start_of_line(span.start), scene.lines.end_of_line(span.end)), "")


_SHARED = ("cafile", "capath", "cadata", "purpose")


def _switch(node: cst.CSTNode, scene: Scene) -> str:
    """Return the context's name where an assignment switches one of its checks off."""
    if not isinstance(node, cst.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0].target, cst.Attribute):
        return ""
    target = node.targets[0].target
    hostname = target.attr.value == "check_hostname" and is_name(node.value, "False")
    mode = target.attr.value == "verify_mode" and scene.name(node.value) == "ssl.CERT_NONE"
    return dotted(target.value) if hostname or mode else ""


def _lines_that_switch(name: str, node: cst.Assign, scene: Scene) -> list[cst.SimpleStatementLine]:
    """Return all lines of the same block that switch checks of this context off: with one alone the other would raise."""
    own = scene.line(node)
    block = scene.parent(own) if own is not None else None
    lines = [line for line in getattr(block, "body", ()) if isinstance(line, cst.SimpleStatementLine)]
    return [line for line in lines if len(line.body) == 1 and _switch(line.body[0], scene) == name]
