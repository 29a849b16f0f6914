"""Tells when a test opens or renames the program's source text: then it may show the text instead of the behaviour."""

# ruff: noqa: PTH117, PTH118, PTH119, PTH120
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

_ENDINGS = (".py", ".pyc", ".pyx", ".pyi")
# Importing opens sources, and so does whoever formats a traceback.
_GOOD_READERS = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>")
_GOOD_FILES = ("linecache.py", "tokenize.py", "traceback.py")


_EVENTS = ("open", "os.rename", "os.link")


class ReadWatch:
    """An audit hook that is idle but while `on`. It cannot be taken away again.

    While a test is `called`, everybody is watched; before (modules, fixtures) only the test files themselves.
    """

    def __init__(self, root: str, tests: Sequence[str], tell: Callable[[str], None]) -> None:
        self.on = False
        self.called = False
        self._tests = frozenset(os.path.realpath(os.path.join(root, test)) for test in tests)
        self._root = os.path.join(os.path.realpath(root), "")
        self._known = (self._root, os.path.dirname(os.__file__), sys.prefix, sys.base_prefix)
        self._tell = tell
        self._frame = sys._getframe
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in _EVENTS or not arguments or not isinstance(arguments[0], (str, bytes)):
            return
        given = os.fsdecode(arguments[0])
        path = os.path.realpath(given)
        if not os.path.lexists(given) and not os.path.isabs(given):
            path = self._root + given  # by the descriptor of a folder, which is not told
        if path.startswith(self._root) and path.endswith(_ENDINGS) and not self._is_harmless(path):
            self.on = False
            self._tell(path[len(self._root) :])
            self.on = True

    def _is_harmless(self, path: str) -> bool:
        """Return whether whoever is nearest of the import machinery and the tests is not a test, or a module that one wrote elsewhere."""
        frame: Any = self._frame(2)
        formatting = False
        while frame is not None:
            name = frame.f_code.co_filename
            if name in _GOOD_READERS:
                return True
            if os.path.basename(name) in _GOOD_FILES:
                formatting = True
            elif name in self._tests or (os.path.isabs(name) and not name.startswith(self._known)):
                return path in self._tests
            elif formatting:
                return True
            frame = frame.f_back
        return formatting or not self.called
