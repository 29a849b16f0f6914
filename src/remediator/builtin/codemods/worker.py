"""The process in which hostile Python files are parsed: it reads a question on stdin, answers on stdout, and may die of either.

A deeply nested file overflows the native parser's stack, which no exception handler can catch; so this never happens in ours.
"""

from __future__ import annotations

import base64
import json
import resource
import sys

_MEMORY_BYTES = 2 * 1024**3


def main() -> None:
    """Answer one question."""
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(sys.stdin.buffer.read())

    from remediator.builtin.codemods.catalog import TRANSFORMS
    from remediator.builtin.codemods.propose import Question, Region, propose

    question = Question(
        path=asked["path"],
        data=base64.b64decode(asked["data"]),
        region=Region(*asked["region"]),
        cwe=tuple(asked["cwe"]),
        words=asked["words"],
        project={name: base64.b64decode(data) for name, data in asked["project"].items()},
    )
    answer = propose(question, TRANSFORMS)
    changes = [[item.transform, item.summary, item.behaviour, base64.b64encode(item.data).decode("ascii")] for item in answer.changes]
    reply = {"changes": changes, "reason": answer.refusal.reason.value, "detail": answer.refusal.detail}
    sys.stdout.write(json.dumps(reply))


if __name__ == "__main__":
    main()
