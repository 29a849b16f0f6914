"""What the files of a Python project say about it, without running any of them."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from email.parser import Parser
from typing import Any

from packaging.requirements import Requirement

from remediator.contracts.tree import Tree
from remediator.recipe.python.poetry import poetry_requirements, poetry_specifier
from remediator.recipe.python.project_files import (
    Reading,
    clean,
    first_text,
    ini_lines,
    ini_sections,
    ini_value,
    strings,
    subtable,
    toml_table,
)
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

_TEST_GROUPS = ("test", "tests", "testing", "unittest", "unittests", "pytest", "test_extras", "ci")
_DEV_GROUPS = ("dev", "develop", "development", "devel")
_GROUPS = (*_TEST_GROUPS, *_DEV_GROUPS)
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


def facts_of(tree: Tree, version: tuple[int, int]) -> Facts:
    """Read everything that a project says about itself, as it holds under Python `version`."""
    reading = Reading(tree)
    pyproject = toml_table(reading.text("pyproject.toml"))
    config = ini_sections(reading.text("setup.cfg"))
    script = setup_arguments(reading.bytes("setup.py"), version)
    told = _metadata(reading)
    project: Mapping[str, Any] = subtable(pyproject, "project")
    poetry: Mapping[str, Any] = subtable(pyproject, "tool", "poetry")
    tox = "\n".join([reading.text("tox.ini"), str(subtable(pyproject, "tool", "tox").get("legacy_tox_ini", ""))])
    extras = _extras(pyproject, config, script, told)
    classifiers = merged(told.get("classifiers", []), strings(project.get("classifiers")), ini_lines(config, "metadata", "classifiers"))
    classifiers = merged(classifiers, strings(script.get("classifiers")), strings(poetry.get("classifiers")))
    testing = tuple(name for name in extras if name.lower().replace("-", "_") in _TEST_GROUPS)
    requirements = _test_requirements(reading, pyproject, config, script, tox)
    if not testing and not requirements:
        testing = tuple(name for name in extras if name.lower() in _DEV_GROUPS)
    return Facts(
        name=first_text(
            told.get("name"), project.get("name"), poetry.get("name"), ini_value(config, "metadata", "name"), script.get("name")
        ),
        version=first_text(told.get("version"), project.get("version"), poetry.get("version"), script.get("version")),
        requires_python=_requires_python(told, project, poetry, config, script),
        supported=_supported(classifiers),
        dependencies=tuple(_dependencies(reading, pyproject, config, script, told)),
        extras={name: tuple(found) for name, found in extras.items()},
        test_extras=testing,
        test_requirements=tuple(requirements),
        build_requires=tuple(filter(None, map(requirement, strings(subtable(pyproject, "build-system").get("requires"))))),
        backend=str(subtable(pyproject, "build-system").get("build-backend", "")),
        installable=_installable(reading, pyproject, config),
        native=_native(reading, pyproject, script),
        package_root=_package_root(pyproject, config, script),
        inputs=tuple(sorted(set(reading.read))),
        pytest_options=_pytest_options(reading, pyproject, config),
        tox=tox,
    )


def _metadata(reading: Reading) -> dict[str, Any]:
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
    return first_text(
        told.get("requires_python"),
        project.get("requires-python"),
        poetry_specifier(caret) if isinstance(caret, str) else "",
        ini_value(config, "options", "python_requires"),
        script.get("python_requires"),
    )


def _supported(classifiers: Sequence[str]) -> tuple[tuple[int, int], ...]:
    found = (re.fullmatch(r"Programming Language :: Python :: (\d)\.(\d+)", text) for text in classifiers)
    return tuple(sorted({(int(match[1]), int(match[2])) for match in found if match}))


def _dependencies(
    reading: Reading, pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], told: Mapping[str, Any]
) -> list[str]:
    if told.get("complete"):
        return list(told["dependencies"])
    poetry = poetry_requirements(subtable(pyproject, "tool", "poetry", "dependencies"))
    flit = strings(subtable(pyproject, "tool", "flit", "metadata").get("requires"))
    declared = merged(
        clean(strings(subtable(pyproject, "project").get("dependencies"))),
        poetry,
        clean(flit),
        clean(ini_lines(config, "options", "install_requires")),
        clean(strings(script.get("install_requires")) or strings(script.get("requires"))),
    )
    if declared:
        return declared
    files = merged(*(requirement_lines(reading.text(path)) for path in requirement_files(reading.paths).runtime))
    return merged(files, _pipfile(reading, "packages"))


def _extras(pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, list[str]]:
    if told.get("extras"):
        return dict(told["extras"])
    found = {name: clean(strings(value)) for name, value in subtable(pyproject, "project", "optional-dependencies").items()}
    found |= {name: clean(strings(value)) for name, value in subtable(pyproject, "tool", "flit", "metadata", "requires-extra").items()}
    if config.has_section("options.extras_require"):
        found |= {name: clean(strings(value)) for name, value in config.items("options.extras_require")}
    given = script.get("extras_require")
    if isinstance(given, dict):
        found |= {name: clean(strings(value)) for name, value in given.items() if not name.startswith(":")}
    return found


def _test_requirements(reading: Reading, pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any], tox: str) -> list[str]:
    """Gather what tests need from everywhere it is said; the plain word of `tests_require` comes first."""
    groups = subtable(pyproject, "dependency-groups")
    pdm = subtable(pyproject, "tool", "pdm", "dev-dependencies")
    poetry = subtable(pyproject, "tool", "poetry")
    poetry_groups = subtable(poetry, "group")
    named = merged(
        clean(strings(script.get("tests_require"))),
        clean(ini_lines(config, "options", "tests_require")),
        *(clean(strings(value)) for name, value in [*groups.items(), *pdm.items()] if name.lower() in _GROUPS),
        *(poetry_requirements(subtable(poetry_groups, name, "dependencies")) for name in poetry_groups if name.lower() in _GROUPS),
        poetry_requirements(subtable(poetry, "dev-dependencies")),
        clean(strings(subtable(pyproject, "tool", "uv").get("dev-dependencies"))),
        clean(strings(subtable(pyproject, "tool", "flit", "metadata").get("dev-requires"))),
        *(clean(strings(subtable(pyproject, "tool", "hatch", "envs", env).get("dependencies"))) for env in ("default", "test", "tests")),
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


def _pipfile(reading: Reading, section: str) -> list[str]:
    table = subtable(toml_table(reading.text("Pipfile")), section)
    plain = {name: value for name, value in table.items() if isinstance(value, str)}
    return clean(f"{name}{'' if value.strip() == '*' else value}" for name, value in plain.items())


def _installable(reading: Reading, pyproject: Mapping[str, Any], config: Any) -> bool:
    if "setup.py" in reading.paths or config.has_option("metadata", "name"):
        return True
    return bool(pyproject.get("build-system") or pyproject.get("project"))


def _native(reading: Reading, pyproject: Mapping[str, Any], script: Mapping[str, Any]) -> bool:
    if any(script.get(key) for key in ("ext_modules", "cffi_modules", "rust_extensions")):
        return True
    backend = str(subtable(pyproject, "build-system").get("build-backend", ""))
    if backend.startswith(_NATIVE_BACKENDS) or subtable(pyproject, "tool", "setuptools").get("ext-modules"):
        return True
    extension = any(
        path.endswith((".pyx", ".c", ".cpp", ".pyx.in")) and not re.match(r"(tests?|docs?|examples?|benchmarks?)/", path)
        for path in reading.paths
    )
    return extension and b"ext_modules" in reading.bytes("setup.py")


def _package_root(pyproject: Mapping[str, Any], config: Any, script: Mapping[str, Any]) -> str:
    """Return the folder that holds the packages, where the project says so."""
    where = strings(subtable(pyproject, "tool", "setuptools", "packages", "find").get("where"))
    given = script.get("package_dir")
    folder = subtable(pyproject, "tool", "setuptools", "package-dir").get("") or (given.get("") if isinstance(given, dict) else "")
    line = next((text for text in ini_lines(config, "options", "package_dir") if text.startswith("=")), "=")
    found = first_text(folder, where[0] if where else "", line[1:].strip())
    return "" if found.startswith(("/", "..")) else found.strip("./")


def _pytest_options(reading: Reading, pyproject: Mapping[str, Any], config: Any) -> dict[str, str]:
    """Return pytest's own settings from the first file where pytest would look."""
    for path in ("pytest.ini", ".pytest.ini"):
        if path in reading.paths:
            found = ini_sections(reading.text(path))
            return _section(found, "pytest")
    table = subtable(pyproject, "tool", "pytest", "ini_options")
    if table:
        return {key: " ".join(strings(value)) if not isinstance(value, (int, float)) else str(value) for key, value in table.items()}
    tox = _section(ini_sections(reading.text("tox.ini")), "pytest")
    return tox or _section(config, "tool:pytest") or _section(config, "pytest")


def _section(config: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return {key: str(value or "") for key, value in config.items(name)} if config.has_section(name) else {}
