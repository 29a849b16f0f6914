"""The standard library's XML parsers, where the project has defusedxml at hand."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument
from remediator.builtin.codemods.transform import Transform, needs_design, unsafe

_TREE = ("parse", "iterparse", "fromstring", "XML", "XMLParser")
_FUNCTIONS = {
    **{f"xml.etree.{module}.{name}": f"defusedxml.ElementTree.{name}" for module in ("ElementTree", "cElementTree") for name in _TREE},
    **{
        f"xml.dom.{module}.{name}": f"defusedxml.{module}.{name}"
        for module in ("minidom", "pulldom", "expatbuilder")
        for name in ("parse", "parseString")
    },
}
_WITHOUT_TWIN = frozenset({"xml.parsers.expat.ParserCreate", "xmlrpc.client.ServerProxy", "xmlrpclib.ServerProxy"})


class DefusedXml(Transform):
    """Parses by defusedxml."""

    name = "defused-xml"
    cwe = frozenset({20, 400, 611, 776, 827})
    words = ("xml", "xxe", "entity expansion", "billion laughs")
    summary = "Parse XML with entities forbidden"
    behaviour = "Documents that declare entities of their own, or draw in others, are refused with a DefusedXmlException (a ValueError)."
    declines = "The project does not depend on defusedxml: a new dependency is the maintainers' choice."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Call defusedxml's function of the same name."""
        if not isinstance(node, cst.Call):
            return False
        names = scene.names(node.func)
        twins = {_FUNCTIONS.get(name) for name in names}
        if names & _WITHOUT_TWIN:
            raise needs_design("this parser has no safe twin that takes the same arguments")
        if len(twins) != 1 or (twin := twins.pop()) is None:
            return False
        if "defusedxml" not in scene.project.requires:
            raise needs_design(
                "the standard library's parser cannot be told to refuse entities, and the project does not depend on defusedxml"
            )
        if argument(node, "parser") is not None:
            raise unsafe("the call brings a parser of its own")
        module, _, member = twin.rpartition(".")
        draft.replace_func(node, draft.member(module, member, node))
        return True
