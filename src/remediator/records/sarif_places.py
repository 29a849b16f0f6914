"""Where a SARIF log's locations lie in a tree: URIs to paths, regions to lines and columns."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from urllib.parse import unquote_to_bytes, urlsplit

from remediator.records.finding import Location
from remediator.records.json_node import JsonNode
from remediator.records.source_text import SourceText, decoded

_DEPTH = 16


class PlaceError(ValueError):
    """A location that is not in the tree, or not in the file."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(detail)
        self.path = path
        self.detail = detail


class SarifPlaces:
    """Finds the places that one run speaks of. `read` returns a file's content, or None where the tree has no such file."""

    def __init__(self, run: JsonNode, read: Callable[[str], bytes | None], root: str = "") -> None:
        self._read = read
        self._there: dict[str, bool] = {}
        self._artifacts = run.items("artifacts")
        self._bases = dict(run.members("originalUriBaseIds"))
        self._utf16 = run.text("columnKind") != "unicodeCodePoints"
        self._prefixes = [prefix for prefix in (_clean(root), *self._roots(run)) if prefix]
        self._texts: dict[str, SourceText] = {}

    def path(self, artifact: JsonNode) -> str:
        """Return the path in the tree of an artifactLocation. Raises PlaceError."""
        uri, base = artifact.text("uri"), artifact.text("uriBaseId")
        index = artifact.number("index")
        if not uri and index is not None and 0 <= index < len(self._artifacts):
            location = self._artifacts[index].object("location")
            uri, base = location.text("uri"), location.text("uriBaseId")
        if not uri:
            raise PlaceError("", "the location names no file")
        path = self._resolved(uri, base)
        if not self._exists(path):
            raise PlaceError(path, "the tree has no such file")
        return path

    def _exists(self, path: str) -> bool:
        if path not in self._there:
            self._there[path] = self._read(path) is not None
        return self._there[path]

    def source(self, path: str) -> SourceText:
        """Return the text of a file. Raises PlaceError."""
        if path not in self._texts:
            data = self._read(path)
            if data is None:
                raise PlaceError(path, "the tree has no such file")
            # One file at a time: logs are sorted by file more often than not, and memory stays flat.
            self._texts = {path: SourceText(data)}
        return self._texts[path]

    def location(self, physical: JsonNode) -> Location:
        """Return the location of a physicalLocation. Raises PlaceError."""
        path = self.path(physical.object("artifactLocation"))
        # Tools are careless about where a statement ends: an end past its line is the line's end. The start must be right.
        return self._located(path, physical.object("region"), careless=True)

    def region(self, path: str, region: JsonNode) -> Location:
        """Return the exact location of a region; one without a place is the start of the file. Raises PlaceError."""
        return self._located(path, region, careless=False)

    def _located(self, path: str, region: JsonNode, *, careless: bool) -> Location:
        source = self.source(path)
        try:
            start, end = self._span(source, region, careless)
            return source.location(path, start, end)
        except (ValueError, UnicodeError) as error:
            raise PlaceError(path, f"{region.where} is not in the file: {error}") from error

    def _span(self, source: SourceText, region: JsonNode, careless: bool) -> tuple[int, int]:
        line = region.number("startLine")
        if line is not None:
            return self._line_span(source, region, line, careless)
        if (at := region.number("byteOffset")) is not None:
            return at, at + (region.number("byteLength") or 0)
        if (at := region.number("charOffset")) is not None:
            return self._char_span(source, at, region.number("charLength") or 0)
        return 0, 0

    def _line_span(self, source: SourceText, region: JsonNode, line: int, careless: bool) -> tuple[int, int]:
        last = region.number("endLine") or line
        column, end_column = region.number("startColumn") or 1, region.number("endColumn")
        start = self._offset(source, line, column)
        end = source.offset(last, len(source.line(last)) + 1)
        if end_column is not None and not (careless and end_column > len(source.line(last)) + 1):
            end = self._offset(source, last, end_column)
        if end < start:
            raise ValueError("it ends before it starts")
        return start, end

    def _offset(self, source: SourceText, line: int, column: int) -> int:
        return source.offset_utf16(line, column) if self._utf16 else source.offset(line, column)

    def _char_span(self, source: SourceText, at: int, length: int) -> tuple[int, int]:
        text = decoded(source.data)
        if self._utf16:
            units = text.encode("utf-16-le", "surrogatepass")
            if not 0 <= at <= at + length <= len(units) // 2:
                raise ValueError(f"characters {at} to {at + length} are outside of the file")
            before, inside = (units[: at * 2], units[at * 2 : (at + length) * 2])
            parts = (before.decode("utf-16-le", "surrogatepass"), inside.decode("utf-16-le", "surrogatepass"))
        else:
            if not 0 <= at <= at + length <= len(text):
                raise ValueError(f"characters {at} to {at + length} are outside of the file")
            parts = (text[:at], text[at : at + length])
        start = len(parts[0].encode("utf-8", "surrogateescape"))
        return start, start + len(parts[1].encode("utf-8", "surrogateescape"))

    def _resolved(self, uri: str, base: str) -> str:
        split = urlsplit(uri)
        if split.scheme not in ("", "file") and not (len(split.scheme) == 1 and split.scheme.isalpha()):
            raise PlaceError(uri, f"{split.scheme}: is not a place in the tree")
        path = _path_of(uri)
        if not path.startswith("/") and base:
            path = self._below(path, base, _DEPTH)
        if path.startswith("/"):
            path = self._in_tree(path)
        clean = posixpath.normpath(path)
        if clean.startswith(("/", "../")) or clean in ("", ".", ".."):
            raise PlaceError(uri, "the location is outside of the tree")
        return clean

    def _below(self, path: str, base: str, depth: int) -> str:
        entry = self._bases.get(base)
        if entry is None or depth == 0:
            return path
        folder = _path_of(entry.text("uri"))
        if folder.startswith("/"):
            # The outermost folder is where the tree was; it stands for the tree itself.
            return posixpath.join(folder, path)
        joined = posixpath.join(folder, path) if folder else path
        above = entry.text("uriBaseId")
        return self._below(joined, above, depth - 1) if above else joined

    def _in_tree(self, path: str) -> str:
        for prefix in self._prefixes:
            if path.startswith(prefix.rstrip("/") + "/"):
                inside = path[len(prefix.rstrip("/")) + 1 :]
                if self._exists(posixpath.normpath(inside)):
                    return inside
        raise PlaceError(path, "the location is outside of the tree")

    def _roots(self, run: JsonNode) -> list[str]:
        found = [_path_of(entry.text("uri")) for entry in self._bases.values() if not entry.text("uriBaseId")]
        found += [_path_of(invocation.object("workingDirectory").text("uri")) for invocation in run.items("invocations")]
        found += [_path_of(origin.object("mappedTo").text("uri")) for origin in run.items("versionControlProvenance")]
        return [path for path in (*found, self._common_root(run)) if path.startswith("/")]

    def _common_root(self, run: JsonNode) -> str:
        """Return the folder without which every absolute location of the run is a file of the tree, if there is just one such folder."""
        paths = sorted({path for path in _uris(run) if path.startswith("/")})
        if not paths:
            return ""
        parts = paths[0].split("/")
        fits = ["/".join(parts[:cut]) + "/" for cut in range(1, len(parts))]
        fits = [root for root in fits if all(path.startswith(root) and self._exists(path[len(root) :]) for path in paths)]
        return fits[0] if len(fits) == 1 else ""


def _uris(run: JsonNode) -> list[str]:
    places = [
        location.object("physicalLocation").object("artifactLocation")
        for result in run.items("results")
        for location in result.items("locations")
    ]
    return [_path_of(place.text("uri")) for place in places if not place.text("uriBaseId")]


def _path_of(uri: str) -> str:
    """Return the path of a URI or of a plain path, percent-encoding undone, with forward slashes."""
    split = urlsplit(uri)
    if len(split.scheme) == 1 or "\\" in uri:
        return "/" + uri.replace("\\", "/").lstrip("/") if len(split.scheme) == 1 else uri.replace("\\", "/")
    return decoded(unquote_to_bytes(split.path))


def _clean(root: str) -> str:
    return _path_of(root) if root else ""
