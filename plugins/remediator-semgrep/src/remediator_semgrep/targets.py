"""Which files a scan reads, in batches, and how they lie on disk for it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from remediator.contracts import Tree, TreeEntry

BATCH_FILES = 1000
BATCH_BYTES = 24 * 1024 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*(?:[+-][A-Za-z0-9_.]+)*")
_ALIASES = "remediator_alias"
_SUFFIX = re.compile(r"\.[a-z0-9+]{1,12}")
_LONE_CR = re.compile(rb"\r(?!\n)")
_PYTHON_SHEBANG = re.compile(rb"#![^\n]{0,200}\bpython[0-9.]*\b")
_PYTHON = (".py", ".pyi", ".pyw")
_ENDINGS: dict[str, tuple[str, ...]] = {
    "apex": (".cls",),
    "bash": (".sh", ".bash"),
    "sh": (".sh", ".bash"),
    "c": (".c", ".h"),
    "cpp": (".cc", ".cpp", ".cxx", ".c++", ".h", ".hh", ".hpp", ".hxx"),
    "c++": (".cc", ".cpp", ".cxx", ".c++", ".h", ".hh", ".hpp", ".hxx"),
    "csharp": (".cs",),
    "c#": (".cs",),
    "go": (".go",),
    "golang": (".go",),
    "html": (".html", ".htm"),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".cjs", ".mjs"),
    "js": (".js", ".jsx", ".cjs", ".mjs"),
    "json": (".json",),
    "kotlin": (".kt", ".kts"),
    "lua": (".lua",),
    "ocaml": (".ml", ".mli"),
    "php": (".php", ".tpl", ".phtml"),
    "python": _PYTHON,
    "python2": _PYTHON,
    "python3": _PYTHON,
    "py": _PYTHON,
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "solidity": (".sol",),
    "swift": (".swift",),
    "terraform": (".tf", ".hcl", ".tfvars"),
    "hcl": (".tf", ".hcl", ".tfvars"),
    "typescript": (".ts", ".tsx"),
    "ts": (".ts", ".tsx"),
    "xml": (".xml",),
    "yaml": (".yml", ".yaml"),
}


class Target(NamedTuple):
    """A file to scan. `alias` is the name that it gets on disk where its own is not safe to hand to a program, else empty."""

    path: str
    size: int
    alias: str = ""

    @property
    def staged(self) -> str:
        """Return the name that the scanner sees."""
        return self.alias or self.path

    @property
    def is_python(self) -> bool:
        """Return whether this is a Python file."""
        return self.staged.lower().endswith(_PYTHON)


class Choice(NamedTuple):
    """The files that the rules speak about, those too large to read, and how many links were left out."""

    targets: tuple[Target, ...]
    too_large: tuple[TreeEntry, ...]
    links: int


def choose(tree: Tree, paths: Sequence[str] | None, languages: Iterable[str], max_bytes: int) -> Choice:
    """Choose the files of a tree that rules of these languages apply to. Blocks."""
    wanted = None if paths is None else frozenset(paths)
    endings = _endings(languages)
    targets: list[Target] = []
    too_large: list[TreeEntry] = []
    links = 0
    for entry in tree.entries():
        if wanted is not None and entry.path not in wanted:
            continue
        suffix = _suffix(tree, entry, endings)
        if suffix is None:
            continue
        if not entry.is_file:
            links += entry.mode == 0o120000
        elif entry.size > max_bytes:
            too_large.append(entry)
        else:
            targets.append(Target(entry.path, entry.size, _alias(entry.path, suffix, len(targets))))
    return Choice(tuple(targets), tuple(too_large), links)


def batches(targets: Sequence[Target]) -> Iterator[list[Target]]:
    """Yield the targets in groups that are small enough to hold at once."""
    batch: list[Target] = []
    size = 0
    for target in targets:
        if batch and (len(batch) >= BATCH_FILES or size + target.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(target)
        size += target.size
    if batch:
        yield batch


class Staged(NamedTuple):
    """What of a batch lies on disk, and the targets that could not be put there, with why."""

    root: Path
    there: dict[str, Target]
    missing: dict[str, str]


def stage(root: Path, batch: Sequence[Target]) -> Staged:
    """Give materialised files the names and line ends that semgrep reads as the language itself does. Blocks."""
    there: dict[str, Target] = {}
    missing: dict[str, str] = {}
    for target in batch:
        try:
            _place(root, target)
        except OSError as error:
            missing[target.path] = error.strerror or "not written"
        else:
            there[target.staged] = target
    return Staged(root, there, missing)


def normalised(data: bytes) -> bytes:
    """Return Python source as semgrep must see it: no byte order mark, and a line end where Python sees one.

    semgrep takes a lone carriage return for a blank, so that code behind a comment vanishes, and a byte order mark for a letter.
    """
    return _LONE_CR.sub(b"\n", data.removeprefix(codecs.BOM_UTF8))


def _place(root: Path, target: Target) -> None:
    own, staged = root / target.path, root / target.staged
    if not own.is_file() or own.is_symlink():
        raise FileNotFoundError(2, "not a regular file")
    if target.alias:
        staged.parent.mkdir(parents=True, exist_ok=True)
        own.rename(staged)
        _prune(own.parent, root)
    if target.is_python:
        data = staged.read_bytes()
        if (clean := normalised(data)) != data:
            staged.write_bytes(clean)


def _prune(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _endings(languages: Iterable[str]) -> tuple[str, ...] | None:
    found: set[str] = set()
    for language in languages:
        if language not in _ENDINGS:
            return None
        found.update(_ENDINGS[language])
    return tuple(sorted(found))


def _suffix(tree: Tree, entry: TreeEntry, endings: tuple[str, ...] | None) -> str | None:
    name = entry.path.rsplit("/", 1)[-1].lower()
    suffix = "." + name.rsplit(".", 1)[-1] if "." in name else ""
    if endings is None:
        return suffix if _SUFFIX.fullmatch(suffix) else ""
    if suffix in endings:
        return suffix
    if not suffix and ".py" in endings and entry.is_file and 0 < entry.size < 1_000_000 and entry.mode == 0o100755:
        return ".py" if _PYTHON_SHEBANG.match(tree.read(entry.path)[:256]) else None
    return None


def _alias(path: str, suffix: str, index: int) -> str:
    plain = all(_PLAIN.fullmatch(part) for part in path.split("/")) and not path.startswith(_ALIASES)
    if plain and path.endswith(suffix) and suffix != ".pyw":
        return ""
    ending = ".py" if suffix == ".pyw" else suffix
    return f"{_ALIASES}/f{index}{ending}"
