"""One way to prepare a Python project, as a value, and the recipe it comes to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from remediator.recipe.python.prepare_scripts import AFTER, BEFORE, REBUILD, WRITE
from remediator.records.recipe import Recipe, RecipeStep
from remediator.records.record import Record

VENV = "/opt/venv"
PYTHON = f"{VENV}/bin/python"
KEPT = f"{VENV}/.remediator"
IMAGES = {"python3.9": (3, 9), "python3.11": (3, 11), "python3.13": (3, 13)}
# The era's own test tools do not run on our interpreters: these are taken as of a later day.
_TOOLS = [
    "pytest",
    "pluggy",
    "py",
    "attrs",
    "iniconfig",
    "packaging",
    "pyparsing",
    "more-itertools",
    "atomicwrites",
    "wcwidth",
    "tomli",
    "toml",
    "exceptiongroup",
    "typing-extensions",
    "setuptools",
    "wheel",
    "colorama",
    "six",
    "importlib-metadata",
    "zipp",
]
_TOOLS_FLOOR = datetime(2021, 12, 31)
# Older setuptools cannot install a project in place, newer ones lack what old scripts import; atomicwrites was uploaded anew in 2022.
_SETUPTOOLS_FLOOR = datetime(2023, 6, 30)
_LAG = timedelta(days=150)


class Plan(Record):
    """What is installed and how tests are run. Kept as the options of its recipe, so that the next plan can be made from it."""

    name: str
    image: str
    install: str = "editable"
    native: bool = False
    distribution: str = ""
    version: str = ""
    extras: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    day: str = ""
    era: str = ""
    modern: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    more: tuple[tuple[str, ...], ...] = ()
    runner: str = "pytest"
    runner_options: tuple[str, ...] = ()
    test_arguments: tuple[str, ...] = ()
    folder: str = "."
    test_pattern: str = "test*.py"
    test_folders: tuple[str, ...] = ()
    python_files: tuple[str, ...] = ()
    python_functions: str = ""
    python_path: tuple[str, ...] = (".",)
    packages: tuple[str, ...] = ()
    package_root: str = ""
    images: tuple[str, ...] = ()
    django_settings: str = ""
    env: dict[str, str] = {}
    timeout_seconds: float = 600.0


def plan_of(recipe: Recipe) -> Plan:
    """Return the plan that a recipe was made from."""
    return Plan.model_validate(recipe.options)


def recipe_of(plan: Plan, inputs: Iterable[str], notes: Iterable[str]) -> Recipe:
    """Return the recipe that a plan comes to."""
    return Recipe(
        ecosystem="python",
        name=plan.name,
        image=plan.image,
        prepare=tuple(_prepare(plan)),
        build=tuple(_build(plan)),
        options=plan.as_json(),
        inputs=tuple(inputs),
        notes=tuple(notes),
    )


def work_env(plan: Plan) -> dict[str, str]:
    """Return the environment of everything that runs code of the project."""
    return {
        "PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": VENV,
        "HOME": "/home/runner",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "80",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **_versions(plan),
        **plan.env,
    }


def _versions(plan: Plan) -> dict[str, str]:
    # A tree without its history cannot tell its own version to the tools that ask git for it.
    version = plan.version or "0.0.1"
    return {
        "SETUPTOOLS_SCM_PRETEND_VERSION": version,
        "PBR_VERSION": version,
        "PDM_BUILD_SCM_VERSION": version,
        "POETRY_DYNAMIC_VERSIONING_BYPASS": version,
    }


def _prepare(plan: Plan) -> list[RecipeStep]:
    env = {
        **work_env(plan),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_SOURCES": "1",
        "UV_HTTP_TIMEOUT": "60",
        "TMPDIR": f"{VENV}/.tmp",
    }
    steps = [
        ("mkdir", "-p", f"{KEPT}/generated", f"{VENV}/.tmp"),
        ("uv", "venv", "--quiet", "--allow-existing", "--python", "/usr/bin/python3", VENV),
        (PYTHON, "-c", BEFORE, KEPT),
        (PYTHON, "-c", WRITE, f"{KEPT}/constraints.txt", *plan.constraints),
        (PYTHON, "-c", WRITE, f"{KEPT}/build-constraints.txt", *plan.constraints, *plan.build_constraints),
        (PYTHON, "-c", WRITE, f"{KEPT}/overrides.txt", *plan.overrides),
        *_install(plan),
        *plan.more,
        (PYTHON, "-c", AFTER, KEPT, plan.install, plan.distribution or "project", plan.version or "0.0.1", *plan.python_path),
        ("uv", "pip", "list", "--python", PYTHON),
        ("rm", "-rf", f"{VENV}/.tmp"),
    ]
    return [RecipeStep(argv=argv, env=env, timeout_seconds=1200.0) for argv in steps]


def _install(plan: Plan) -> list[tuple[str, ...]]:
    pip = ("uv", "pip", "install", "--python", PYTHON, *_as_of(plan))
    bound = ("-c", f"{KEPT}/constraints.txt", "-b", f"{KEPT}/build-constraints.txt", "--override", f"{KEPT}/overrides.txt")
    project = f"/job[{','.join(plan.extras)}]" if plan.extras else "/job"
    if plan.install == "editable" and plan.native:
        build = plan.build_requires or ("setuptools<81", "wheel")
        return [
            (*pip, *bound, "-c", f"{KEPT}/build-constraints.txt", *build),
            (*pip, *bound, "--no-build-isolation", "-e", project, *plan.requirements),
        ]
    if plan.install == "editable":
        return [(*pip, *bound, "-e", project, *plan.requirements)]
    wanted = (*plan.dependencies, *plan.requirements)
    # Asked for nothing at all, the installer takes it for a mistake.
    steps = [(*pip, *bound, *wanted)] if wanted else []
    if plan.install == "overlay":
        published = f"{plan.distribution}=={plan.version}"
        steps.append((*pip, "--no-deps", "--only-binary", ":all:", "--target", f"{KEPT}/wheel", published))
    return steps


def _as_of(plan: Plan) -> list[str]:
    if not plan.era:
        # Resolved again later, from a replay, it has to come to the same.
        return ["--exclude-newer", plan.day] if plan.day else []
    day = datetime.fromisoformat(plan.era)
    floors = dict.fromkeys((*_TOOLS, *plan.modern), max(day, _TOOLS_FLOOR))
    floors |= dict.fromkeys(("setuptools", "wheel", "atomicwrites"), max(day, _SETUPTOOLS_FLOOR))
    later = (word for name, floor in floors.items() for word in ("--exclude-newer-package", f"{name}={floor:%Y-%m-%d}"))
    return ["--exclude-newer", f"{day:%Y-%m-%d}", *later]


def era_of(released: datetime) -> str:
    """Return the day as of which a project released then is resolved: some months later, for the fixes that came in between."""
    return f"{released + _LAG:%Y-%m-%d}"


def _build(plan: Plan) -> list[RecipeStep]:
    # What the installation wrote into the tree (a version file, say) is laid beside it again; nothing that the tree has is replaced.
    steps = [RecipeStep(argv=("cp", "-rn", f"{KEPT}/generated/.", "/job/"), env=work_env(plan), timeout_seconds=60.0, may_fail=True)]
    if plan.native and plan.install == "editable":
        steps.append(RecipeStep(argv=(PYTHON, "-c", REBUILD), env=work_env(plan), timeout_seconds=900.0))
    return steps


def with_requirement(requirements: Iterable[str], added: str) -> tuple[str, ...]:
    """Return the requirements with one more, which replaces what was asked of that distribution before."""
    name = canonicalize_name(Requirement(added).name)
    return (*(text for text in requirements if canonicalize_name(Requirement(text).name) != name), added)
