"""Runs the project's tests under unittest, for suites that pytest cannot run, and tells how each test ended."""

# ruff: noqa: PTH110, PTH118, PTH119, PTH120
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import sys
from typing import Any

from remediator.recipe.reporter.channel import Channel, shortened
from remediator.recipe.reporter.lines import watch
from remediator.recipe.reporter.world import enter, find_tree_first, origins


def main(job: dict[str, Any]) -> None:
    """Run, and leave at once when done."""
    channel = Channel(job["address"], job["nonce"])
    leave = os._exit
    enter(job)
    import unittest

    watch(job["root"], job["lines"], lambda path, line: channel.send_from_anywhere("line", path, line))
    find_tree_first(job)
    os.chdir(os.path.join(job["root"], job["folder"]))
    channel.send("start", "unittest", sys.version.split()[0], job["arguments"])
    sys.argv = ["python -m unittest", *job["arguments"]]
    suite = unittest.TestSuite(_loaded(unittest, channel, job))
    only = frozenset(job["only"])
    tests = [test for test in _flat(unittest, suite) if not only or test.id() in only or _is_canary(test, job)]
    for number, test in enumerate(tests):
        channel.send("test", number, test.id())
    result = _result(unittest, channel, {id(test): number for number, test in enumerate(tests)})
    # A plain suite keeps class and module fixtures working; the order is that of discovery.
    unittest.TestSuite(tests).run(result)
    channel.send("origins", origins(job))
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send("finish", 0 if result.wasSuccessful() else 1, channel.sent)
    leave(0 if result.wasSuccessful() else 1)


def _loaded(unittest: Any, channel: Channel, job: dict[str, Any]) -> list[Any]:
    loader = unittest.TestLoader()
    suites = []
    for start in [*job["arguments"], *job["canaries"]]:
        folder, pattern = (os.path.dirname(start), os.path.basename(start)) if start.endswith(".py") else (start, job["pattern"])
        top = _top(job["root"], folder)
        try:
            suites.append(loader.discover(os.path.join(job["root"], folder), pattern=pattern, top_level_dir=top))
        except Exception as error:
            channel.send("collect", start, "failed", shortened(repr(error)))
    return suites


def _top(root: str, folder: str) -> str:
    """Return the folder from which the tests' own package is imported."""
    path = os.path.normpath(os.path.join(root, folder))
    while os.path.exists(os.path.join(path, "__init__.py")) and path != root:
        path = os.path.dirname(path)
    return path


def _flat(unittest: Any, suite: Any) -> list[Any]:
    tests, seen = [], set()
    stack = [suite]
    while stack:
        found = stack.pop()
        if isinstance(found, unittest.TestSuite):
            stack.extend(reversed(list(found)))
        elif found.id() not in seen:
            seen.add(found.id())
            tests.append(found)
    return tests


def _is_canary(test: Any, job: dict[str, Any]) -> bool:
    return any(os.path.basename(path)[:-3] in test.id() for path in job["canaries"])


def _result(unittest: Any, channel: Channel, numbers: dict[int, int]) -> Any:
    class Result(unittest.TestResult):  # type: ignore[misc]
        def _tell(self, test: Any, when: str, raised: str, outcome: str, expected: bool = False) -> None:
            number = numbers.get(id(test))
            if number is None:
                channel.send("collect", str(test), "failed" if outcome == "failed" else "skipped", raised)
            else:
                channel.send("phase", number, when, raised, outcome, expected)

        def startTest(self, test: Any) -> None:  # noqa: N802
            super().startTest(test)
            self._tell(test, "setup", "", "passed")

        def addSuccess(self, test: Any) -> None:  # noqa: N802
            self._tell(test, "call", "", "passed")

        def addError(self, test: Any, err: Any) -> None:  # noqa: N802
            super().addError(test, err)
            sys.stderr.write(f"ERROR: {test}\n{self.errors[-1][1]}\n")
            self._tell(test, "setup", err[0].__name__, "failed")

        def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
            super().addFailure(test, err)
            sys.stderr.write(f"FAIL: {test}\n{self.failures[-1][1]}\n")
            self._tell(test, "call", err[0].__name__, "failed")

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
            super().addSubTest(test, subtest, err)
            if err is not None:
                self._tell(test, "call", err[0].__name__, "failed")

        def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
            self._tell(test, "call", "skip", "skipped")

        def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
            self._tell(test, "call", err[0].__name__, "skipped", True)

        def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
            super().addUnexpectedSuccess(test)
            self._tell(test, "call", "", "passed", True)

    return Result()
