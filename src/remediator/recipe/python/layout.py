"""Where a project keeps its packages and its tests."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from remediator.contracts.tree import Tree
from remediator.errors import GitError
from remediator.records.record import Record

_NO_PACKAGE = re.compile(
    r"(?i)^(tests?|testing|docs?|documentation|examples?|samples?|demos?|benchmarks?|bench|tools?|scripts?|bin|build|dist|ci|conda|"
    r"debian|packaging|contrib|misc|utils?_dev|setup|conftest|noxfile|tasks|fabfile|versioneer|ez_setup|runtests?|release|bootstrap|"
    r"distribute_setup|_build|htmlcov|venv|env|node_modules|stubs|typings|wheels?|appveyor|licenses?)$"
)
_NO_TESTS = re.compile(
    r"(^|/)(build|dist|\.[^/]+|node_modules|venv|\{[^/]*\})/|(^|/)(site-packages|_vendor|vendor|vendored|third_party|testdata)/"
)
_TEST_PART = re.compile(r"(?i)^(tests?|testing|unit_?tests?|functional_tests?)$")
_FILE_BYTES = 1024 * 1024
_MOST_READ = 4000


class Sources(Record):
    """Where the code is. `python_path` are the import folders, `packages` the top-level names, `modules` all dotted names."""

    python_path: tuple[str, ...] = (".",)
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Tests(Record):
    """Where the tests are. `patterns` are file name patterns, given only where pytest's own would find nothing."""

    __test__ = False

    files: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def sources_of(tree: Tree, package_root: str) -> Sources:
    """Find the packages by the names of the files alone."""
    paths = _python_files(tree)
    root = package_root or ("src" if any(path.startswith("src/") for path in paths) and "src/__init__.py" not in paths else "")
    packages = _packages(paths, root)
    if not packages and root:
        root, packages = "", _packages(paths, "")
    files = tuple(path for path in paths if _of_packages(path, root, packages))
    return Sources(
        python_path=tuple(dict.fromkeys([root or ".", "."])),
        packages=tuple(packages),
        modules=tuple(sorted(filter(None, (_module(path, root) for path in files if not _in_tests(path, root))))),
        files=files,
    )


def tests_of(tree: Tree, python_files: str, python_functions: str = "") -> Tests:
    """Find the tests by the syntax of files whose path speaks of tests.

    `python_files` are the project's own patterns, `python_functions` those of its tests' names.
    """
    begins = ("test", *(pattern.rstrip("*") for pattern in python_functions.split() if pattern.rstrip("*").isidentifier()))
    likely = [path for path in _python_files(tree) if _may_be_tests(path)]
    tests = likely if len(likely) > _MOST_READ else [path for path in likely if holds_tests(tree, path, begins)]
    return Tests(files=tuple(tests), roots=tuple(_roots(tests)), patterns=tuple(_patterns(tests, python_files)))


def _python_files(tree: Tree) -> list[str]:
    return [entry.path for entry in tree.entries() if entry.is_file and entry.path.endswith(".py")]


def _packages(paths: Sequence[str], root: str) -> list[str]:
    prefix = f"{root}/" if root else ""
    inside = [path[len(prefix) :] for path in paths if path.startswith(prefix)]
    folders = {path.split("/")[0] for path in inside if path.count("/") >= 1}
    regular = {name for name in folders if f"{name}/__init__.py" in set(inside)}
    # A folder without __init__.py may be a namespace that packages share.
    spaces = {name for name in folders - regular if any(re.fullmatch(rf"{re.escape(name)}/[^/]+/__init__\.py", path) for path in inside)}
    single = {path[:-3] for path in inside if "/" not in path}
    names = [name for name in sorted(regular | spaces | single) if name.isidentifier() and not _NO_PACKAGE.match(name)]
    return [name for name in names if not name.startswith("test_")]


def _of_packages(path: str, root: str, packages: Sequence[str]) -> bool:
    inside = path[len(root) + 1 :] if root and path.startswith(f"{root}/") else ("" if root else path)
    top = inside.split("/")[0]
    return top in packages or (top.endswith(".py") and top[:-3] in packages)


def _module(path: str, root: str) -> str:
    parts = (path[len(root) + 1 :] if root else path)[:-3].split("/")
    if parts[-1] == "__init__":
        parts.pop()
    good = all(part.isidentifier() for part in parts) and parts[-1:] != ["__main__"]
    return ".".join(parts) if good else ""


def _in_tests(path: str, root: str) -> bool:
    parts = (path[len(root) + 1 :] if root else path).split("/")
    return any(_TEST_PART.match(part) for part in parts[:-1]) or parts[-1] == "conftest.py" or parts[-1].startswith("test_")


def _may_be_tests(path: str) -> bool:
    if _NO_TESTS.search(path) or path.endswith(("conftest.py", "setup.py")):
        return False
    return "test" in path.lower()


def holds_tests(tree: Tree, path: str, begins: tuple[str, ...] = ("test",)) -> bool:
    """Return whether a file defines functions whose names begin like tests, or classes with test methods."""
    try:
        data = tree.read(path, limit_bytes=_FILE_BYTES)
    except (GitError, KeyError):
        return False
    if b"Test" not in data and not any(word.encode() in data for word in begins):
        return False
    try:
        module = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Written for another Python: its name has to tell.
        return re.search(rb"(?m)^\s*def test", data) is not None
    return any(_is_test(node, begins) for node in ast.walk(module))


def _is_test(node: ast.AST, begins: tuple[str, ...]) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node.name.startswith(begins)
    if isinstance(node, ast.ClassDef):
        names = (getattr(parent, "attr", None) or getattr(parent, "id", "") for parent in node.bases)
        return any(str(name).endswith("TestCase") for name in names)
    return False


def _roots(tests: Iterable[str]) -> list[str]:
    """Return the highest folder of tests above each file, or the file itself where none of its folders is one."""
    roots = []
    for path in tests:
        parts = path.split("/")
        depth = next((i for i, part in enumerate(parts[:-1]) if _TEST_PART.match(part)), None)
        roots.append("/".join(parts[: depth + 1]) if depth is not None else path)
    found = sorted(set(roots))
    return [root for root in found if not any(root.startswith(f"{other}/") for other in found)]


def _patterns(tests: Sequence[str], configured: str) -> list[str]:
    """Return file name patterns where pytest's own, or the configured ones, would find none of the tests."""
    patterns = configured.split() or ["test_*.py", "*_test.py"]
    names = [path.rpartition("/")[2] for path in tests]
    if not names or any(
        fnmatch(name, pattern) or fnmatch(path, pattern) for name, path in zip(names, tests, strict=True) for pattern in patterns
    ):
        return []
    return sorted({name if "test" not in name.lower() else _pattern(name) for name in names})


def _pattern(name: str) -> str:
    lower = name.lower()
    if lower.startswith("test"):
        return f"{name[:4]}*.py"
    return f"*{name[lower.rindex('test') :]}" if lower.endswith(("test.py", "tests.py")) else name


def imported_names(tree: Tree, paths: Iterable[str]) -> frozenset[str]:
    """Return the top-level names that these files import, the standard library's left out."""
    found: set[str] = set()
    for path in paths:
        try:
            module = ast.parse(tree.read(path, limit_bytes=_FILE_BYTES))
        except (GitError, KeyError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return frozenset(found - sys.stdlib_module_names)
