"""One changed file, before and after."""

from __future__ import annotations

from typing import NamedTuple

from remediator.diff.change import FileChange

_LANGUAGES = {
    **dict.fromkeys(("py", "pyw", "pyi"), "python"),
    **dict.fromkeys(("js", "jsx", "mjs", "cjs"), "javascript"),
    **dict.fromkeys(("ts", "tsx", "mts", "cts"), "typescript"),
    **dict.fromkeys(("c", "h"), "c"),
    **dict.fromkeys(("cc", "cpp", "cxx", "hpp", "hh"), "c++"),
    "go": "go",
    "java": "java",
    "rb": "ruby",
    "php": "php",
    "rs": "rust",
    "cs": "c#",
    "kt": "kotlin",
    "sh": "shell",
}


class FilePair(NamedTuple):
    """A file's content before and after the patch (None where it is not there), and the patch's part that says so."""

    path: str
    before: bytes | None
    after: bytes | None
    change: FileChange

    @property
    def language(self) -> str:
        """Return the file's language by its ending or first line, or an empty string."""
        known = _LANGUAGES.get(self.path.rpartition(".")[2].lower() if "." in self.path.rpartition("/")[2] else "", "")
        first = (self.after or self.before or b"").split(b"\n", 1)[0]
        return known or ("python" if first.startswith(b"#!") and b"python" in first else "")

    @property
    def added_lines(self) -> frozenset[int]:
        """Return the numbers of the new lines in the new file."""
        return frozenset(line.new for line in self.change.added)
