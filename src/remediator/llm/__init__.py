"""What plugins for models behind HTTP stand on: one small client of ours. A plugin adds only how its protocol is written and read.

from remediator.llm import Answer, HttpLlm, Usage

Importing it loads no network library; that is loaded by the first question.
"""

from __future__ import annotations

from remediator.llm.answer import Answer, TryAgainError, Usage
from remediator.llm.http_llm import HttpLlm
from remediator.llm.server_events import ServerEvents

__all__ = ["Answer", "HttpLlm", "ServerEvents", "TryAgainError", "Usage"]
