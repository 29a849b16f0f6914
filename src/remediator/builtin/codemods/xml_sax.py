"""xml.sax parsers that fetch external entities."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.import_edits import local_name
from remediator.builtin.codemods.scene import Scene, dotted, has_stars
from remediator.builtin.codemods.transform import Transform, unsafe

_MAKERS = frozenset({"xml.sax.make_parser", "xml.sax.expatreader.create_parser"})


class SaxExternalEntities(Transform):
    """Forbids external entities; uses defusedxml where the project depends on it already."""

    name = "sax-external-entities"
    cwe = frozenset({20, 611, 776, 827, 918})
    words = ("sax", "xxe", "external entit", "xml")
    summary = "Do not fetch external XML entities"
    behaviour = "Documents that draw in other files or addresses by external entities are read without them."
    declines = "The parser is not kept in a variable by a statement of its own, or `xml.sax.parse` is used as a value."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Switch the feature off on the parser."""
        if not isinstance(node, cst.Call):
            return False
        name = scene.name(node.func)
        if name not in (_MAKERS | {"xml.sax.parse", "xml.sax.parseString"}):
            return False
        if "defusedxml" in scene.project.requires and name.startswith("xml.sax."):
            member = name.rpartition(".")[2]
            if member in ("make_parser", "parse", "parseString"):
                draft.replace_func(node, f"{draft.module('defusedxml.sax', node)}.{member}")
                draft.behaviour = "Documents with entities of their own, or that draw in others, are refused with a DefusedXmlException."
                return True
        if name in _MAKERS:
            return self._harden(node, scene, draft)
        return self._expand(node, scene, draft)

    def _harden(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        line, parent = scene.line(node), scene.parent(node)
        if line is None or not isinstance(parent, cst.Assign) or len(parent.targets) != 1 or not draft.stands_alone(line):
            raise unsafe("the parser is not kept by a statement of its own, on which a feature could be set")
        target = dotted(parent.targets[0].target)
        if not target:
            raise unsafe("the parser is not kept in a plain variable")
        if _is_switched_off(target, node, scene):
            return False
        draft.add_lines_after(line, [f"{target}.setFeature({_feature(draft, node)}, False)"])
        return True

    def _expand(self, node: cst.Call, scene: Scene, draft: Draft) -> bool:
        """Do what `xml.sax.parse` or `parseString` does, with a parser in hand."""
        line = scene.line(node)
        plain = len(node.args) == 2 and all(arg.keyword is None and not arg.star for arg in node.args) and not has_stars(node)
        if line is None or not isinstance(scene.parent(node), cst.Expr) or not draft.stands_alone(line) or not plain:
            raise unsafe("the call makes a parser that cannot be reached, and is no plain statement with two arguments")
        parser = next((name for name in ("parser", "sax_parser", "_sax_parser") if not scene.is_bound(name) and not scene.uses(name)), None)
        if parser is None:
            raise unsafe("every name for the parser is taken")
        source, handler = (scene.code(arg.value) for arg in node.args)
        statements = [
            f"{parser} = {draft.sibling(node.func, 'make_parser')}()",
            f"{parser}.setFeature({_feature(draft, node)}, False)",
            f"{parser}.setContentHandler({handler})",
        ]
        draft.add_lines_before(line, statements)
        if scene.name(node.func) == "xml.sax.parseString":
            draft.replace(node, f"{parser}.feed({source})")
            draft.add_lines_after(line, [f"{parser}.close()"])
        else:
            draft.replace(node, f"{parser}.parse({source})")
        draft.release(node.func)
        return True


def _feature(draft: Draft, near: cst.Call) -> str:
    package = local_name(draft.scene, "xml.sax", near)
    # The package imports its own `handler`, so that the long way is always there.
    return f"{package}.handler.feature_external_ges" if package else draft.member("xml.sax.handler", "feature_external_ges", near)


def _is_switched_off(target: str, near: cst.Call, scene: Scene) -> bool:
    around = scene.function(near)
    for other in scene.nodes():
        if (
            isinstance(other, cst.Call)
            and dotted(other.func) == f"{target}.setFeature"
            and len(other.args) == 2
            and dotted(other.args[0].value).endswith("feature_external_ges")
            and scene.function(other) is around
        ):
            return True
    return False
