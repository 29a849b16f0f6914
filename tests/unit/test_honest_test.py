"""A reproducer that only looks at the text is none, and what is behaviour is let through."""

from __future__ import annotations

import time

import pytest

from remediator.recipe.python.honest_test import problem_of

GOOD = """
import subprocess, sys, time, threading
import pytest
from pathlib import Path
from thing import load

def test_a(tmp_path):
    "Looks at thing/core.py in words only."
    mark = tmp_path / "mark"
    with pytest.raises(ValueError):
        load(f"x {mark}")
    assert not mark.exists(), "thing.py ran it"

def test_variant_b():
    done = subprocess.run([sys.executable, "-c", "import thing"], timeout=5)
    assert done.returncode == 0

class TestMore:
    def test_control_c(self):
        assert load("1") == 1
"""


def test_behaviour_is_let_through() -> None:
    assert problem_of({"test_flaw.py": GOOD}) is None


@pytest.mark.parametrize(
    "text",
    [
        "import inspect\ndef test_a():\n    assert 'eval' not in inspect.getsource(f)\n",
        "def test_a():\n    assert 'eval' not in str(getattr(f, '__code__'))\n",
        "def test_a():\n    assert 'eval' not in eval('open(\"x\")').read()\n",
        "from ast import parse\ndef test_a():\n    assert parse('x')\n",
        "import thing\ndef test_a():\n    assert 'eval' not in open(thing.__file__).read()\n",
        "def test_a():\n    assert 'eval(' not in open('thing/core.py').read()\n",
        "import thing\ndef test_a():\n    assert b'eval' not in thing.load.__code__.co_names\n",
        "import subprocess\ndef test_a():\n    assert subprocess.run(['grep', 'eval', '.']).returncode\n",
        "def test_a():\n    assert exec('x') is None\n",
        "import sys\ndef test_a():\n    assert sys._getframe(0)\n",
        "def test_a():\n    assert False\n",
        "import pytest\n@pytest.mark.skip\ndef test_a():\n    assert f()\n",
        "import pytest\ndef test_a():\n    pytest.skip('x')\n",
        "import pytest\n@pytest.mark.xfail\ndef test_a():\n    assert f()\n",
        "import os\ndef test_a():\n    os._exit(1)\n",
        "x = 1\n",
        "def test_a(:\n",
        "import _pytest.reports\ndef test_a():\n    assert f()\n",
        "import gc\ndef test_a():\n    assert gc.get_objects()\n",
        "def test_a():\n    assert open('/proc/self/mem')\n",
    ],
)
def test_looking_at_the_text_is_refused(text: str) -> None:
    assert problem_of({"test_flaw.py": text})


@pytest.mark.parametrize("name", ["flaw.py", "../test_x.py", "test_X.py", "test_x.txt", "conftest.py", "test_/x.py", "test_x.py\n"])
def test_names_are_plain(name: str) -> None:
    assert problem_of({name: GOOD})


def test_nothing_is_nothing() -> None:
    assert problem_of({})
    assert problem_of({"test_x.py": "# x\n" * 100_000 + GOOD})


def test_many_words_do_not_hold_anybody_up() -> None:
    before = time.process_time()
    assert problem_of({"test_flaw.py": "def test_a():\n    assert f()\n" + '".py"\n' * 20_000}) is None
    assert time.process_time() - before < 10
