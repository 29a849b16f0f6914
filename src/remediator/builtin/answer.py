"""What the built-in verifiers have in common: an answer becomes a check, and a lost or missing sandbox is never a pass."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from remediator.contracts.verifier import Verifier
from remediator.errors import PatchError, RecipeError, SandboxError, SandboxLostError, SandboxUnavailableError, ScanError
from remediator.records.verdict import Check, CheckStatus

_MANY = 50


class Answer(NamedTuple):
    """How a check ended, and the facts."""

    status: CheckStatus
    reason: str
    summary: str
    evidence: dict[str, Any]
    artefacts: dict[str, str] = {}


async def answered(verifier: Verifier, ask: Callable[[], Awaitable[Answer]]) -> Check:
    """Ask, measure the time, and turn what stopped the question into an answer of its own kind."""
    began = time.monotonic()
    answer = await _asked(ask)
    return Check(
        name=verifier.name,
        level=verifier.level,
        status=answer.status,
        reason="" if answer.status is CheckStatus.passed else answer.reason,
        summary=answer.summary,
        evidence=answer.evidence,
        artefacts={name: digest for name, digest in answer.artefacts.items() if digest},
        seconds=round(time.monotonic() - began, 3),
    )


async def _asked(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await ask()
    except SandboxLostError as error:
        return Answer(CheckStatus.infra_error, "sandbox-lost", error.message, {})
    except SandboxUnavailableError as error:
        return Answer(CheckStatus.not_run, "no-sandbox", error.message, {})
    except SandboxError as error:
        return Answer(CheckStatus.infra_error, "sandbox-error", error.message, {})
    except RecipeError as error:
        return Answer(CheckStatus.not_run, "no-recipe", error.message, {})
    except ScanError as error:
        return Answer(CheckStatus.inconclusive, "incomplete-scan", error.message, {})
    except PatchError as error:
        return Answer(CheckStatus.failed, "malformed-patch", error.message, {})


def some(items: Iterable[str]) -> list[str]:
    """Return the first items in order, and how many more there are as a last one."""
    ordered = sorted(items)
    return ordered if len(ordered) <= _MANY else [*ordered[:_MANY], f"and {len(ordered) - _MANY} more"]
