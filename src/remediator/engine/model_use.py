"""Which models a playbook asks: what is wrong with them is told before any work, and not case by case after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from remediator.contracts import Llm
from remediator.engine.request import FixRequest
from remediator.errors import ConfigError, PluginError, UsageError
from remediator.playbook import Playbook, Use
from remediator.registry import Registry

NO_MODEL = "none"
"""What a component's `llm` says where it asks nobody."""


class ModelUse(NamedTuple):
    """One component that asks a model. Without its model a fixer has nothing to do; a verifier then says so in its check."""

    step: str
    component: str
    model: str


def models_asked(playbook: Playbook, registry: Registry) -> tuple[ModelUse, ...]:
    """Return every model that the playbook's fixers and verifiers name in their options `llm` and `llms`."""
    found = [
        ModelUse(step, use.name, model)
        for step, kind, uses in (("fix", "fixer", playbook.fix), ("verify", "verifier", playbook.verify))
        for use in uses
        for model in _named(use, kind, registry)
    ]
    return tuple(dict.fromkeys(found))


def check_models(playbook: Playbook, registry: Registry, request: FixRequest, make: Callable[[str], Llm]) -> tuple[str, ...]:
    """Make the model of every fixer; return what the user should know of the limits that were given. Blocks where a key is asked for.

    Raises ConfigError where a model cannot be had, UsageError where an option of the request cannot be held to.
    """
    asked = models_asked(playbook, registry)
    unpriced = []
    for use in asked:
        llm = _made(playbook, use, make)
        if llm is None or llm.price is not None or use.model in unpriced:
            continue
        unpriced.append(use.model)
        if playbook.limits.tokens is None:
            raise ConfigError(
                f"the price of the model {use.model!r} is not known, and nothing else limits what it may cost",
                hint=f"give [models.{use.model}] a price, or limits.tokens in the playbook",
            )
    if request.candidates is not None and not any(use.name == "agent" for use in playbook.fix):
        raise UsageError(
            f"--candidates: no fixer of the playbook {playbook.name!r} asks a model, so there is one patch at the most",
            hint="name a model with --model, or leave --candidates out",
        )
    return _of_budget(playbook, request, asked, unpriced)


def _of_budget(playbook: Playbook, request: FixRequest, asked: tuple[ModelUse, ...], unpriced: list[str]) -> tuple[str, ...]:
    if request.usd is None:
        return ()
    if not asked:
        return (f"--budget limits nothing here: the playbook {playbook.name!r} asks no model, and costs no money",)
    if not unpriced:
        return ()
    names = ", ".join(unpriced)
    if not request.usd:
        raise UsageError(
            f"--budget 0 cannot be held to: the price of the model {names} is not known",
            hint=f"if it costs nothing, say so: price = {{input = 0, output = 0}} in [models.{unpriced[0]}]; else leave the model out",
        )
    return (f"--budget does not limit the model {names}, whose price is not known; limits.tokens of the playbook does",)


def _named(use: Use, kind: str, registry: Registry) -> Iterator[str]:
    try:
        fields = registry.get(kind, use.name).model_fields
    except PluginError:
        # An optional one that is not there; any other was refused when the playbook was checked.
        return
    for option in ("llm", "llms"):
        if option in fields:
            value = use.options.get(option, fields[option].default)
            yield from (str(name) for name in ((value,) if isinstance(value, str) else value or ()) if name != NO_MODEL)


def _made(playbook: Playbook, use: ModelUse, make: Callable[[str], Llm]) -> Llm | None:
    try:
        return make(use.model)
    except ConfigError as error:
        if use.step != "fix":
            return None
        raise ConfigError(f"playbook {playbook.name}: {use.step}: {use.component}: {error.message}", hint=error.hint) from error
