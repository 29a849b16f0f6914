"""What a transform is: it knows one flaw, and mends it where it is certain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import libcst as cst

from remediator.builtin.codemods.draft import Draft
from remediator.builtin.codemods.scene import Scene
from remediator.records.patch import ReasonCode


class RefusedError(Exception):
    """The flaw is there, but no change to it is certain; says why, in a word of the closed list and in a sentence."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Transform(ABC):
    """Mends one kind of flaw at one node.

    `cwe` are the weaknesses for which scanners report this flaw. `words` tell of it in the rule id or message of a finding that
    names no weakness. `nodes` are the types of node that may hold it. `behaviour` says what the change may alter for callers.
    """

    name: ClassVar[str]
    cwe: ClassVar[frozenset[int]]
    words: ClassVar[tuple[str, ...]]
    summary: ClassVar[str]
    behaviour: ClassVar[str]
    nodes: ClassVar[tuple[type[cst.CSTNode], ...]] = (cst.Call,)
    declines: ClassVar[str] = ""
    variants: ClassVar[int] = 1

    @abstractmethod
    def apply(self, node: cst.CSTNode, scene: Scene, draft: Draft) -> bool:
        """Write the change into the draft and return True; return False where the node is not this flaw.

        Raises RefusedError where it is this flaw, and no change is certain.
        """


def unsafe(detail: str) -> RefusedError:
    """Return the refusal of a change that would not certainly keep the code working."""
    return RefusedError(ReasonCode.no_safe_transform, detail)


def ambiguous(detail: str) -> RefusedError:
    """Return the refusal of a change where only the author knows what is meant."""
    return RefusedError(ReasonCode.ambiguous_intent, detail)


def needs_design(detail: str) -> RefusedError:
    """Return the refusal of a change that takes a decision about data, interfaces or dependencies."""
    return RefusedError(ReasonCode.needs_design, detail)


def needs_model(detail: str) -> RefusedError:
    """Return the refusal of a change that takes an understanding of code which these rules do not have."""
    return RefusedError(ReasonCode.needs_model, detail)
