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
        "import subprocess\ndef test_a():\n    assert 'eval' not in subprocess.check_output(['cat', 'thing/core'], text=True)\n",
        "import subprocess as s\ndef test_a():\n    assert s.run('cd thing; /bin/head core*', shell=True).stdout\n",
        "from subprocess import run\ndef test_a():\n    assert run(['sh', '-c', 'sed -n 1p core*']).stdout\n",
        "import os\ndef test_a():\n    assert 'eval' not in os.popen('cd x && strings core').read()\n",
        "import subprocess, sys\ndef test_a():\n    assert subprocess.run([sys.executable, '-c', 'print(open(\"x\").read())']).stdout\n",
        "import subprocess, sys\nC = '''\n  import inspect, thing\n'''\ndef test_a():\n    assert subprocess.run([sys.executable, '-c', C])\n",
        "import importlib\ndef test_a():\n    assert importlib.import_module('in' + 'spect').getsource(f)\n",
        "import importlib\ndef test_a():\n    assert importlib.import_module('inspect')\n",
        "from importlib import import_module\ni2 = import_module\ndef test_a():\n    assert f()\n",
        "import builtins\ndef test_a():\n    assert getattr(builtins, 'op' + 'en')('x').read()\n",
        "def test_a():\n    assert getattr(f, '__co' + 'de__').co_flags\n",
        "import builtins\ndef test_a():\n    assert builtins.open('x').read()\n",
        "import sys\ndef test_a():\n    assert sys.modules['in' + 'spect'].getsource(f)\n",
    ],
)
def test_looking_at_the_text_is_refused(text: str) -> None:
    assert problem_of({"test_flaw.py": text})


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess, sys\ndef test_a():\n    assert subprocess.run([sys.executable, '-m', 'thing', 'diff', 'a'])\n",
        "import subprocess, sys\ndef test_a(p):\n    assert subprocess.run([sys.executable, '-c', 'open(\"m\", \"w\")'])\n",
        "import thing\ndef test_a():\n    assert thing.run('cat x; echo y') is None\n",
        "import thing\ndef test_a():\n    for name in ('load', 'loads'):\n        assert getattr(thing, name)('x')\n",
        "import hashlib\ndef test_a():\n    assert f(getattr(hashlib, 'sha' + '1'))\n",
        "import builtins, thing\ndef test_a():\n    thing.load('x')\n    assert not hasattr(builtins, 'pwned')\n",
        "import sys, thing\ndef test_a(monkeypatch):\n    monkeypatch.setitem(sys.modules, 'yaml', None)\n    assert thing.load('x')\n",
        "import importlib\ndef test_a():\n    assert importlib.import_module('thing.core').load('x')\n",
        "def test_a(tmp_path):\n    (tmp_path / 'x').write_text('y')\n    assert open(tmp_path / 'x').read() == 'y'\n",
    ],
)
def test_programs_and_names_of_the_projects_own_are_let_through(text: str) -> None:
    assert problem_of({"test_flaw.py": text}) is None


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
