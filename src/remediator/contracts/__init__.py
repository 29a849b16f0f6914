"""What plugins implement, and what they are given to work with."""

from __future__ import annotations

from remediator.contracts.component import Component
from remediator.contracts.fixer import Attempt, Fixer
from remediator.contracts.llm import Llm, Message, Price, Prompt, Reply, ToolCall, ToolSpec
from remediator.contracts.observer import Observer
from remediator.contracts.sandbox import (
    Engine,
    ExecResult,
    ExecStatus,
    Limits,
    PrepareSpec,
    Sandbox,
    SandboxProvider,
    SandboxSpec,
)
from remediator.contracts.scanner import Scanner
from remediator.contracts.sink import Sink
from remediator.contracts.tree import Tree, TreeEntry
from remediator.contracts.verifier import Verifier
from remediator.contracts.workspace import Workspace

__all__ = [
    "Attempt",
    "Component",
    "Engine",
    "ExecResult",
    "ExecStatus",
    "Fixer",
    "Limits",
    "Llm",
    "Message",
    "Observer",
    "PrepareSpec",
    "Price",
    "Prompt",
    "Reply",
    "Sandbox",
    "SandboxProvider",
    "SandboxSpec",
    "Scanner",
    "Sink",
    "ToolCall",
    "ToolSpec",
    "Tree",
    "TreeEntry",
    "Verifier",
    "Workspace",
]
