"""Compiles files and imports modules of the tree, and tells which of them do."""

# ruff: noqa: PTH118, PTH123
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
import warnings
from typing import Any

from remediator.recipe.reporter.channel import Channel, shortened
from remediator.recipe.reporter.world import enter, find_tree_first


def main(job: dict[str, Any]) -> None:
    """Compile every file, then import every module in a child that is replaced where it dies."""
    channel = Channel(job["address"], job["nonce"])
    leave = os._exit
    warnings.simplefilter("ignore")
    for path in job["files"]:
        channel.send("compiled", path, _compile_error(os.path.join(job["root"], path)))
    position, modules = 0, job["modules"]
    while position < len(modules):
        position = _import_from(job, channel, modules, position)
    sys.stdout.flush()
    channel.send("finish", 0, channel.sent)
    leave(0)


def _compile_error(path: str) -> str:
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return shortened(f"{type(error).__name__}: {error}")
    return ""


def _import_from(job: dict[str, Any], channel: Channel, modules: list[str], position: int) -> int:
    """Import as many modules as one child manages; return where the next one has to go on."""
    ends = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ends[0])
        channel.adopt()
        _import_all(job, channel, modules[position:], ends[1])
        os._exit(0)
    os.close(ends[1])
    done, why = _followed(ends[0], len(modules) - position, float(job["module_seconds"]))
    os.close(ends[0])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # What the child said counts as ours; only its copy of the counter knows of it.
    channel.sent += done
    if position + done < len(modules):
        channel.send("imported", modules[position + done], why, "")
        done += 1
    return position + done


def _followed(end: int, count: int, seconds: float) -> tuple[int, str]:
    done, deadline = 0, time.monotonic() + seconds
    while done < count:
        ready, _, _ = select.select([end], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return done, "the import did not end in time"
        progress = len(os.read(end, 4096))
        if not progress:
            return done, "the import ended the process"
        done, deadline = done + progress, time.monotonic() + seconds
    return done, ""


def _import_all(job: dict[str, Any], channel: Channel, modules: list[str], end: int) -> None:
    enter(job)
    find_tree_first(job)
    sys.argv = ["python"]
    for name in modules:
        try:
            __import__(name)
            place = str(getattr(sys.modules.get(name), "__file__", None) or "")
            channel.send("imported", name, "", place)
        except BaseException as error:
            channel.send("imported", name, shortened(f"{type(error).__name__}: {error}"), "")
            traceback.print_exc()
            sys.stderr.flush()
        os.write(end, b".")
