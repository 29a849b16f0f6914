"""What the files of a Python project say about it, without running any of them."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from email.parser import Parser
from typing import Any

from packaging.requirements import Requirement

from remediator.contracts.tree import Tree
from remediator.errors import GitError
from remediator.recipe.python.requirements import (
    for_tests,
    merged,
    nox_requirements,
    requirement,
    requirement_files,
    requirement_lines,
    tox_requirement_files,
    tox_requirements,
    unpinned,
)
from remediator.recipe.python.setup_script import setup_arguments
from remediator.records.record import Record

_TEXT_BYTES = 2 * 1024 * 1024
_TEST_GROUPS = ("test", "tests", "testing", "unittest", "unittests", "pytest", "test_extras", "ci")
_DEV_GROUPS = ("dev", "develop", "development", "devel")
_NATIVE_BACKENDS = ("mesonpy", "scikit_build_core", "maturin", "skbuild", "setuptools_rust", "sipbuild", "pdm_build_ext")


class Facts(Record):
    """One project's own words."""

    name: str = ""
    version: str = ""
    requires_python: str = ""
    supported: tuple[tuple[int, int], ...] = ()
    dependencies: tuple[str, ...] = ()
    extras: dict[str, tuple[str, ...]] = {}
    test_extras: tuple[str, ...] = ()
    test_requirements: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    backend: str = ""
    installable: bool = False
    native: bool = False
    package_root: str = ""
    inputs: tuple[str, ...] = ()
    pytest_options: dict[str, str] = {}
    tox: str = ""


class _Reading:
    """Reads a tree's text files, and remembers which were there."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.paths = [entry.path for entry in tree.entries() if entry.is_file]
        self._all = frozenset(self.paths)
        self.read: list[str] = []

    def bytes(self, path: str) -> bytes:
        if path not in self._all:
            return b""
        try:
            data = self.tree.read(path, limit_bytes=_TEXT_BYTES)
        except (GitError, KeyError):
            return b""
        self.read.append(path)
        return data

    def text(self, path: str) -> str:
        return self.bytes(path).decode("utf-8", "replace").removeprefix("\ufeff")


def facts_of(tree: Tree, version: tuple[int, int]) -> Facts:
    """Read everything that a project says about itself, as it holds under Python `version`."""
    reading = _Reading(tree)
    pyproject = _toml(reading.text("pyproject.toml"))
    config = _ini(reading.text("setup.cfg"))
    script = setup_arguments(reading.bytes("setup.py"), version)
    told = _metadata(reading)
    project: Mapping[str, Any] = _table(pyproject, "project")
    poetry: Mapping[str, Any] = _table(pyproject, "tool", "poetry")
    tox = "\n".join([reading.text("tox.ini"), str(_table(pyproject, "tool", "tox").get("legacy_tox_ini", ""))])
    extras = _extras(pyproject, config, script, told)
    classifiers = merged(told.get("classifiers", []), _strings(project.get("classifiers")), _lines(config, "metadata", "classifiers"))
    classifiers = merged(classifiers, _strings(script.get("classifiers")), _strings(poetry.get("classifiers")))
    testing = tuple(name for name in extras if name.lower().replace("-", "_") in _TEST_GROUPS)
    requirements = _test_requirements(reading, pyproject, config, script, tox)
    if not testing and not requirements:
        testing = tuple(name for name in extras if name.lower() in _DEV_GROUPS)
    return Facts(
        name=_first(told.get("name"), project.get("name"), poetry.get("name"), _get(config, "metadata", "name"), script.get("name")),
        version=_first(told.get("version"), project.get("version"), poetry.get("version"), script.get("version")),
        requires_python=_requires_python(told, project, poetry, config, script),
        supported=_supported(classifiers),
        dependencies=tuple(_dependencies(reading, pyproject, config, script, told)),
        extras={name: tuple(found) for name, found in extras.items()},
        test_extras=testing,
        test_requirements=tuple(requirements),
        build_requires=tuple(filter(None, map(requirement, _strings(_table(pyproject, "build-system").get("requires"))))),
        backend=str(_table(pyproject, "build-system").get("build-backend", "")),
        installable=_installable(reading, pyproject, config),
        native=_native(reading, pyproject, script),
        package_root=_package_root(pyproject, config, script),
        inputs=tuple(sorted(set(reading.read))),
        pytest_options=_pytest_options(reading, pyproject, config),
        tox=tox,
    )


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=", ":"))
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def _table(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    found: Any = data
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def _get(config: configparser.RawConfigParser, section: str, option: str) -> str:
    return str(config.get(section, option, fallback="") or "").strip()


def _lines(config: configparser.RawConfigParser, section: str, option: str) -> list[str]:
    return _strings(_get(config, section, option))


def _first(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value and not value.startswith("attr:")), "")


def _clean(lines: Iterable[str]) -> list[str]:
    return [found for line in lines if (found := requirement(line))]


def _metadata(reading: _Reading) -> dict[str, Any]:
    """Return what a published archive's own metadata says; a plain checkout has none."""
    path = next((p for p in reading.paths if p == "PKG-INFO"), "") or next(
        (p for p in reading.paths if p.endswith(".egg-info/PKG-INFO")), ""
    )
    if not path:
        return {}
    message = Parser().parsestr(reading.text(path))
    folder = next((p.rpartition("/")[0] for p in reading.paths if p.endswith(".egg-info/requires.txt")), "")
    dependencies, extras = _egg_requirements(reading.text(f"{folder}/requires.txt")) if folder else ([], {})
    return {
        "name": message.get("Name", ""),
        "version": message.get("Version", ""),
        "requires_python": message.get("Requires-Python", ""),
        "classifiers": [str(value) for value in message.get_all("Classifier", [])],
        "dependencies": dependencies,
        "extras": extras,
        "complete": bool(folder),
    }


def _egg_requirements(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Read `requires.txt`: sections are extras, and conditions after a colon."""
    plain: list[str] = []
    extras: dict[str, list[str]] = {}
    extra, marker = "", ""
    for line in text.splitlines():
        if line.startswith("["):
            extra, _, marker = line.strip("[] \t").partition(":")
            if extra:
                extras.setdefault(extra, [])
        elif found := requirement(f"{line} ; {marker}" if marker and line.strip() else line):
            (extras[extra] if extra else plain).append(found)
    return plain, extras


def _requires_python(
    told: Mapping[str, Any], project: Mapping[str, Any], poetry: Mapping[str, Any], config: Any, script: Mapping[str, Any]
) -> str:
    dependencies = poetry.get("dependencies")
    caret = dependencies.get("python", "") if isinstance(dependencies, Mapping) else ""
    return _first(
        told.get("requires_python"),
        project.get("requires-python"),
        poetry_specifier(caret) if isinstance(caret, str) else "",
        _get(config, "options", "python_requires"),
        script.get("python_requires"),
    )


def _supported(classifiers: Sequence[str]) -> tuple[tuple[int, int], ...]:
    found = (re.fullmatch(r"Programming Language :: Python :: (\d)\.(\d+)", text) for text in classifiers)
    return tuple(sorted({(int(match[1]), int(match[2])) for match in found if match}))


def _dependencies(
    reading: _Reading, pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], told: Mapping[str, Any]
) -> list[str]:
    if told.get("complete"):
        return list(told["dependencies"])
    poetry = _poetry(_table(pyproject, "tool", "poetry", "dependencies"))
    flit = _strings(_table(pyproject, "tool", "flit", "metadata").get("requires"))
    declared = merged(
        _clean(_strings(_table(pyproject, "project").get("dependencies"))),
        poetry,
        _clean(flit),
        _clean(_lines(config, "options", "install_requires")),
        _clean(_strings(script.get("install_requires")) or _strings(script.get("requires"))),
    )
    if declared:
        return declared
    files = merged(*(requirement_lines(reading.text(path)) for path in requirement_files(reading.paths).runtime))
    return merged(files, _pipfile(reading, "packages"))


def _extras(pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, list[str]]:
    if told.get("extras"):
        return dict(told["extras"])
    found = {name: _clean(_strings(value)) for name, value in _table(pyproject, "project", "optional-dependencies").items()}
    found |= {name: _clean(_strings(value)) for name, value in _table(pyproject, "tool", "flit", "metadata", "requires-extra").items()}
    if config.has_section("options.extras_require"):
        found |= {name: _clean(_strings(value)) for name, value in config.items("options.extras_require")}
    given = script.get("extras_require")
    if isinstance(given, dict):
        found |= {name: _clean(_strings(value)) for name, value in given.items() if not name.startswith(":")}
    return found


def _test_requirements(reading: _Reading, pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], tox: str) -> list[str]:
    """Gather what tests need from everywhere it is said; the plain word of `tests_require` comes first."""
    groups = _table(pyproject, "dependency-groups")
    pdm = _table(pyproject, "tool", "pdm", "dev-dependencies")
    poetry = _table(pyproject, "tool", "poetry")
    poetry_groups = _table(poetry, "group")
    named = merged(
        _clean(_strings(script.get("tests_require"))),
        _clean(_lines(config, "options", "tests_require")),
        *(_clean(_strings(value)) for name, value in [*groups.items(), *pdm.items()] if name.lower() in (*_TEST_GROUPS, *_DEV_GROUPS)),
        *(_poetry(_table(poetry_groups, name, "dependencies")) for name in poetry_groups if name.lower() in (*_TEST_GROUPS, *_DEV_GROUPS)),
        _poetry(_table(poetry, "dev-dependencies")),
        _clean(_strings(_table(pyproject, "tool", "uv").get("dev-dependencies"))),
        _clean(_strings(_table(pyproject, "tool", "flit", "metadata").get("dev-requires"))),
        *(_clean(_strings(_table(pyproject, "tool", "hatch", "envs", env).get("dependencies"))) for env in ("default", "test", "tests")),
    )
    files = merged(requirement_files(reading.paths).testing, tox_requirement_files(tox))
    lines = merged(
        *(requirement_lines(reading.text(path)) for path in files),
        tox_requirements(tox),
        nox_requirements(reading.bytes("noxfile.py")),
        _pipfile(reading, "dev-packages"),
    )
    # Two places often ask for two versions of one thing: the first one has the word.
    found, names = [], set()
    for text in for_tests([*named, *map(unpinned, lines)]):
        key = (Requirement(text).name.lower(), str(Requirement(text).marker or ""))
        if key not in names:
            names.add(key)
            found.append(text)
    return found


def _pipfile(reading: _Reading, section: str) -> list[str]:
    table = _table(_toml(reading.text("Pipfile")), section)
    plain = {name: value for name, value in table.items() if isinstance(value, str)}
    return _clean(f"{name}{'' if value.strip() == '*' else value}" for name, value in plain.items())


def _poetry(table: Mapping[str, Any]) -> list[str]:
    """Turn poetry's own notation into requirements; what comes from a place instead of the index is left out."""
    lines = []
    for name, value in table.items():
        wanted = value.get("version") if isinstance(value, Mapping) else value
        if name.lower() == "python" or not isinstance(wanted, str) or (isinstance(value, Mapping) and value.get("optional")):
            continue
        marker = str(value.get("markers", "")) if isinstance(value, Mapping) else ""
        python = value.get("python") if isinstance(value, Mapping) else None
        if isinstance(python, str):
            marker = _python_marker(poetry_specifier(python))
        lines.append(f"{name}{poetry_specifier(wanted)}" + (f" ; {marker}" if marker else ""))
    return _clean(lines)


def _python_marker(specifier: str) -> str:
    parts = [re.fullmatch(r"\s*([<>=!~]+)\s*([\d.]+)\s*", part) for part in specifier.split(",")]
    return " and ".join(f'python_version {part[1]} "{part[2]}"' for part in parts if part)


def poetry_specifier(text: str) -> str:
    """Return a caret, tilde or star version as ordinary bounds; nothing where it means "any" or is not understood."""
    bounds = []
    for part in text.split("||")[0].split(","):
        found = re.fullmatch(r"\s*(\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?(\d[\w.+!-]*?|\*)(\.\*)?\s*", part)
        if found is None or found[2] == "*":
            continue
        sign, version, star = found[1] or "", found[2], found[3] or ""
        if sign == "^" or sign == "~":
            bounds.append(f">={version},<{_next(version, caret=sign == '^')}")
        else:
            bounds.append(f"{'==' if sign in ('', '=') else sign}{version}{star}")
    return ",".join(bounds)


def _next(version: str, *, caret: bool) -> str:
    numbers = [int(part) for part in re.findall(r"\d+", version)][:3]
    place = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1) if caret else min(1, len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:place], numbers[place] + 1])


def _installable(reading: _Reading, pyproject: Mapping[str, Any], config: Any) -> bool:
    if "setup.py" in reading.paths or config.has_option("metadata", "name"):
        return True
    return bool(pyproject.get("build-system") or pyproject.get("project"))


def _native(reading: _Reading, pyproject: Mapping[str, Any], script: Mapping[str, Any]) -> bool:
    if any(script.get(key) for key in ("ext_modules", "cffi_modules", "rust_extensions")):
        return True
    backend = str(_table(pyproject, "build-system").get("build-backend", ""))
    if backend.startswith(_NATIVE_BACKENDS) or _table(pyproject, "tool", "setuptools").get("ext-modules"):
        return True
    extension = any(
        path.endswith((".pyx", ".c", ".cpp", ".pyx.in")) and not re.match(r"(tests?|docs?|examples?|benchmarks?)/", path)
        for path in reading.paths
    )
    return extension and b"ext_modules" in reading.bytes("setup.py")


def _package_root(pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any]) -> str:
    """Return the folder that holds the packages, where the project says so."""
    where = _strings(_table(pyproject, "tool", "setuptools", "packages", "find").get("where"))
    given = script.get("package_dir")
    folder = _table(pyproject, "tool", "setuptools", "package-dir").get("") or (given.get("") if isinstance(given, dict) else "")
    line = next((text for text in _lines(config, "options", "package_dir") if text.startswith("=")), "=")
    found = _first(folder, where[0] if where else "", line[1:].strip())
    return "" if found.startswith(("/", "..")) else found.strip("./")


def _pytest_options(reading: _Reading, pyproject: Mapping[str, Any], config: Any) -> dict[str, str]:
    """Return pytest's own settings from the first file where pytest would look."""
    for path in ("pytest.ini", ".pytest.ini"):
        if path in reading.paths:
            found = _ini(reading.text(path))
            return _section(found, "pytest")
    table = _table(pyproject, "tool", "pytest", "ini_options")
    if table:
        return {key: " ".join(_strings(value)) if not isinstance(value, (int, float)) else str(value) for key, value in table.items()}
    tox = _section(_ini(reading.text("tox.ini")), "pytest")
    return tox or _section(config, "tool:pytest") or _section(config, "pytest")


def _section(config: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return {key: str(value or "") for key, value in config.items(name)} if config.has_section(name) else {}
