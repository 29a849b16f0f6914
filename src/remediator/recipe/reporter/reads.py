"""Tells when a test opens the program's source text: then it may show the text instead of the behaviour."""

# ruff: noqa: PTH118, PTH119
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_ENDINGS = (".py", ".pyc", ".pyx", ".pyi")
# Importing opens sources, and so does whoever formats a traceback.
_GOOD_READERS = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>")
_GOOD_FILES = ("linecache.py", "tokenize.py", "traceback.py")


class ReadWatch:
    """An audit hook that is idle but while `on`. It cannot be taken away again."""

    def __init__(self, root: str, tell: Callable[[str], None]) -> None:
        self.on = False
        self._root = os.path.join(os.path.realpath(root), "")
        self._tell = tell
        self._frame = sys._getframe
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event != "open" or not arguments or not isinstance(arguments[0], (str, bytes)):
            return
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith(self._root) and path.endswith(_ENDINGS) and not self._by_the_machinery():
            self.on = False
            self._tell(path[len(self._root) :])
            self.on = True

    def _by_the_machinery(self) -> bool:
        frame: Any = self._frame(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if name in _GOOD_READERS or os.path.basename(name) in _GOOD_FILES:
                return True
            frame = frame.f_back
        return False
