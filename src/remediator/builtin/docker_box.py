"""One container from creation to removal, in blocking calls: everything that must happen in the right order when it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from remediator.builtin.docker_engine import client_errors, translated
from remediator.builtin.docker_exec import Command, Execution, Outcome
from remediator.builtin.docker_keeper import Keeper
from remediator.builtin.docker_profile import Profile, container_config, user_of
from remediator.contracts import ExecStatus
from remediator.errors import SandboxError, SandboxLostError, SandboxUnavailableError

_KILLS_CONTAINER = (ExecStatus.timeout, ExecStatus.oom, ExecStatus.truncated, ExecStatus.lost)
_SWEEP = Command(("/bin/sh", "-c", "kill -9 -1"), user_of(observer=False), "/", {}, None, 10.0, 65536)


class Box:
    """A running container. Calls may come from several threads; `end` may come at any time and more than once."""

    def __init__(self, api: Any, image: str, profile: Profile, labels: Mapping[str, str]) -> None:
        self._api = api
        self.image = image
        self.read_only = profile.read_only
        self.over = threading.Event()
        self._overflow = ""
        self.id = ""
        self._running: set[Execution] = set()
        self._guards_running = threading.Lock()
        self._oom_kills = 0
        with translated(f"to make a container of {image}"):
            self.id = api.create_container_from_config(container_config(image, profile, labels))["Id"]
        try:
            self._start()
        except BaseException:
            self.end()
            raise

    def _start(self) -> None:
        with translated("to start a container"):
            self._keeper = Keeper(self._api, self.id)
            self._api.start(self.id)
        counts = self._keeper.ask(30.0)
        if counts is None:
            raise SandboxUnavailableError("the container ended as soon as it had started", hint="See `remediator doctor`.")
        self._oom_kills = counts.oom_kills or 0

    def run(self, command: Command) -> Outcome:
        """Run a command and judge its end. Raises SandboxLostError where the container was gone before."""
        execution = Execution(self._api, self.id, command)
        self._enter(execution)
        try:
            with translated("to run a command", begun=True):
                outcome = execution.run()
        except BaseException:
            self.kill()  # the command may still run, with half of its input
            raise
        finally:
            last = self._leave(execution)
        outcome = self._judged(outcome, last, command)
        if outcome.status in _KILLS_CONTAINER:
            self.kill()
        return outcome

    def _enter(self, execution: Execution) -> None:
        with self._guards_running:
            if self.over.is_set():
                raise SandboxLostError("the sandbox is gone: an earlier command took it along", hint="Open a fresh one.")
            self._running.add(execution)

    def _leave(self, execution: Execution) -> bool:
        with self._guards_running:
            self._running.discard(execution)
            return not self._running

    def _judged(self, outcome: Outcome, last: bool, command: Command) -> Outcome:
        """Set the end apart: an exit code counts only where the container lives on and nothing in it died for want of memory."""
        if self._overflow:
            note = f"\nremediator: the sandbox {self._overflow}\n".encode()
            return outcome._replace(status=ExecStatus.oom, exit_code=None, stderr=outcome.stderr + note)
        if outcome.status is not ExecStatus.exited:
            return outcome
        counts = self._keeper.ask()
        if counts is None:
            return outcome._replace(status=ExecStatus.oom if self._oom_killed() else ExecStatus.lost, exit_code=None)
        if counts.oom_kills is not None and counts.oom_kills > self._oom_kills:
            return outcome._replace(status=ExecStatus.oom, exit_code=None)
        left_behind = counts.processes is None or counts.processes > 1
        if last and left_behind and command.user == _SWEEP.user:
            self._end_leftovers()
        return outcome

    def _end_leftovers(self) -> None:
        """Kill what the command left in the background: the next one must not meet it."""
        for _ in range(3):
            with contextlib.suppress(*client_errors()):
                Execution(self._api, self.id, _SWEEP).run()
            counts = self._keeper.ask()
            if counts is None or (counts.processes or 1) <= 1:
                return
        self.kill()

    def _oom_killed(self) -> bool:
        try:
            return bool(self._api.inspect_container(self.id)["State"]["OOMKilled"])
        except client_errors():
            return False

    def commit(self, tag: str, config: Mapping[str, Any]) -> str:
        """Keep the file system under a tag and return the image's id. Raises SandboxError where it is not as clean as asked."""
        self._end_leftovers()
        repository, _, version = tag.partition(":")
        kept = str(self._api.commit(self.id, repository=repository, tag=version, conf=dict(config))["Id"])
        found = self._api.inspect_image(kept)["Config"]
        unclean = [key for key in ("Volumes", "Entrypoint", "ExposedPorts") if found.get(key)]
        unclean += [key for key in ("Env", "Cmd", "User") if (found.get(key) or []) != config[key]]
        if unclean:
            self._api.remove_image(kept, force=True)
            raise SandboxError(f"the engine kept more than the files: {', '.join(unclean)}")
        return kept

    def overflow(self, told: str) -> None:
        """Kill the container because it took more than it may; the running command ends as `oom`."""
        self._overflow = told
        self.kill()

    def abort(self) -> None:
        """Make every running command's wait end now."""
        with self._guards_running:
            self.over.set()
            for execution in self._running:
                execution.abort()

    def kill(self) -> None:
        """End every process inside. Our streams close first: a kill hangs on blocked output."""
        self.abort()
        keeper = getattr(self, "_keeper", None)
        if keeper is not None:
            keeper.close()
        with contextlib.suppress(*client_errors()):
            self._api.kill(self.id)

    def end(self) -> None:
        """Kill and remove the container."""
        self.kill()
        with contextlib.suppress(*client_errors()):
            self._api.remove_container(self.id, force=True, v=True)
