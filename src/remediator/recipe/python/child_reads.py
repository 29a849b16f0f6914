"""Finds where a test has another process, or a name that is made up while it runs, look at the program's text."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Collection, Iterator

_STARTERS = frozenset(("subprocess", "os", "asyncio", "pty", "commands"))
_STARTS = re.compile(
    r"run|Popen|call|check_call|check_output|getoutput|getstatusoutput|system|popen|create_subprocess_\w+|exec[lv]\w*|(?:posix_)?spawn\w*"
)
# Tools that only show a file. What also makes or moves files (tar, cp, git) is a test's own business; twins of the sources tell that apart.
_TEXT_TOOLS = frozenset(
    (
        "cat", "tac", "head", "tail", "less", "more", "nl", "cut", "sed", "awk", "gawk", "grep", "egrep", "fgrep", "rg", "ag", "ack",
        "strings", "xxd", "od", "hexdump", "diff", "cmp", "comm", "wc", "base64", "md5sum", "sha1sum", "sha256sum", "objdump",
    )
)  # fmt: skip
_THROUGH = frozenset(("sh", "bash", "dash", "env", "timeout", "nice", "xargs", "busybox", "sudo"))
_READS = frozenset(("read_text", "read_bytes", "readlines", "getlines", "getline", "findsource"))
_BUILTINS = ("builtins", "__builtins__")
_READING = ("os", "io", "sys", "importlib", "codecs", "pathlib", "shutil", "subprocess")
_PARTS = re.compile(r"[;|&\n(`]+")


def child_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the reason where a started program reads text. A program's own input is not told apart from its source."""
    kept = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    starters = _starters(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not _is_start(call.func, starters):
            continue
        words = [word for argument in call.args for word in _words(argument, kept)]
        if tool := next(iter(_tools(words)), ""):
            yield call.lineno, f"{tool} reads the program's text, or could, instead of using the program"
        for before, word in itertools.pairwise(words):
            if before in ("-c", "-Ic", "-Sc", "-Bc") and (problem := _code_problem(word)):
                yield call.lineno, f"the code that it starts {problem}"


def made_up_names(
    tree: ast.AST, readers: Collection[str], words: Collection[str], attributes: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Yield the line and the reason where what is imported or looked up is not written out, or reads programs."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        told = ""
        if isinstance(node, ast.Call):
            told = _imported(node, readers) if _last(node.func) == "import_module" else _looked_up(node, words, attributes)
        elif isinstance(node, ast.Subscript):
            told = _from_modules(node, readers)
        elif isinstance(node, ast.Name | ast.Attribute) and _last(node) == "import_module" and id(node) not in called:
            told = "import_module is kept under another name"
        elif isinstance(node, ast.Attribute) and node.attr in words and _last(node.value) in _BUILTINS and isinstance(node.ctx, ast.Load):
            told = f"builtins.{node.attr} is not for tests that have to be believed"
        if told:
            yield getattr(node, "lineno", 0), told


def _imported(call: ast.Call, readers: Collection[str]) -> str:
    name = call.args[0] if call.args else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return "import_module() is given a name that is not written out"
    return f"a test that shows behaviour has no use for {name.value}" if name.value.split(".")[0] in readers else ""


def _looked_up(call: ast.Call, words: Collection[str], attributes: Collection[str]) -> str:
    if not isinstance(call.func, ast.Name) or call.func.id != "getattr" or len(call.args) < 2:
        return ""
    name, whose = call.args[1], _last(call.args[0])
    if whose in _BUILTINS and (not isinstance(name, ast.Constant) or name.value in words):
        return "getattr() takes a function that reads from builtins"
    if isinstance(name, ast.BinOp | ast.JoinedStr | ast.Call):
        put_together = "".join(_constants(name))
        if whose in _READING or put_together in words or put_together in attributes:
            return "getattr() is given a name that is put together while it runs"
    return ""


def _constants(node: ast.AST) -> Iterator[str]:
    """Yield the texts of an expression in the order in which they stand there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for inner in ast.iter_child_nodes(node):
        yield from _constants(inner)


def _from_modules(node: ast.Subscript, readers: Collection[str]) -> str:
    if not isinstance(node.value, ast.Attribute) or node.value.attr != "modules" or not isinstance(node.ctx, ast.Load):
        return ""
    if isinstance(node.slice, ast.Constant) and str(node.slice.value).split(".")[0] not in readers:
        return ""
    return "sys.modules is asked for a name that is not written out, or for a module that reads programs"


def _starters(tree: ast.AST) -> set[str]:
    """Return the names by which this file can start programs: modules, and functions that were imported from them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names if alias.name.split(".")[0] in _STARTERS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _STARTERS:
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _is_start(function: ast.expr, starters: Collection[str]) -> bool:
    if isinstance(function, ast.Name):
        return function.id in starters
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    named = isinstance(root, ast.Name) and root.id in starters
    return named and isinstance(function, ast.Attribute) and _STARTS.fullmatch(function.attr) is not None


def _words(node: ast.expr, kept: dict[str, ast.expr]) -> list[str]:
    """Return the words of a command as far as they are written out; what is not is an empty word."""
    if isinstance(node, ast.Name) and node.id in kept and not isinstance(kept[node.id], ast.Name):
        return _words(kept[node.id], {})
    if isinstance(node, ast.List | ast.Tuple):
        return [word for item in node.elts for word in (_words(item, kept) or [""])[:1]]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.left, ast.List | ast.Tuple):
        return [*_words(node.left, kept), *_words(node.right, kept)]
    if isinstance(node, ast.Starred):
        return _words(node.value, kept)
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return [max(texts, key=len) if isinstance(node, ast.Call) else "x".join(texts)] if texts else [""]


def _tools(words: list[str]) -> Iterator[str]:
    """Yield the tools that a command starts: its first word, what a shell is told, and what stands behind a starter of programs."""
    shell = len(words) == 1 or any(word.rpartition("/")[2] in _THROUGH for word in words[:1])
    heads = words if shell else words[:1]
    for head in heads:
        for part in _PARTS.split(head):
            name = next((word for word in part.split() if "=" not in word and word.rpartition("/")[2] not in _THROUGH), "")
            if name.rpartition("/")[2] in _TEXT_TOOLS:
                yield name.rpartition("/")[2]


def _code_problem(text: str) -> str:
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.split(".")[0] in ("inspect", "ast", "dis", "linecache", "tokenize", "pkgutil", "zipimport") for name in names):
                return "looks at the program instead of using it"
        elif isinstance(node, ast.Attribute) and node.attr in (*_READS, "__file__", "__code__", "__loader__", "__spec__", "getsource"):
            return f"reads files (.{node.attr})"
        elif isinstance(node, ast.Call) and _last(node.func) == "open" and not _writes(node):
            return "reads files (open)"
    return ""


def _writes(call: ast.Call) -> bool:
    words = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value[:1] in ("w", "a", "x") for word in words)


def _last(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
