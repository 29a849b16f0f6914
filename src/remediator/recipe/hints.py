"""What the operator knows about a project better than we do."""

from __future__ import annotations

from remediator.records.record import Record


class Hints(Record):
    """The operator's word on how to prepare and test; it wins over everything that is found in the tree.

    `image` names a base image, `python` a version such as `3.9`, `test` is the test command's argument list, `prepare` further commands
    for the prepared image (with network), `pins` requirements that must hold, `env` the environment of build and tests.
    """

    image: str = ""
    python: str = ""
    test: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    pins: tuple[str, ...] = ()
    env: dict[str, str] = {}
    timeout_seconds: float = 600.0
    attempts: int = 6
