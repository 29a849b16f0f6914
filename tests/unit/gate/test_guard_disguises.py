"""Ways in which a scanner was made blind while the dangerous call stayed; each was verified at E3 once."""

from __future__ import annotations

import pytest

from remediator.builtin.guards_verifier import GuardsVerifier
from remediator.records import CheckStatus

RUN = '    return subprocess.check_output("echo " + command, shell=True)\n'
LOAD = "    return pickle.loads(data)\n"
CALC = "    return eval(text)\n"
BASE = f"import pickle\nimport subprocess\n\n\ndef run(command):\n{RUN}\n\ndef load(data):\n{LOAD}\n\ndef calc(text):\n{CALC}\n\ndef other(text):\n    return eval(text.strip())\n"
WRONG = {
    "an alias": (RUN, '    start = subprocess.check_output\n    return start("echo " + command, shell=True)\n'),
    "another import": (RUN, '    from subprocess import check_output as start\n    return start("echo " + command, shell=True)\n'),
    "a walrus": (RUN, '    (start := subprocess)\n    return start.check_output("echo " + command, shell=True)\n'),
    "a dictionary": (RUN, '    words = {"shell": True}\n    return subprocess.check_output("echo " + command, **words)\n'),
    "a dict call": (RUN, '    words = dict(shell=command is not None)\n    return subprocess.check_output("echo " + command, **words)\n'),
    "a condition": (RUN, '    return subprocess.check_output("echo " + command, shell=command is not None)\n'),
    "a named shell": (RUN, '    shell = "/bin/sh"\n    return subprocess.check_output([shell, "-c", "echo " + command])\n'),
    "builtins": (CALC, "    from builtins import eval as value\n    return value(text)\n"),
    "a flawed twin": (CALC, "    return other(text)\n"),
    "an open unpickler": (
        LOAD,
        (
            "    import io\n\n    class Reader(pickle.Unpickler):\n        def find_class(self, module, name):\n"
            "            return super().find_class(module, name)\n\n    return Reader(io.BytesIO(data)).load()\n"
        ),
    ),
}
CARRIED = {
    "sys by a module that imports it": (LOAD, '    import logging\n\n    return logging.sys.modules["pickle"].loads(data)\n'),
    "pickle by a module that imports it": (LOAD, "    import logging.handlers\n\n    return logging.handlers.pickle.loads(data)\n"),
    "os by a module that imports it": (RUN, '    import tempfile\n\n    return tempfile._os.popen("echo " + command).read()\n'),
    "builtins by a module that imports them": (CALC, "    import dataclasses\n\n    return dataclasses.builtins.eval(text)\n"),
    "posix": (RUN, '    import posix\n\n    return posix.system("echo " + command)\n'),
    "an entry point": (
        CALC,
        '    from importlib.metadata import EntryPoint\n\n    value = EntryPoint("", "builtins:eval", "").load()\n    return value(text)\n',
    ),
    "a pager": (RUN, '    import pydoc\n\n    return pydoc.pipepager("", "echo " + command)\n'),
    "a pipe template": (RUN, '    import pipes\n\n    return pipes.Template().open("echo " + command, "r").read()\n'),
    "type hints": (CALC, "    import typing\n\n    return typing.get_type_hints(type('T', (), {'__annotations__': {'x': text}}))['x']\n"),
}
SHELLS = {
    "a split literal": '"sh -c".split() + ["echo " + command]',
    "an executable": '["x", "-c", "echo " + command], executable="/bin/sh"',
    "a shell that reads its input": '["sh"], input="echo " + command',
    "a shell behind another program": '["nohup", "bash", "-ec", "echo " + command]',
    "switches in one word": '["sh", "-xc", "echo " + command]',
    "an interpreter": '["python3", "-c", "print(" + command + ")"]',
    "arguments by place": '"echo " + command, -1, None, None, None, None, None, True, True',
}
WATCHED = {
    "our own hook": (
        CALC,
        "    import ast\n\n    try:\n        __remediator_line__\n    except NameError:\n        return text\n    return ast.literal_eval(text)\n",
    ),
    "our own settings": (CALC, "    import ast\n    import sys\n\n    return ast.literal_eval(text) if sys.pycache_prefix else text\n"),
}
CALLEES = {
    "a looked-up name": (CALC, "    value = TABLE[0]\n    return value(text)\n\n\nTABLE = [other]\n"),
    "a name from a loop": (CALC, "    for value in (other,):\n        return value(text)\n"),
    "a name from a call": (CALC, "    value = chosen()\n    return value(text)\n\n\ndef chosen():\n    return other\n"),
    "a list": (CALC, "    return [other, print][0](text)\n"),
    "a choice": (CALC, "    return (other if text else print)(text)\n"),
    "a lambda": (CALC, "    return (lambda part: other(part))(text)\n"),
    "a call": (CALC, "    return chosen()(text)\n\n\ndef chosen():\n    return other\n"),
}
READER = (
    "    import io\n\n    class Reader(pickle.Unpickler):\n        def find_class(self, module, name):\n"
    "{}\n    return Reader(io.BytesIO(data)).load()\n"
)
REFUSES = "            if {}:\n                raise pickle.UnpicklingError(name)\n            return super().find_class(module, name)\n"
GIVES = "            if {}:\n                return super().find_class(module, name)\n            raise pickle.UnpicklingError(name)\n"
WRONG |= {
    "an unpickler that refuses nothing": (LOAD, READER.format(REFUSES.format("not module"))),
    "an unpickler that refuses some": (LOAD, READER.format(REFUSES.format('name in ("system", "eval")'))),
    "an unpickler that gives whole modules": (LOAD, READER.format(GIVES.format('module.startswith("builtins")'))),
}
WRONG |= WATCHED
WRONG |= (
    CARRIED | CALLEES | {f"{name} in a list": (RUN, f"    return subprocess.check_output({words})\n") for name, words in SHELLS.items()}
)
EVALUATOR = """    import ast
    import operator

    def negated(value):
        return -value

    sums = {{ast.Add: {add}, ast.Sub: operator.sub, ast.USub: negated, ast.Mult: lambda a, b: a * b}}

    def value(node):
        if isinstance(node, ast.BinOp) and type(node.op) in sums:
            return sums[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            sign = sums.get(type(node.op))
            return sign(value(node.operand))
        return ast.literal_eval(node)

    return value(ast.parse(text, mode="eval").body)
"""
TABLES = {
    "a table with the call in it": EVALUATOR.format(add="eval"),
    "a table with a flawed function in it": EVALUATOR.format(add="other"),
    "a table with the call in a lambda": EVALUATOR.format(add="lambda a, b: other(a)"),
    "a table that is filled later": EVALUATOR.format(add="operator.add").replace(
        "    def value(", "    sums.update(globals())\n\n    def value("
    ),
    "a table with a name from elsewhere": EVALUATOR.format(add="text"),
}
RIGHT = {
    "an evaluator with a table of operators": (CALC, EVALUATOR.format(add="operator.add")),
    "a parser that is set up first": (CALC, "    import xml.sax\n\n    parser = xml.sax.make_parser()\n    return parser.parse(text)\n"),
    "an unpickler that gives what is listed": (LOAD, READER.format(GIVES.format('module == "builtins" and name in ("set", "range")'))),
    "an unpickler that refuses what is not listed": (LOAD, READER.format(REFUSES.format('(module, name) not in (("builtins", "set"),)'))),
    "a script for a shell": (RUN, '    return subprocess.check_output(["sh", "echo.sh", command])\n'),
    "fixed code for an interpreter": (
        RUN,
        '    return subprocess.check_output(["python3", "-c", "import sys; print(sys.argv)", command])\n',
    ),
    "no shell": (RUN, '    return subprocess.check_output(["echo", command], shell=False)\n'),
    "a method of the function's own name": (RUN, '    return subprocess.run(["echo", command], stdout=-1).stdout\n'),
    "own import": (RUN, '    from subprocess import check_output\n\n    return check_output(["echo", command])\n'),
    "literals": (CALC, "    import ast\n\n    return ast.literal_eval(text)\n"),
}


async def _check(change, git, workspace_of, patch_of, finding_at):
    old, new = change
    before, after = {"x.py": BASE.encode()}, {"x.py": BASE.replace(old, new).encode()}
    diff = git.diff(git.tree(before), git.tree(after))
    line = BASE[: BASE.index(old)].count("\n") + 1
    return await GuardsVerifier().verify(finding_at("x.py", line, old.strip()), patch_of(diff), workspace_of(before, diff))


@pytest.mark.parametrize("name", WRONG)
async def test_a_dangerous_call_in_other_clothes_is_rejected(name, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check(WRONG[name], git, workspace_of, patch_of, finding_at)
    assert (check.status, check.reason) in [
        (CheckStatus.failed, code) for code in ("disguised-call", "new-capability", "feature-deleted", "test-aware")
    ], check


@pytest.mark.parametrize("name", TABLES)
async def test_a_table_that_hides_the_call_is_rejected(name, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check((CALC, TABLES[name]), git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.failed, check


@pytest.mark.parametrize("name", RIGHT)
async def test_the_right_change_of_the_same_call_is_not(name, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check(RIGHT[name], git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.passed, check


READER_FILES = {
    "pkg/reader.py": b"import pickle\n\n\ndef read(data):\n    return pickle.loads(data)\n",
    "pkg/compat.py": b"try:\n    from pickle import loads\nexcept ImportError:\n    loads = None\n",
    "pkg/__init__.py": b"",
    "pkg/x.py": BASE.encode(),
}


@pytest.mark.parametrize(
    ("come", "called"),
    [
        ("from pkg.reader import read\n", "read(data)"),
        ("from . import reader\n", "reader.read(data)"),
        ("from .reader import read as plain\n", "plain(data)"),
        ("from .compat import loads\n", "loads(data)"),
    ],
)
async def test_the_same_call_in_another_file_of_the_project_is_no_mend(come, called, git, workspace_of, patch_of, finding_at) -> None:
    after = {**READER_FILES, "pkg/x.py": (come + BASE.replace("pickle.loads(data)", called)).encode()}
    diff = git.diff(git.tree(READER_FILES), git.tree(after))
    line = BASE[: BASE.index(LOAD)].count("\n") + 1
    check = await GuardsVerifier().verify(finding_at("pkg/x.py", line, LOAD.strip()), patch_of(diff), workspace_of(READER_FILES, diff))
    assert (check.status, check.reason) == (CheckStatus.failed, "feature-deleted"), check
