"""Makes the image that a recipe asks for, or finds it made already."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from remediator.contracts.sandbox import ExecStatus, PrepareSpec, Sandbox, SandboxProvider
from remediator.contracts.tree import Tree
from remediator.errors import RecipeError
from remediator.records.recipe import Recipe, RecipeStep
from remediator.records.record import canonical_json, digest_of
from remediator.records.source import Source
from remediator.redact import printable

Keep = Callable[[str, bytes], str]
_TAIL_CHARS = 1500


class Note(Protocol):
    """Tells the run's log something."""

    def __call__(self, message: str, **facts: object) -> None:
        """Take a sentence and the facts beside it."""


class Prepared(NamedTuple):
    """The image, or an empty text and the log of why there is none."""

    image: str
    log: str
    log_digest: str = ""


async def prepare(recipe: Recipe, tree: Tree, source: Source, provider: SandboxProvider, *, keep: Keep, note: Note) -> str:
    """Return the digest of the prepared image, made now where it is not kept already.

    Raises RecipeError where a step fails, SandboxError where the sandbox cannot be used.
    """
    prepared = await prepared_image(recipe, tree, provider, keep=keep, note=note)
    if not prepared.image:
        raise RecipeError(
            f"{source.name}: the recipe {recipe.name!r} could not be prepared",
            hint=f"the end of the log ({prepared.log_digest}): {printable(prepared.log[-_TAIL_CHARS:], keep_newlines=True)}",
        )
    return prepared.image


async def prepared_image(
    recipe: Recipe, tree: Tree, provider: SandboxProvider, *, keep: Keep, note: Note, most_seconds: float = math.inf
) -> Prepared:
    """Find or make the image, giving each step its own time or `most_seconds`. A failing step is an answer, not an error."""
    key = image_key(recipe, tree)
    found = await provider.find(key)
    if found:
        note("prepared image found", image=found, recipe=recipe.name)
        return Prepared(found, "")
    spec = PrepareSpec(image=recipe.image, key=key)
    async with provider.prepare(spec) as sandbox:
        await sandbox.put(tree)
        log, failed = await _steps(sandbox, recipe.prepare, most_seconds)
        digest = keep(f"prepare-{recipe.name}.log", log)
        text = log.decode("utf-8", "replace")
        if failed:
            note("preparation failed", recipe=recipe.name, step=failed, log=digest)
            return Prepared("", text, digest)
        image = await provider.keep(sandbox, spec)
        note("image prepared", image=image, recipe=recipe.name, log=digest)
        return Prepared(image, text, digest)


async def extended(image: str, setup: Sequence[Sequence[str]], provider: SandboxProvider, *, keep: Keep) -> str:
    """Return the image on which the operator's commands were run, with network and without the tree.

    Raises RecipeError where one fails.
    """
    key = digest_of(canonical_json({"image": image, "setup": [list(argv) for argv in setup]}))
    found = await provider.find(key)
    if found:
        return found
    steps = tuple(RecipeStep(argv=tuple(argv), timeout_seconds=900.0) for argv in setup)
    spec = PrepareSpec(image=image, key=key)
    async with provider.prepare(spec) as sandbox:
        log, failed = await _steps(sandbox, steps, math.inf)
        if failed:
            tail = printable(log.decode("utf-8", "replace")[-_TAIL_CHARS:], keep_newlines=True)
            raise RecipeError(f"the setup command {failed!r} failed", hint=f"the end of its log ({keep('setup.log', log)}): {tail}")
        return await provider.keep(sandbox, spec)


def image_key(recipe: Recipe, tree: Tree) -> str:
    """Return what the prepared image depends on: base image, steps, and the whole tree.

    To install a project is to run its code, which can read any of its files and leave anything behind: an image is shared by the
    patches of one tree and by nothing else, or one repository could plant code in the proof of another.
    """
    steps = [step.as_json() for step in recipe.prepare]
    return digest_of(canonical_json({"ecosystem": recipe.ecosystem, "image": recipe.image, "prepare": steps, "tree": tree.id}))


async def _steps(sandbox: Sandbox, steps: tuple[RecipeStep, ...], most_seconds: float) -> tuple[bytes, str]:
    """Run the steps in order; return the log and the program of the one that failed, if one did."""
    log = b""
    for step in steps:
        result = await sandbox.exec(step.argv, env=step.env, timeout_seconds=min(step.timeout_seconds, most_seconds))
        shown = " ".join(word if "\n" not in word else "<program>" for word in step.argv)
        log += f"$ {shown}\n".encode("utf-8", "surrogateescape") + result.stdout + result.stderr
        if result.status is not ExecStatus.exited:
            return log + f"\n[{result.status.value}]\n".encode(), step.argv[0]
        if not result.ok and not step.may_fail:
            return log + f"\n[exit {result.exit_code}]\n".encode(), step.argv[0]
    return log, ""
