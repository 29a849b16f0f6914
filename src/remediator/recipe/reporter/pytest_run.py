"""Runs the project's tests under pytest and tells, for every phase of every test, what was raised and what was made of it."""

# ruff: noqa: PTH112, PTH118
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from remediator.recipe.reporter.channel import Channel, shortened
from remediator.recipe.reporter.lines import watch
from remediator.recipe.reporter.reads import ReadWatch
from remediator.recipe.reporter.world import enter, find_tree_first, origins


def main(job: dict[str, Any]) -> None:
    """Run, and leave at once when done: threads and exit handlers of the tree have no say in it."""
    channel = Channel(job["address"], job["nonce"])
    leave = os._exit
    enter(job)
    import pytest

    watch(job["root"], job["lines"], lambda path, line: channel.send_from_anywhere("line", path, line))
    find_tree_first(job)
    os.chdir(os.path.join(job["root"], job["folder"]))
    arguments = _arguments(job, str(pytest.__version__))
    reads = ReadWatch(job["root"], job["arguments"], lambda path: channel.send("read", path)) if job.get("watch_reads") else None
    channel.send("start", "pytest " + str(pytest.__version__), sys.version.split()[0], arguments)
    sys.argv = [os.path.join(sys.prefix, "bin", "pytest"), *arguments]
    code = pytest.main(arguments, plugins=[_registered(pytest, channel, job), *([_watching(pytest, reads)] if reads else [])])
    channel.send("origins", origins(job))
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send("finish", int(code), channel.sent)
    leave(int(code) & 255)


def _arguments(job: dict[str, Any], version: str) -> list[str]:
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    options = []
    if number >= (3, 0):
        options += ["--continue-on-collection-errors", "-o", "addopts="]
    if number >= (3, 2):
        options += ["-o", "cache_dir=" + job["pycache"] + "-cache"]
    if number >= (3, 5):
        options += ["--rootdir=" + job["root"]]
    arguments = list(job["arguments"])
    if job["folder"] != ".":
        # Arguments are told from the root of the tree, wherever the tests are started.
        arguments = [os.path.join(job["root"], argument) for argument in arguments]
    return [*options, *job["options"], *arguments]


_LEAST_SECONDS = 10.0


class TestTimeoutError(Exception):
    """A test ran longer than any one test may."""

    __test__ = False


def _interrupt(number: int, frame: object) -> None:
    raise TestTimeoutError("this test ran longer than any one test may")


class Reporter:
    """The plug-in. Which of its hooks come first and wrap is said by `_registered`, once pytest is there."""

    def __init__(self, channel: Channel, job: dict[str, Any], skips: tuple[type, ...], xfail: type | None) -> None:
        self._channel = channel
        self._canaries: list[str] = job["canaries"]
        self._only = frozenset(job["only"])
        self._root: str = job["root"]
        self._seconds: float = job["test_seconds"]
        self._clock = time.monotonic
        self._skips = skips
        self._xfail = xfail
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self._last = (-1, "", "", "")

    def pytest_configure(self, config: Any) -> None:
        """Have the canaries collected where no argument leads to them."""
        config.args = [
            *config.args,
            *(os.path.join(self._root, path) for path in self._canaries if not _reached(path, config.args, self._root)),
        ]

    def pytest_collection_modifyitems(self, items: list[Any]) -> Iterator[None]:
        """Keep to the tests that were asked for, after everybody else had his say."""
        yield
        if self._only:
            items[:] = [item for item in items if item.nodeid in self._only or _under(item, self._canaries)]

    def pytest_collection_finish(self, session: Any) -> None:
        """Tell which tests there are."""
        for item in session.items:
            self._number(item)

    def pytest_deselected(self, items: list[Any]) -> None:
        """Tell which tests the project itself leaves out."""
        for item in items:
            self._channel.send("deselected", str(item.nodeid))

    def pytest_collectreport(self, report: Any) -> None:
        """Tell what could not be collected, or was skipped as a whole."""
        if report.outcome != "passed":
            self._channel.send("collect", str(report.nodeid), report.outcome, shortened(str(report.longrepr)))

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
        """Tell what a phase raised, before and after everybody else had his say, and what was made of it."""
        before = self._raised(call)
        result: Any = yield
        after = self._raised(call)
        report = result.get_result()
        raised = before if before not in ("", "skip", "xfail") else after or before
        expected = bool(hasattr(report, "wasxfail"))
        self._last = (self._number(item), str(call.when), raised, str(item.nodeid))
        self._channel.send("phase", self._last[0], self._last[1], raised, str(report.outcome), expected)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Tell again where a report says "passed" of a phase that raised: somebody changed it after us."""
        number, when, raised, nodeid = self._last
        same = report.when == when and report.nodeid == nodeid
        if same and report.outcome == "passed" and raised not in ("", "skip", "xfail"):
            self._channel.send("phase", number, when, raised, "passed", False)

    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Interrupt a test that hangs, so that the others still have their turn; it fails."""
        before = signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        began = self._clock()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if self._clock() - began >= self._seconds:
            # Where one test hangs, often many do: the next ones get less, or the run's own time is used up before they had a turn.
            self._seconds = max(self._seconds / 4, min(self._seconds, _LEAST_SECONDS))

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Tell that pytest itself broke."""
        self._channel.send("internal", shortened(str(excrepr)))

    def _raised(self, call: Any) -> str:
        """Name what was raised: nothing, a skip, an expected failure, or anything else."""
        if call.excinfo is None:
            return ""
        raised = call.excinfo.type
        if issubclass(raised, self._skips):
            return "skip"
        if self._xfail is not None and issubclass(raised, self._xfail):
            return "xfail"
        return str(raised.__name__)

    def _number(self, item: Any) -> int:
        """Return the item's number; tests that are made while others run get theirs late."""
        if id(item) not in self._numbers:
            self._numbers[id(item)] = len(self._kept)
            self._kept.append(item)
            self._channel.send("test", self._numbers[id(item)], str(item.nodeid))
        return self._numbers[id(item)]


def _registered(pytest: Any, channel: Channel, job: dict[str, Any]) -> Reporter:
    import unittest

    mark = pytest.hookimpl
    mark(tryfirst=True)(Reporter.pytest_configure)
    mark(hookwrapper=True, trylast=True)(Reporter.pytest_collection_modifyitems)
    mark(hookwrapper=True, tryfirst=True)(Reporter.pytest_runtest_makereport)
    mark(hookwrapper=True, tryfirst=True)(Reporter.pytest_runtest_protocol)
    skips = (pytest.skip.Exception, unittest.SkipTest)
    return Reporter(channel, job, skips, getattr(pytest.xfail, "Exception", None))


class _Watching:
    """Watches what is read from the first import of a test file on; importing and reporting read sources for good reasons."""

    def __init__(self, reads: ReadWatch) -> None:
        self._reads = reads
        reads.on = True

    def pytest_runtest_call(self) -> Iterator[None]:
        """Watch this call."""
        self._reads.called = True
        try:
            yield
        finally:
            self._reads.called = False


def _watching(pytest: Any, reads: ReadWatch) -> _Watching:
    pytest.hookimpl(hookwrapper=True, tryfirst=True)(_Watching.pytest_runtest_call)
    return _Watching(reads)


def _reached(path: str, arguments: list[str], root: str) -> bool:
    """Return whether a folder among the arguments leads to the file: pytest trips over being given both."""
    full = os.path.join(root, path)
    folders = [os.path.join(os.path.realpath(argument), "") for argument in arguments if os.path.isdir(argument)]
    return any(os.path.realpath(full).startswith(folder) for folder in folders)


def _under(item: Any, paths: list[str]) -> bool:
    return any(str(item.nodeid).startswith(path + "::") for path in paths)
