"""The thin port to the durable engine: workflows made of steps that are never run again once they are done.

`DbosDurable` keeps each run in an SQLite file of its own; `InlineDurable` is its twin without memory, for one-shot commands and
unit tests. Source for the behaviour relied on: DBOS Transact 3.4 (checkpoint per step, recovery by executor id and version).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from remediator.errors import RemediatorError, StateError, StoppedError
from remediator.records.record import canonical_json

Json = dict[str, Any]
StepBody = Callable[[], Awaitable[Json]]
Workflow = Callable[["Durable", Json], Awaitable[Json]]

_ENDING_SECONDS = 0.5
_STOP_SECONDS = 60.0
VERSION = "wf-2"
"""Raised when the order of steps in a workflow changes: a run begun by another version cannot be resumed."""


class Durable(ABC):
    """What a workflow may use."""

    @abstractmethod
    async def step(self, name: str, body: StepBody) -> Json:
        """Run the body, or return what it returned the first time. It must return plain JSON; it may run twice if killed in between.

        Errors of our own tree come back as RemediatorError, the first time and on every replay alike.
        """

    @abstractmethod
    async def child(self, workflow: str, workflow_id: str, argument: Json) -> Json:
        """Run a workflow of its own to its end. Several may be awaited at once."""


class InlineDurable(Durable):
    """Runs everything at once and remembers nothing."""

    def __init__(self, workflows: dict[str, Workflow]) -> None:
        self._workflows = workflows

    async def step(self, name: str, body: StepBody) -> Json:
        """Run the body."""
        return _opened(await _sealed(body))

    async def child(self, workflow: str, workflow_id: str, argument: Json) -> Json:
        """Run the workflow."""
        return await self._workflows[workflow](self, argument)

    async def run(self, workflow: str, argument: Json) -> Json:
        """Run a workflow."""
        return await self._workflows[workflow](self, argument)


class DbosDurable(Durable):
    """One run's durable engine. Use through `open_durable`."""

    def __init__(self, workflows: dict[str, Callable[[Json], Coroutine[Any, Any, Json]]]) -> None:
        self._registered = workflows
        self._bodies: set[asyncio.Task[Json]] = set()
        self._workflows: set[asyncio.Task[Any]] = set()
        self._unwritten = 0
        self._stopping = self._stopped = self._draining = False
        self._halted: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

    async def step(self, name: str, body: StepBody) -> Json:
        """Run the body as a checkpointed step."""
        from dbos import DBOS

        began = False

        async def run() -> Json:
            nonlocal began
            if self._draining:
                await _parked()
            began = True
            self._unwritten += 1
            task = asyncio.ensure_future(_sealed(body))
            self._bodies.add(task)
            try:
                return await task
            except asyncio.CancelledError:
                # Once stopped, whoever is cancelled is cancelled by the end of the loop, and must end.
                if not self._stopping or self._stopped:
                    raise
                await _parked()
            except RemediatorError as error:
                self._halt(error)
                await _parked()
            finally:
                self._bodies.discard(task)
            raise AssertionError("a parked step does not come back")

        try:
            return _opened(await self._checkpointed(DBOS.run_step_async({"name": name}, run)))
        finally:
            if began:
                self._unwritten -= 1
                self._settle()

    async def child(self, workflow: str, workflow_id: str, argument: Json) -> Json:
        """Run a workflow that is checkpointed by itself, under an id that is the same on every replay."""
        # A halt ends the outermost wait only: to end a workflow with it would be recorded as the run's outcome.
        handle = await self._checkpointed(self._started(workflow, workflow_id, argument))
        return _opened(await self._checkpointed(handle.get_result()))

    async def run(self, workflow: str, workflow_id: str, argument: Json) -> Json:
        """Start a workflow, or join the one of this id, and wait for its result. Raises what halted it, which leaves it to be resumed."""
        with _database_told():
            handle = await self._started(workflow, workflow_id, argument)
            return _opened(await self._unless_halted(handle.get_result()))

    async def _checkpointed(self, work: Awaitable[Any]) -> Any:
        """Wait for what the engine writes down; where it cannot, the run halts, and nothing of it is taken for an outcome."""
        try:
            with _database_told():
                return await work
        except StateError as error:
            self._halt(error)
            await _parked()

    async def _started(self, workflow: str, workflow_id: str, argument: Json) -> Any:
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(workflow_id):
            return await DBOS.start_workflow_async(self._registered[workflow], argument)

    async def _unless_halted(self, result: Coroutine[Any, Any, Json]) -> Json:
        waiting = asyncio.ensure_future(result)
        try:
            await asyncio.wait([waiting, self._halted], return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else self._halted.result()
        finally:
            waiting.cancel()

    def drain(self) -> None:
        """Begin no further step; once those under way have ended, `run` raises StoppedError, and the run can be resumed."""
        self._draining = True
        self._settle()

    def _settle(self) -> None:
        # What began ended only once it is written down, however long that takes. After the last step the run itself has a moment to end.
        if self._draining and not self._unwritten:
            asyncio.get_running_loop().call_later(_ENDING_SECONDS, self._halt_where_idle)

    def _halt_where_idle(self) -> None:
        if not self._unwritten:
            self._halt(StoppedError("stopped between two steps", hint="go on with --resume"))

    def _halt(self, error: RemediatorError) -> None:
        if not self._halted.done():
            self._halted.set_exception(error)

    async def stop(self) -> None:
        """Cancel what is running and wait until it has cleaned up; nothing of it is recorded as done."""
        self._stopping = True
        for body in tuple(self._bodies):
            body.cancel()
        if self._bodies:
            await asyncio.wait(tuple(self._bodies), timeout=_STOP_SECONDS)
        self._stopped = True
        # What is parked belongs to nobody any more: left alone, the garbage collector would end it in the middle of the library's code.
        for workflow in tuple(self._workflows):
            workflow.cancel()
        if self._workflows:
            await asyncio.wait(tuple(self._workflows), timeout=_STOP_SECONDS)
        if self._halted.done():
            self._halted.exception()

    def _runs(self, workflow: asyncio.Task[Any] | None) -> None:
        assert workflow is not None
        self._workflows.add(workflow)
        workflow.add_done_callback(self._workflows.discard)


@contextlib.asynccontextmanager
async def open_durable(folder: Path, executor: str, workflows: dict[str, Workflow]) -> AsyncIterator[DbosDurable]:
    """Open the durable engine of one run below `folder`. Raises StateError where another process has it open, or the disk is full."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)
    with _locked(folder / "lock"):
        DBOS = await asyncio.to_thread(_imported)  # noqa: N806 - the library's name for its class
        registered: dict[str, Callable[[Json], Coroutine[Any, Any, Json]]] = {}
        durable = DbosDurable(registered)
        DBOS(config=_configuration(folder / "engine.sqlite", executor))
        for name, workflow in workflows.items():
            registered[name] = _register(DBOS, durable, name, workflow)
        try:
            with _database_told():
                DBOS.launch()
            yield durable
        finally:
            await durable.stop()
            await _destroyed(DBOS)


async def _destroyed(DBOS: Any) -> None:  # noqa: N803
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as own:
        await loop.run_in_executor(own, lambda: DBOS.destroy(destroy_registry=True))
    # The library makes its pool the loop's default one and shuts it down with itself; whoever comes after needs one that lives.
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="remediator"))


def _register(DBOS: Any, durable: DbosDurable, name: str, workflow: Workflow) -> Callable[[Json], Coroutine[Any, Any, Json]]:  # noqa: N803
    async def run(argument: Json) -> Json:
        durable._runs(asyncio.current_task())

        async def body() -> Json:
            return await workflow(durable, argument)

        return await _sealed(body)

    registered: Callable[[Json], Coroutine[Any, Any, Json]] = DBOS.workflow(name=name)(run)
    return registered


def _imported() -> Any:
    import logging

    import dbos._serialization as serialization
    from dbos import DBOS

    def refuse(*_: object) -> NoReturn:
        raise StateError(
            "the engine's database holds pickled data, which is never read", hint="remove the run's folder in the state folder"
        )

    # A row can say that it is a pickle; to read it would be to run it.
    serialization.DefaultSerializer.deserialize = refuse  # type: ignore[assignment,method-assign]
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    return DBOS


def _configuration(database: Path, executor: str) -> Any:
    from dbos._serialization import DBOSPortableJSONSerializer

    return {
        "name": "remediator",
        "system_database_url": f"sqlite:///{database}",
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": VERSION,
        "executor_id": executor,
        "log_level": "CRITICAL",
        "notification_listener_polling_interval_sec": 0.1,
    }


@contextlib.contextmanager
def _locked(path: Path) -> Any:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"another process works on the run in {path.parent.name}", hint="wait for it, or stop it, then --resume"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _database_told() -> Iterator[None]:
    """Turn what the database says into StateError: a full disk is no bug, and what it stopped can be resumed."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise StateError(
            f"the engine's database cannot be used: {error.orig}", hint="free some space or check the state folder, then --resume"
        ) from error


async def _parked() -> None:
    # To end would be recorded as the step's outcome. A parked step stays open, and is run again on resume.
    await asyncio.Event().wait()


async def _sealed(body: StepBody) -> Json:
    """Turn a result into ASCII text, and an error of our own into a value: after a replay the engine would give back another class.

    What a later try can mend (a full disk, an engine that went away) is no outcome and passes through.
    """
    try:
        return {"ok": canonical_json(await body()).decode("ascii")}
    except RemediatorError as error:
        if error.transient or isinstance(error, StateError):
            raise
        return {"error": {"class": type(error).__name__, "message": error.message, "hint": error.hint}}


def _opened(sealed: Json) -> Json:
    if (error := sealed.get("error")) is not None:
        raise _class_named(error["class"])(error["message"], hint=error["hint"])
    value: Json = json.loads(sealed["ok"])
    return value


def _class_named(name: str) -> type[RemediatorError]:
    found: list[type[RemediatorError]] = [RemediatorError]
    while found:
        candidate = found.pop()
        if candidate.__name__ == name:
            return candidate
        found.extend(candidate.__subclasses__())
    return RemediatorError
