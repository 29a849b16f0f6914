"""A container that is made when it is first needed, so that the tree it is to hold can decide how."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from remediator.builtin.docker_box import Box
from remediator.builtin.docker_exec import Command, Outcome, refuse_failure
from remediator.builtin.docker_layers import PUT_SECONDS, Layer, apply_delta, is_large, unpack
from remediator.builtin.docker_profile import JOB, user_of
from remediator.contracts import Tree
from remediator.errors import SandboxError, SandboxLostError

_EMPTY = ("find", JOB, "-mindepth", "1", "-maxdepth", "1", "-exec", "rm", "-rf", "{}", "+")


class Start(Protocol):
    """Makes a container, above a layer where there is one."""

    def __call__(self, layer: Layer | None) -> Box:
        """Return the started container."""


class Cell:
    """Holds at most one container, and what it stands on. All methods block; any thread may call them."""

    def __init__(self, start: Start, layer_for: Callable[[Tree], Layer | None], *, keepable: bool) -> None:
        self.keepable = keepable
        self._start = start
        self._layer_for = layer_for
        self._guards_box = threading.Lock()
        self._box: Box | None = None
        self._layer: Layer | None = None
        self._filled = False
        self._over = False

    def box(self) -> Box:
        """Return the container, started now if it was not. Raises SandboxLostError after `abort` or `end`."""
        with self._guards_box:
            return self._box or self._started(None)

    def run(self, command: Command) -> Outcome:
        """Run a command in the container."""
        return self.box().run(command)

    def put(self, tree: Tree) -> None:
        """Make `/job` hold exactly the tree: by a layer where the tree is large and nothing runs yet, else by a stream."""
        with self._guards_box:
            if self._box is None and is_large(tree):
                self._put_layer(tree)
            box = self._box or self._started(None)
            filled, self._filled = self._filled, True
        if self._layer is not None and not filled:
            return apply_delta(box.run, tree, self._layer.delta)
        if filled:
            refuse_failure(box.run(Command(_EMPTY, user_of(observer=False), "/", {}, None, PUT_SECONDS, 65536)), "to empty /job")
        return refuse_failure(box.run(unpack(tree.tar())), "to unpack the tree")

    def _put_layer(self, tree: Tree) -> None:
        layer = self._layer_for(tree)
        if layer is None:
            return
        try:
            self._started(layer)
        except SandboxError:
            layer.end()
            if self._over:
                raise
        else:
            self._layer = layer

    def _started(self, layer: Layer | None) -> Box:
        if self._over:
            raise SandboxLostError("the sandbox is closed", hint="Open a fresh one.")
        self._box = self._start(layer)
        if self._over:  # aborted while it started
            self._box.abort()
        return self._box

    def abort(self) -> None:
        """Make every command's wait end now, and let no other begin. Never blocks."""
        self._over = True
        box = self._box
        if box is not None:
            box.abort()

    def end(self) -> None:
        """Remove the container and what it stood on."""
        self.abort()
        with self._guards_box:
            if self._box is not None:
                self._box.end()
            if self._layer is not None:
                self._layer.end()
                self._layer = None
