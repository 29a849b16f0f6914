"""Guard `test-aware`: product code must not find out whether it is being tested, scanned or watched, nor reach into others."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait

CODE = "test-aware"
_ROOTS = frozenset(
    (
        "pytest",
        "_pytest",
        "unittest",
        "nose",
        "nose2",
        "doctest",
        "mock",
        "hypothesis",
        "tox",
        "nox",
        "coverage",
        "atexit",
        "tracemalloc",
        "faulthandler",
        "psutil",
    )
)
_NAMES = frozenset(
    (
        *(
            "sys.modules",
            "sys.argv",
            "sys.orig_argv",
            "sys._getframe",
            "sys._current_frames",
            "sys.settrace",
            "sys.setprofile",
            "sys.gettrace",
        ),
        *(
            "sys.getprofile",
            "sys.pycache_prefix",
            "sys.dont_write_bytecode",
            "sys.meta_path",
            "sys.path_hooks",
            "sys.path",
            "sys.path_importer_cache",
            "sys.excepthook",
            "sys.flags",
            "sys.monitoring",
        ),
        *("sys.addaudithook", "inspect.stack", "inspect.currentframe", "inspect.getouterframes", "inspect.getframeinfo", "inspect.trace"),
        *("traceback.extract_stack", "traceback.format_stack", "traceback.print_stack", "traceback.walk_stack", "threading.settrace"),
        *(
            "threading.setprofile",
            "gc.get_objects",
            "gc.get_referrers",
            "gc.get_referents",
            "os._exit",
            "os.abort",
            "os.getppid",
            "os.uname",
        ),
        *("builtins.__debug__", "builtins.exit", "builtins.quit", "platform.node", "socket.gethostname", "getpass.getuser", "os.getlogin"),
        *("signal.signal", "signal.alarm", "os.register_at_fork", "sys.stdin.isatty", "sys.stdout.isatty"),
    )
)
_WORDS = re.compile(
    r"pytest|unittest|\bnosetests?\b|_test_runner|\btox\b|TOX_ENV|TRAVIS|GITHUB_ACTIONS|JENKINS|(?-i:\bCI\b)|CIRCLECI|semgrep|bandit|remediator"
    r"|/proc/|^/job(?:/|$)|/sys/fs|/\.dockerenv|hypothesis|coverage|sonar|codeql",
    re.IGNORECASE,
)


def awareness(module: Module) -> Iterator[Trait]:
    """Yield uses of names and words by which code tells a test run from an earnest one, and assignments into other modules."""
    for reference in module.references:
        name = reference.name
        if name.partition(".")[0] in _ROOTS:
            yield Trait(CODE, name.partition(".")[0], reference.node.lineno, f"{name} has no business in product code")
        elif hit := next((known for known in _NAMES if name == known or name.startswith(known + ".")), None):
            yield Trait(CODE, hit, reference.node.lineno, f"{hit} lets code find out who runs it, or ends or watches the process")
    documents = _documents(module)
    for node in module.nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imported(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            if len(node.value) <= 200 and (match := _WORDS.search(node.value)):
                yield Trait(CODE, f"word:{match[0].lower()}", node.lineno, f"the text {match[0]!r} asks for a test run or a scanner")
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            yield from _patched(node, module)
        elif isinstance(node, ast.Call):
            yield from _set_from_outside(node, module)
        elif isinstance(node, (ast.Name, ast.Attribute)) and "remediator" in (word := getattr(node, "id", "") or getattr(node, "attr", "")):
            yield Trait(CODE, f"word:{word}", node.lineno, f"{word!r} asks whether we are here")


def _set_from_outside(node: ast.Call, module: Module) -> Iterator[Trait]:
    target = module.resolve(node.args[0]) if node.args and module.resolve(node.func) == "builtins.setattr" else None
    if target is not None:
        yield Trait(CODE, f"patch:{target}", node.lineno, f"{target} is changed from outside")


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[Trait]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if not node.level else []
    for name in names:
        if (root := name.partition(".")[0]) in _ROOTS:
            yield Trait(CODE, root, node.lineno, f"{root} has no business in product code")


def _documents(module: Module) -> set[int]:
    found = set()
    for node in module.nodes:
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            found.add(id(body[0].value))
    return found


def _patched(node: ast.Assign | ast.AugAssign | ast.AnnAssign, module: Module) -> Iterator[Trait]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        base = target.value if isinstance(target, (ast.Attribute, ast.Subscript)) else None
        name = module.resolve(base) if base is not None else None
        if name is None or name.startswith("."):
            continue
        whole = f"{name}.{target.attr}" if isinstance(target, ast.Attribute) else f"{name}[]"
        if whole == "os.environ[]":
            continue
        # An item of something imported is mostly configuration (`app.config[...]`); an attribute is mostly a patch.
        certain = isinstance(target, ast.Attribute) or name.partition(".")[0] in sys.stdlib_module_names
        yield Trait(CODE, f"patch:{whole}", node.lineno, f"{whole} of another module is changed", certain)
