"""Reads requirements out of the many files that hold them, as data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

# What says nothing about whether the code works; installing it costs time and drags versions about.
_NOT_FOR_TESTS = frozenset(
    canonicalize_name(name)
    for name in [
        "autopep8",
        "bandit",
        "black",
        "build",
        "bump2version",
        "bumpversion",
        "check-manifest",
        "codecov",
        "codespell",
        "coverage",
        "coveralls",
        "cpplint",
        "devpi",
        "docutils",
        "flake8",
        "flake8-docstrings",
        "furo",
        "gitchangelog",
        "interrogate",
        "invoke",
        "ipdb",
        "ipython",
        "isort",
        "jedi",
        "jupyter",
        "mypy",
        "myst-parser",
        "nbsphinx",
        "notebook",
        "nox",
        "numpydoc",
        "pdbpp",
        "pep8",
        "pip",
        "pip-tools",
        "pipenv",
        "poetry",
        "pre-commit",
        "pudb",
        "pycodestyle",
        "pydocstyle",
        "pyflakes",
        "pylint",
        "pyright",
        "pyroma",
        "pytest-black",
        "pytest-checkdocs",
        "pytest-codestyle",
        "pytest-cov",
        "pytest-enabler",
        "pytest-flake8",
        "pytest-isort",
        "pytest-mypy",
        "pytest-pep8",
        "pytest-pylint",
        "pytest-pycodestyle",
        "pytest-ruff",
        "pytest-perf",
        "pytest-random-order",
        "pytest-randomly",
        "pytest-rerunfailures",
        "pytest-sugar",
        "python-semantic-release",
        "radon",
        "readme-renderer",
        "recommonmark",
        "reno",
        "restructuredtext-lint",
        "rope",
        "ruff",
        "semver",
        "sphinx",
        "sphinx-autobuild",
        "sphinx-autodoc-typehints",
        "sphinx-rtd-theme",
        "sphinxcontrib-napoleon",
        "towncrier",
        "tox",
        "tox-gh-actions",
        "tox-uv",
        "tox-wheel",
        "twine",
        "ty",
        "types-setuptools",
        "virtualenv",
        "watchdog",
        "wheel",
        "yapf",
        "zest-releaser",
    ]
)
# Backports to Python 2: on ours they do not build, or hide what the standard library has.
_PYTHON_2 = frozenset(
    canonicalize_name(name)
    for name in [
        "argparse",
        "backports.functools-lru-cache",
        "backports.ssl-match-hostname",
        "configparser",
        "dataclasses",
        "enum34",
        "functools32",
        "futures",
        "importlib",
        "ordereddict",
        "pathlib",
        "pathlib2",
        "scandir",
        "singledispatch",
        "subprocess32",
        "trollius",
        "typing",
    ]
)
_TOOLS_TO_UNPIN = frozenset({"pytest", "nose", "mock", "py", "pluggy", "attrs", "six", "setuptools", "hypothesis", "pytest-mock"})
_LINE_CHARS = 1000
_TEST_FILE = re.compile(r"(?i)(^|[/_.-])(tests?|testing|dev|develop|development|ci)([/_.-]|$)")
_REQUIREMENT_FILE = re.compile(
    r"(?i)(^|/)[\w.-]*(requirements?|reqs?|constraints)[\w.-]*\.(txt|in|pip)$|(^|/)requirements?/[\w.-]+\.(txt|in|pip)$"
)


class RequirementFiles(NamedTuple):
    """The tree's requirement files: those for running and those for testing."""

    runtime: tuple[str, ...]
    testing: tuple[str, ...]


def requirement_files(paths: Iterable[str]) -> RequirementFiles:
    """Sort the requirement files of a tree by what they are for; documentation and deep folders are left out."""
    runtime, testing = [], []
    for path in paths:
        name = path.lower()
        if (
            path.count("/") > 2
            or not _REQUIREMENT_FILE.search(path)
            or "constraint" in name
            or re.search(r"docs?[/_.-]|[/_.-]docs?\b|lint|build", name)
        ):
            continue
        if _TEST_FILE.search(path):
            testing.append(path)
        elif path in ("requirements.txt", "requirements/base.txt", "requirements/requirements.txt", "requirements/main.txt"):
            runtime.append(path)
    return RequirementFiles(tuple(runtime), tuple(testing))


def requirement_lines(text: str) -> list[str]:
    """Return the requirements of a pip requirement file; options, links and paths are left out."""
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    return [found for line in joined.splitlines() if (found := requirement(line))]


def requirement(line: str) -> str:
    """Return one line as a clean requirement, or nothing where it is none (or names a place instead of a version)."""
    text = re.split(r"(?:^|\s)#|\s--hash|\s--config", line.strip(), maxsplit=1)[0].strip()
    if not text or len(line) > _LINE_CHARS or text.startswith(("-", ".", "/", "git+", "http", "file:")):
        return ""
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return ""
    return "" if parsed.url else str(parsed)


def for_tests(requirements: Iterable[str]) -> list[str]:
    """Return the requirements without what tests do not need, and without exact pins of the test tools themselves."""
    kept = []
    for text in requirements:
        parsed = Requirement(text)
        name = canonicalize_name(parsed.name)
        if name in _NOT_FOR_TESTS | _PYTHON_2 or name.startswith(("types-", "flake8-", "sphinx")):
            continue
        kept.append(unpinned(text) if name in _TOOLS_TO_UNPIN else text)
    return kept


def unpinned(text: str) -> str:
    """Return the requirement with an exact version taken off; other bounds stay."""
    parsed = Requirement(text)
    if any(spec.operator in ("==", "===") for spec in parsed.specifier):
        parsed.specifier = type(parsed.specifier)()
    return str(parsed)


def without(requirements: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the requirements that name none of these distributions."""
    unwanted = {canonicalize_name(name) for name in names}
    return [text for text in requirements if canonicalize_name(Requirement(text).name) not in unwanted]


def merged(*groups: Iterable[str]) -> list[str]:
    """Return all requirements in order, each once."""
    return list(dict.fromkeys(text for group in groups for text in group))


def tox_requirements(text: str) -> list[str]:
    """Return what `deps` of the plain test environments of a tox configuration ask for."""
    lines: list[str] = []
    for section in re.finditer(r"(?ms)^\[testenv\][ \t]*$(.*?)(?=^\[|\Z)", text):
        found = re.search(r"(?m)^deps\s*=[ \t]*(.*(?:\n(?:[ \t]+.*|[ \t]*#.*|[ \t]*))*)", section[1])
        lines += found[1].splitlines() if found else []
    return [clean for line in lines if (clean := requirement(_without_factor(line)))]


def tox_requirement_files(text: str) -> list[str]:
    """Return the requirement files that a tox configuration names."""
    found = re.findall(r"(?m)^\s*(?:deps\s*=\s*)?-r\s*(?:\{toxinidir\}/)?([\w./-]+)", text)
    return [path for path in found if ".." not in path]


def _without_factor(line: str) -> str:
    """Take the condition off `py27,py36: thing`; what is only for Python 2 or another platform is dropped."""
    found = re.match(r"^\s*([\w,!.{}-]+)\s*:\s*(?!//)(.*)$", line)
    if found is None:
        return line
    factors = re.split(r"[,-]", found[1])
    old = all(re.match(r"(py2\d|py3[0-5]$|pypy|jython|win)", factor) for factor in factors)
    tagged = any(re.match(r"(dj|django|lint|docs?|flake|mypy|oldest|min|devel?|cov)", factor) for factor in factors)
    return "" if old or tagged else found[2]


def nox_requirements(text: bytes) -> list[str]:
    """Return what the test sessions of a nox file install."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[str] = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and "test" in function.name:
            found += _installed(function)
    return [clean for line in found if (clean := requirement(line))]


def _installed(function: ast.FunctionDef) -> Sequence[str]:
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "install"
    ]
    arguments = [argument for call in calls for argument in call.args]
    return [argument.value for argument in arguments if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
