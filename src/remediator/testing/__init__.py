"""What plugin authors test with: doubles for what is slow or costs money, and one conformance suite per kind of component.

from remediator.testing import FakeWorkspace
from remediator.testing.conformance import ScannerConformance
"""

from __future__ import annotations

from remediator.testing.fake_llm import ScriptedLlm
from remediator.testing.fake_sandbox import FakeSandbox, FakeSandboxProvider
from remediator.testing.fake_tree import FakeTree
from remediator.testing.fake_workspace import FakeWorkspace

__all__ = ["FakeSandbox", "FakeSandboxProvider", "FakeTree", "FakeWorkspace", "ScriptedLlm"]
