"""The plans that a tree's own words suggest, before anything was tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from remediator.contracts.tree import Tree
from remediator.errors import ConfigError, GitError
from remediator.recipe.hints import Hints
from remediator.recipe.python.distributions import distribution_of
from remediator.recipe.python.facts import Facts, facts_of
from remediator.recipe.python.layout import Sources, Tests, imported_names, sources_of, tests_of
from remediator.recipe.python.plan import IMAGES, Plan, era_of, recipe_of, with_requirement
from remediator.recipe.python.pytest_options import kept_options, test_command
from remediator.recipe.python.requirements import for_tests, merged, without
from remediator.records.recipe import Recipe
from remediator.records.source import Source

# What can be seen in a set-up script before it fails.
_SCRIPT_SIGNS = (
    (re.compile(rb"setuptools\.command\.test|tests_require|test_suite"), "setuptools<72"),
    (re.compile(rb"use_2to3"), "setuptools<58"),
    (re.compile(rb"pkg_resources"), "setuptools<81"),
)
_NOSE_STYLE = re.compile(
    rb"(?m)^\s*(?:import nose\b|from nose\b)|^    def (?:setup|teardown)\(self\)|^def (?:setup|teardown|setup_module)\(\)"
)
_DJANGO = re.compile(r"DJANGO_SETTINGS_MODULE['\"]?[\s\],=]{1,20}['\"]?([A-Za-z_][\w.]*)")
_DJANGO_FILE = re.compile(r"(tests?|testing|test_?project|example|demo)/(\w+/)?(test_?)?settings\.py")
_TEST_OPTIONS = ("-q", "--tb=short", "-p", "no:randomly", "-p", "no:random_order", "-p", "no:rerunfailures", "-p", "no:flaky")


def first_plans(tree: Tree, source: Source, hints: Hints) -> list[Recipe]:
    """Return the plan with today's dependencies, then the one with those of the release's day."""
    facts = facts_of(tree, (3, 11))
    images = images_for(facts, source.released, hints)
    facts = facts_of(tree, IMAGES[images[0]])
    layout, tests = sources_of(tree, facts.package_root), _tests(tree, facts)
    current = _with_hints(_current(tree, facts, layout, tests, images, source), hints)
    plans = [(current, f"dependencies of today on {current.image}")]
    if source.released is not None:
        era = era_of(source.released)
        image = images[-1]
        plans.append(
            (current.model_copy(update={"name": "as-of-release", "era": era, "image": image}), f"dependencies as of {era} on {image}")
        )
    inputs = tuple(path for path in facts.inputs if tree.find(path))
    return [recipe_of(plan, inputs, (note, *_notes(facts, tests))) for plan, note in plans]


def _tests(tree: Tree, facts: Facts) -> Tests:
    return tests_of(tree, facts.pytest_options.get("python_files", ""), facts.pytest_options.get("python_functions", ""))


def images_for(facts: Facts, released: datetime | None, hints: Hints) -> list[str]:
    """Return the images worth trying, the likeliest first and the oldest last. Raises ConfigError for an operator's word we do not have."""
    if hints.image or hints.python:
        wanted = hints.image or f"python{'.'.join(hints.python.split('.')[:2])}"
        if wanted not in IMAGES:
            raise ConfigError(f"there is no base image for {wanted!r}", hint=f"known: {', '.join(IMAGES)}")
        return [wanted]
    allowed = [image for image, version in IMAGES.items() if _allows(facts.requires_python, version)] or list(IMAGES)
    newest = max((version for version in facts.supported if version[0] == 3), default=_python_of(released))
    declared = [image for image in allowed if IMAGES[image] <= newest]
    first = declared[-1] if declared else allowed[0]
    older = [image for image in allowed if IMAGES[image] < IMAGES[first]]
    return [first, *reversed(older)]


def _allows(requires_python: str, version: tuple[int, int]) -> bool:
    try:
        return SpecifierSet(requires_python).contains(f"{version[0]}.{version[1]}.20")
    except InvalidSpecifier:
        return True


def _python_of(released: datetime | None) -> tuple[int, int]:
    """Return the newest of our Pythons that was some months old then; without a date, the middle one."""
    if released is None:
        return (3, 11)
    days = {(3, 13): datetime(2025, 4, 1, tzinfo=UTC), (3, 11): datetime(2023, 4, 1, tzinfo=UTC)}
    moment = released if released.tzinfo else released.replace(tzinfo=UTC)
    return next((version for version, day in days.items() if moment >= day), (3, 9))


def _current(tree: Tree, facts: Facts, layout: Sources, tests: Tests, images: Sequence[str], source: Source) -> Plan:
    kept = kept_options(facts.pytest_options.get("addopts", ""))
    has_tests = bool(tests.files) or "--doctest-modules" in kept.kept
    configured = facts.pytest_options.get("testpaths", "").split()
    text = b"".join(_read(tree, path) for path in ("setup.py", "setup.cfg", "pyproject.toml"))
    name = facts.name or source.name
    return Plan(
        name="current",
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        image=images[0],
        images=tuple(images),
        install="editable" if facts.installable else "static",
        native=facts.native,
        distribution=name if re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) else "project",
        version=_version(source.version or facts.version),
        extras=facts.test_extras,
        dependencies=facts.dependencies,
        requirements=tuple(_requirements(tree, facts, layout, tests)) if has_tests else ("pytest",),
        constraints=("pytest<8",) if any(_NOSE_STYLE.search(_read(tree, path)) for path in tests.files) else (),
        build_requires=facts.build_requires,
        build_constraints=tuple(constraint for sign, constraint in _SCRIPT_SIGNS if sign.search(text)),
        runner="pytest" if has_tests else "",
        runner_options=(*_TEST_OPTIONS, *kept.kept),
        test_arguments=() if configured and not tests.patterns else tests.roots,
        test_folders=_folders(tests),
        python_files=tests.patterns or tuple(facts.pytest_options.get("python_files", "").split()) or ("test_*.py", "*_test.py"),
        python_functions=facts.pytest_options.get("python_functions", ""),
        python_path=layout.python_path,
        packages=layout.packages,
        package_root=facts.package_root,
        django_settings=_django_settings(tree, facts),
    )


def _requirements(tree: Tree, facts: Facts, layout: Sources, tests: Tests) -> list[str]:
    """Return what tests need: what is said, then what their imports show and nothing else brings."""
    said = without(facts.test_requirements, [facts.name or "project"])
    extras = for_tests(text for name in facts.test_extras for text in facts.extras.get(name, ()))
    brought = {canonicalize_name(Requirement(text).name) for text in (*said, *facts.dependencies, *extras)}
    own = {*layout.packages, *(path.split("/")[0].removesuffix(".py") for path in tests.files), "tests", "test", "conftest"}
    shown = [distribution_of(name) for name in sorted(imported_names(tree, tests.files) - own)]
    missing = [text for text in shown if text and canonicalize_name(Requirement(text).name) not in brought]
    missing = without(missing, [facts.name or "project", "setuptools", "pip"])
    return merged(with_requirement(said, "pytest") if "pytest" not in brought else said, missing)


def _folders(tests: Tests) -> tuple[str, ...]:
    folders = {path.rpartition("/")[0] for path in tests.files}
    return tuple(sorted(folders, key=lambda folder: (folder.count("/"), folder))) or ("",)


def _version(text: str) -> str:
    return text if re.fullmatch(r"v?\d[\w.+!-]*", text) else ""


def _read(tree: Tree, path: str) -> bytes:
    try:
        return tree.read(path, limit_bytes=1024 * 1024)
    except (KeyError, GitError):
        return b""


def _django_settings(tree: Tree, facts: Facts) -> str:
    paths = [entry.path for entry in tree.entries() if entry.is_file and entry.path.count("/") <= 2]
    likely = [path for path in paths if path.endswith(("manage.py", "runtests.py", "conftest.py", "run_tests.py", "setup.cfg", "Makefile"))]
    texts = [
        facts.tox,
        *(_read(tree, path).decode("utf-8", "replace") for path in likely),
    ]
    found = [match[1] for text in texts for match in _DJANGO.finditer(text)]
    files = [path[:-3].replace("/", ".") for path in paths if _DJANGO_FILE.fullmatch(path)]
    return next(iter([*found, *files]), "")


def _with_hints(plan: Plan, hints: Hints) -> Plan:
    """Let the operator's word win."""
    changes: dict[str, object] = {"timeout_seconds": hints.timeout_seconds, "env": dict(hints.env), "more": hints.prepare}
    requirements = plan.requirements
    for pin in hints.pins:
        requirements = with_requirement(requirements, pin)
    changes["requirements"], changes["constraints"] = requirements, (*plan.constraints, *hints.pins)
    if hints.test:
        command = test_command(hints.test)
        if command is None:
            raise ConfigError(
                f"the test command {' '.join(hints.test)!r} is neither pytest nor unittest",
                hint="give it as `pytest …` or `python -m unittest …`; results of anything else cannot be told by test id",
            )
        changes |= {"runner": command.runner, "test_arguments": command.arguments}
    return plan.model_copy(update=changes)


def _notes(facts: Facts, tests: Tests) -> list[str]:
    kept = kept_options(facts.pytest_options.get("addopts", ""))
    notes = [f"pytest options of the project left out: {' '.join(kept.dropped)}"] if kept.dropped else []
    notes += [f"pytest options of the project kept: {' '.join(kept.kept)}"] if kept.kept else []
    return notes if tests.files else [*notes, "no tests were found"]
