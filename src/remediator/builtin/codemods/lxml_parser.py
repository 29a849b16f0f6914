"""lxml parsers that resolve entities."""

from __future__ import annotations

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene, argument, has_stars, is_name
from remediator.builtin.codemods.transform import Transform, ambiguous, unsafe

# The position at which each function takes its parser.
_READERS = {
    **{f"lxml.etree.{name}": 1 for name in ("parse", "fromstring", "XML", "fromstringlist")},
    **{f"lxml.objectify.{name}": 1 for name in ("parse", "fromstring", "XML")},
}
_SAFE = {"resolve_entities": "False", "no_network": "True"}
_UNSAFE_SWITCHES = ("load_dtd", "dtd_validation")


class LxmlParser(Transform):
    """Leaves entities unresolved, and the network alone."""

    name = "lxml-parser"
    cwe = frozenset({20, 400, 611, 776, 827, 918})
    words = ("lxml", "xxe", "external entit")
    summary = "Do not resolve XML entities"
    behaviour = (
        "Entities that a document declares stay unresolved (no text stands in their place); "
        "the five built-in ones and character references work as before."
    )
    declines = "The parser comes from elsewhere, loads DTDs on purpose, or arguments are unpacked."

    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Give the parser, or the function that has none, `resolve_entities=False`."""
        if not isinstance(node, cst.Call):
            return False
        name = scene.name(node.func)
        if name in ("lxml.etree.XMLParser", "lxml.etree.iterparse", "lxml.etree.ETCompatXMLParser", "lxml.objectify.makeparser"):
            return self._harden(node, scene, draft)
        if name not in _READERS:
            return False
        if has_stars(node):
            raise unsafe("the arguments cannot be seen")
        given = argument(node, "parser", _READERS[name])
        if given is not None:
            return self._given(given, scene, draft)
        maker = draft.sibling(node.func, "makeparser" if name.startswith("lxml.objectify.") else "XMLParser")
        if not draft.takes_another(node):
            raise unsafe("the call takes a bare generator")
        draft.add_argument(node, f"parser={maker}(resolve_entities=False, no_network=True)")
        return True

    def _given(self, given: cst.Arg, scene: Scene, draft: Draft) -> bool:
        value = given.value if isinstance(given.value, cst.Call) else scene.value_of(given.value)
        if isinstance(value, cst.Call) and scene.name(value.func) in ("lxml.etree.XMLParser", "lxml.objectify.makeparser"):
            return self._harden(value, scene, draft)
        if isinstance(value, cst.Call) and scene.name(value.func) == "lxml.etree.HTMLParser":
            raise ambiguous("an HTML parser is used, which resolves no entities of the document's own")
        raise ambiguous("the parser that is used comes from elsewhere")

    def _harden(self, call: cst.Call, scene: Scene, draft: Draft) -> bool:
        if has_stars(call):
            raise unsafe("the parser's arguments cannot be seen")
        for switch in _UNSAFE_SWITCHES:
            if (on := argument(call, switch)) is not None and not is_name(on.value, "False"):
                raise ambiguous(f"the parser is told {switch}, so DTDs and their entities are wanted")
        changed = False
        missing: list[str] = []
        for keyword, safe in _SAFE.items():
            arg = argument(call, keyword)
            if arg is None:
                # The network is off by default; it is named only where something else is changed as well.
                missing.append(f"{keyword}={safe}")
            elif not isinstance(arg.value, cst.Name) or arg.value.value not in ("True", "False"):
                raise ambiguous(f"{keyword} is decided elsewhere")
            elif arg.value.value != safe:
                draft.replace(arg.value, safe)
                changed = True
        if "resolve_entities=False" in missing or (changed and missing):
            draft.add_argument(call, ", ".join(missing))
            changed = True
        return changed
