"""Makes twins of Python files that tell a test of behaviour from one that looks at the text. Nothing is executed here."""

from __future__ import annotations

import ast
import io
import tokenize

from remediator.builtin.source_markers import marked

_SHIFT = "# \n" * 7  # no line keeps its number


class TwinError(Exception):
    """No twin of this file can be made."""


def rewritten(data: bytes) -> bytes:
    """Return a file of the same meaning with other lines, layout and comments. Raises TwinError."""
    tree = _parsed(data)
    try:
        text = ast.unparse(tree)
        if ast.dump(ast.parse(text)) == ast.dump(tree):
            return f"{_SHIFT}{text}\n".encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    # What cannot be written anew is at least moved.
    return f"{_SHIFT}{_text(data)}".encode()


def disguised(base: bytes, patched: bytes, *, with_markers: bool) -> bytes:
    """Return a file that does what the base does and reads as the patched one. Raises TwinError.

    The patched text stands there as comments and as code that is never run; the base's is packed, so that no search finds in it what the
    patch took away. With markers, the base also gets the names that only the patch has.
    """
    old, new = _parsed(base), _parsed(patched)
    try:
        inner = ast.unparse(marked(old, new)).encode() if with_markers else base
        body: list[ast.stmt] = [node for node in new.body if not _is_future(node)] or [ast.Pass()]
        dead = ast.unparse(ast.If(test=ast.Constant(value=False), body=body, orelse=[]))
        told = ast.unparse(ast.Module(body=[node for node in old.body if _is_told_early(node)], type_ignores=[]))
    except (ValueError, RecursionError, MemoryError) as error:
        raise TwinError(f"it cannot be written anew: {type(error).__name__}") from error
    words = "".join(f"# {line}\n" for line in _text(patched).splitlines())
    run = f"exec(compile(bytes.fromhex({inner.hex()!r}), __file__, 'exec', dont_inherit=True))"
    # A module's docstring and version are read without running it by what builds projects.
    return f"{told}\n{words}{dead}\n{run}\n".encode()


def _parsed(data: bytes) -> ast.Module:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TwinError(f"it does not parse: {type(error).__name__}") from error


def _text(data: bytes) -> str:
    """Return the text without the line that names its encoding, if one does: it is written as UTF-8 again."""
    try:
        encoding, first = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, ValueError, LookupError) as error:
        raise TwinError("its encoding is not known") from error
    named = [line for line in first if b"coding" in line and line.lstrip().startswith(b"#")]
    lines = text.splitlines(keepends=True)
    return "".join(line for at, line in enumerate(lines) if at > 1 or line.encode(encoding) not in named)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _is_told_early(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and all(isinstance(name, ast.Name) and name.id.startswith("__") for name in node.targets)
    )
