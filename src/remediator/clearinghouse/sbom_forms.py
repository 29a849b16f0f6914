"""The forms of a bill of materials: CycloneDX in JSON and XML, SPDX 2 in JSON. Only what identifies a component is taken."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.parsers import expat

from remediator.errors import RemediatorError
from remediator.evidence.values import has_more

_MOST_DEPTH = 200
_MOST_VALUES = 20_000_000
_MOST_TEXT = 4_096
_NAMESPACE = "http://cyclonedx.org/schema/bom/"


class SbomError(RemediatorError):
    """A file is no bill of materials that we read, is damaged, or is too large. Never to be read as "nothing is affected"."""


class Item(NamedTuple):
    """A component as the file has it."""

    ref: str
    name: str
    version: str
    purls: tuple[str, ...]
    repositories: tuple[str, ...]


def listed(data: bytes, source: str) -> tuple[str, Iterator[Item]]:
    """Return the form and what is listed. Raises SbomError, also while the items are read."""
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return _from_xml(data, source)
    document = _json(data, source)
    if document.get("bomFormat") == "CycloneDX":
        return f"CycloneDX {_text(document.get('specVersion'))} JSON", _cyclonedx(document, source)
    version = _text(document.get("spdxVersion"))
    if version.startswith("SPDX-2."):
        return f"{version} JSON", _spdx(document, source)
    hint = "CycloneDX JSON or XML and SPDX 2 JSON are read"
    if "@graph" in document:
        raise SbomError(f"{source} is SPDX 3 or other JSON-LD, which is not read", hint=hint)
    raise SbomError(f"{source} is JSON, but no bill of materials that is read", hint=hint)


def _json(data: bytes, source: str) -> Mapping[str, Any]:
    if has_more([data], _MOST_VALUES):
        raise SbomError(f"{source} holds more than {_MOST_VALUES} JSON values", hint="no bill has as many; do not trust it")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SbomError(f"{source} is neither XML nor JSON", hint="CycloneDX JSON or XML and SPDX 2 JSON are read") from error
    if not isinstance(document, dict):
        raise SbomError(f"{source} is JSON, but no object")
    return document


def _cyclonedx(document: Mapping[str, Any], source: str) -> Iterator[Item]:
    main = _mapping(document.get("metadata")).get("component")
    todo = deque([*([main] if main is not None else []), *_array(document.get("components"), "components", source)])
    while todo:
        component = todo.popleft()
        if not isinstance(component, dict):
            raise SbomError(f"{source}: a component is no object")
        todo.extendleft(reversed(_array(component.get("components"), "components", source)))
        links = [_mapping(each) for each in _array(component.get("externalReferences"), "externalReferences", source)]
        yield Item(
            ref=_text(component.get("bom-ref")),
            name=_full_name(_text(component.get("group")), _text(component.get("name"))),
            version=_text(component.get("version")),
            purls=tuple(filter(None, (_text(component.get("purl")),))),
            repositories=tuple(_text(link.get("url")) for link in links if link.get("type") == "vcs"),
        )


def _spdx(document: Mapping[str, Any], source: str) -> Iterator[Item]:
    for package in _array(document.get("packages"), "packages", source):
        if not isinstance(package, dict):
            raise SbomError(f"{source}: a package is no object")
        links = [_mapping(each) for each in _array(package.get("externalRefs"), "externalRefs", source)]
        place = _text(package.get("downloadLocation"))
        yield Item(
            ref=_text(package.get("SPDXID")),
            name=_text(package.get("name")),
            version=_text(package.get("versionInfo")),
            purls=tuple(_text(link.get("referenceLocator")) for link in links if link.get("referenceType") == "purl"),
            repositories=(place,) if place.startswith("git") else (),
        )


def _from_xml(data: bytes, source: str) -> tuple[str, Iterator[Item]]:
    reader = _XmlReader(source)
    reader.read(data)
    if not reader.version:
        raise SbomError(f"{source} is XML, but no CycloneDX", hint="CycloneDX JSON or XML and SPDX 2 JSON are read")
    return f"CycloneDX {reader.version} XML", iter(reader.items)


class _XmlReader:
    """Collects components while the parser walks; no tree is built, and no document type is accepted, so nothing can be expanded."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.version = ""
        self.items: list[Item] = []
        self._path: list[str] = []
        self._open: list[dict[str, Any]] = []
        self._text: list[str] = []
        self._link = ""

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise SbomError(f"{self.source} is not well-formed XML: {expat.ErrorString(error.code)}, line {error.lineno}") from error
        except (ValueError, LookupError) as error:
            raise SbomError(f"{self.source} is XML in an encoding that is not read") from error

    def _refuse(self, *_: object) -> None:
        raise SbomError(f"{self.source} has a document type declaration, which no bill of materials needs")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if not self._path:
            if name != "bom" or not space.startswith(_NAMESPACE):
                raise SbomError(f"{self.source} is XML, but no CycloneDX", hint="CycloneDX JSON or XML and SPDX 2 JSON are read")
            self.version = space.removeprefix(_NAMESPACE)[:10]
        if len(self._path) >= _MOST_DEPTH:
            raise SbomError(f"{self.source} is nested more than {_MOST_DEPTH} deep")
        self._path.append(name if space.startswith(_NAMESPACE) else "")
        if self._is_component():
            self._open.append({"ref": attributes.get("bom-ref", ""), "depth": len(self._path), "purls": [], "repositories": []})
        if name == "reference":
            self._link = attributes.get("type", "")
        self._text.clear()

    def _end(self, _: str) -> None:
        name = self._path[-1]
        text = "".join(self._text).strip()[:_MOST_TEXT]
        self._text.clear()
        if self._is_component():
            self._close()
        elif self._open:
            # By depth, or what is said of an ancestor or an author would be taken for the component's own.
            self._take(name, self._path[self._open[-1]["depth"] :], text)
        self._path.pop()

    def _take(self, name: str, below: list[str], text: str) -> None:
        if below == ["purl"]:
            self._open[-1]["purls"].append(text)
        elif len(below) == 1 and name in ("group", "name", "version"):
            self._open[-1][name] = text
        elif below == ["externalReferences", "reference", "url"] and self._link == "vcs":
            self._open[-1]["repositories"].append(text)

    def _is_component(self) -> bool:
        # Components of tools are what made the bill, and those of a pedigree are ancestors: neither is in the product.
        path = self._path
        if path[-1:] != ["component"] or "tools" in path or "pedigree" in path:
            return False
        return path[-2:-1] in (["components"], ["metadata"])

    def _close(self) -> None:
        done = self._open.pop()
        name = _full_name(done.get("group", ""), done.get("name", ""))
        item = Item(done["ref"][:_MOST_TEXT], name, done.get("version", ""), tuple(done["purls"]), tuple(done["repositories"]))
        self.items.append(item)


def _full_name(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def _text(value: object) -> str:
    # JSON can spell half of a surrogate pair, which no output could encode.
    return value.encode("utf-8", "replace").decode().strip()[:_MOST_TEXT] if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _array(value: object, name: str, source: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise SbomError(f"{source}: {name!r} is no array")
    return value
