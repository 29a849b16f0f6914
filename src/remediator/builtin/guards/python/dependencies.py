"""Guard `new-dependency`: a fix imports only what the project has."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator

from remediator.builtin.guards.python.module import Module
from remediator.diff.objection import Objection

CODE = "new-dependency"
_PYTHON_2 = frozenset(
    (
        *(
            "urllib2",
            "urlparse",
            "ConfigParser",
            "cPickle",
            "StringIO",
            "cStringIO",
            "Queue",
            "httplib",
            "HTMLParser",
            "Cookie",
            "cookielib",
        ),
        *(
            "commands",
            "__builtin__",
            "anydbm",
            "copy_reg",
            "SocketServer",
            "BaseHTTPServer",
            "SimpleHTTPServer",
            "xmlrpclib",
            "Tkinter",
            "popen2",
        ),
        *(
            "distutils",
            "imp",
            "asyncore",
            "asynchat",
            "smtpd",
            "crypt",
            "cgi",
            "pipes",
            "telnetlib",
            "nntplib",
            "sndhdr",
            "imghdr",
            "uu",
            "exceptions",
        ),
    )
)


def dependencies(before: Module, after: Module, path: str, has_module: Callable[[str], bool]) -> Iterator[Objection]:
    """Yield imports of top-level modules that are not in the standard library and that the project neither holds, uses nor declares."""
    known = {name for name, _ in _roots(before)}
    for name, line in _roots(after):
        if name in known or name in sys.stdlib_module_names or name in _PYTHON_2:
            continue
        known.add(name)
        if not has_module(name):
            yield Objection(CODE, path, f"{name!r} is neither the project's own, nor declared, nor imported anywhere else", line)


def _roots(module: Module) -> Iterator[tuple[str, int]]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0], node.lineno
