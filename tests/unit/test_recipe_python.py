"""What is read out of Python projects, and the plans that come of it: data in, values out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remediator.errors import ConfigError, RecipeError
from remediator.recipe import Hints, syntax_error
from remediator.recipe.detect import ecosystem_named, ecosystem_of
from remediator.recipe.preparing import image_key
from remediator.recipe.python.canaries import planted
from remediator.recipe.python.changed_lines import changed_lines
from remediator.recipe.python.facts import Facts, facts_of
from remediator.recipe.python.first_plans import first_plans, images_for
from remediator.recipe.python.layout import sources_of
from remediator.recipe.python.layout import tests_of as found_tests
from remediator.recipe.python.next_plan import next_plan
from remediator.recipe.python.plan import PYTHON, Plan, plan_of, recipe_of, work_env
from remediator.recipe.python.poetry import poetry_specifier
from remediator.recipe.python.product_lines import product_lines
from remediator.recipe.python.pytest_options import kept_options, test_command
from remediator.recipe.python.requirements import nox_requirements, requirement_lines, tox_requirements
from remediator.recipe.python.setup_script import setup_arguments
from remediator.recipe.test_results import Phase, doubts_of, outcome_of
from remediator.records.recipe import TestOutcome
from remediator.records.source import Source, SourceKind
from remediator.testing.fake_tree import FakeTree

TEST = "def test_a(): pass\n"
POETRY = """
[tool.poetry]
name = "p"
version = "2"
[tool.poetry.dependencies]
python = "^3.7"
a = "^1"
[tool.poetry.dev-dependencies]
b = {version = "*"}
"""
CONFIG = """
[metadata]
name = s
[options]
install_requires =
  a
  b
package_dir =
  =lib
[options.extras_require]
tests =
  c
"""


def source(released: datetime | None = None, version: str = "1.0") -> Source:
    return Source(kind=SourceKind.package, uri="pkg:x", name="thing", commit="0", tree="0", version=version, released=released)


def plan_for(files: dict[str, str], *, released: datetime | None = None, hints: Hints | None = None) -> Plan:
    return plan_of(first_plans(FakeTree(files), source(released), hints or Hints())[0])


def test_a_setup_script_is_read_and_not_run() -> None:
    script = b"""
import os, sys
os.abort()
from setuptools import setup
needs = ['a>=1']
if sys.version_info < (3, 3):
    needs.append('old')
if sys.version_info >= (3, 8):
    needs.append('new')
if not PYPY:
    needs.extend(['lxml'])
else:
    needs.append('pypy-only')
extra = dict(test=['pytest'])
extra['docs'] = ['sphinx']
setup(name='x', version=read('v'), install_requires=needs, extras_require=extra,
      ext_modules=[Extension('a', ['a.c'])], **{'zip_safe': False})
"""
    told = setup_arguments(script, (3, 9))
    assert told["install_requires"] == ["a>=1", "new", "lxml"]
    assert told["extras_require"] == {"test": ["pytest"], "docs": ["sphinx"]}
    assert told["name"] == "x"
    assert "version" not in told
    assert told["ext_modules"]


@pytest.mark.parametrize(
    "script", [b"x = 'a'\n" + b"x = x + x\n" * 200 + b"setup(name=x)", b"setup(name=" + b"+".join([b"x"] * 20_000) + b")"]
)
def test_a_setup_script_cannot_fill_our_memory_or_stack(script: bytes) -> None:
    assert setup_arguments(script, (3, 9)) == {}


@pytest.mark.parametrize("script", [b"print 'python 2'", b"\0", b"(" * 5000, b"\xff\xfe"])
def test_a_setup_script_that_does_not_parse_says_nothing(script: bytes) -> None:
    assert setup_arguments(script, (3, 9)) == {}


def test_requirement_files_give_requirements_and_nothing_else() -> None:
    text = (
        "a==1  # why\n-r other.txt\n-e .\ngit+https://x/y\nb @ https://x/y.zip\n"
        "c[x]>=2 ; python_version>'3'\n--hash=1\n???\nd \\\n --hash=sha256:0\n"
    )
    assert requirement_lines(text) == ["a==1", 'c[x]>=2; python_version > "3"', "d"]


def test_tox_deps_are_read_without_their_factors() -> None:
    text = (
        "[tox]\nenvlist = py\n[testenv]\ndeps =\n    pytest\n    py27: mock==1\n    py36,py37: attrs>=1\n"
        "    lint: flake8\n    -rreq.txt\ncommands = x\n"
    )
    assert tox_requirements(text) == ["pytest", "attrs>=1"]


def test_a_nox_file_is_read_and_not_run() -> None:
    text = (
        b"import nox\nraise SystemExit\n@nox.session\ndef tests(session):\n    session.install('pytest', 'mock>1', '-e', '.')\n"
        b"def docs(s):\n    s.install('sphinx')\n"
    )
    assert nox_requirements(text) == ["pytest", "mock>1"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("~1.2", ">=1.2,<1.3"),
        ("1.2", "==1.2"),
        ("*", ""),
        (">=1,<2", ">=1,<2"),
        ("~2.7 || ^3.5", ">=2.7,<2.8"),
        ("nonsense!", ""),
    ],
)
def test_poetry_versions_become_ordinary_bounds(written: str, meant: str) -> None:
    assert poetry_specifier(written) == meant


def test_facts_come_from_every_kind_of_project_file() -> None:
    pep621 = facts_of(
        FakeTree(
            {
                "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "thing"
requires-python = ">=3.8"
dependencies = ["a", "b>1"]
classifiers = ["Programming Language :: Python :: 3.8", "Programming Language :: Python :: 3.12"]
[project.optional-dependencies]
test = ["pytest", "c"]
docs = ["sphinx"]
[dependency-groups]
dev = ["ruff", "d"]
[tool.pytest.ini_options]
addopts = ["-ra", "--cov"]
testpaths = ["tests"]
"""
            }
        ),
        (3, 11),
    )
    assert pep621.dependencies == ("a", "b>1")
    assert pep621.test_extras == ("test",)
    assert pep621.test_requirements == ("d",)
    assert pep621.supported == ((3, 8), (3, 12))
    assert pep621.pytest_options == {"addopts": "-ra --cov", "testpaths": "tests"}
    poetry = facts_of(
        FakeTree({"pyproject.toml": POETRY}),
        (3, 11),
    )
    assert (poetry.requires_python, poetry.dependencies, poetry.test_requirements) == (">=3.7,<4", ("a<2,>=1",), ("b",))
    config = facts_of(
        FakeTree({"setup.cfg": CONFIG}),
        (3, 11),
    )
    assert (config.name, config.dependencies, config.test_extras, config.package_root) == ("s", ("a", "b"), ("tests",), "lib")


def test_a_published_archive_is_believed_over_its_script() -> None:
    facts = facts_of(
        FakeTree(
            {
                "PKG-INFO": "Name: real\nVersion: 3\nRequires-Python: >=3.6\nClassifier: Programming Language :: Python :: 3.6\n",
                "x.egg-info/requires.txt": "a>1\n\n[test]\npytest\n\n[:python_version < '3']\nold\n",
                "setup.py": "setup(name=name, install_requires=['wrong'])",
            }
        ),
        (3, 9),
    )
    assert (facts.name, facts.version, facts.requires_python) == ("real", "3", ">=3.6")
    assert facts.dependencies == ("a>1", 'old; python_version < "3"')
    assert facts.extras == {"test": ("pytest",)}


@pytest.mark.parametrize(
    ("supported", "requires", "released", "images"),
    [
        (((2, 7), (3, 5)), "", None, ["python3.9"]),
        (((3, 6), (3, 10)), "", None, ["python3.9"]),
        (((3, 8), (3, 13)), ">=3.8", None, ["python3.13", "python3.11", "python3.9"]),
        ((), "", datetime(2017, 1, 1, tzinfo=UTC), ["python3.9"]),
        ((), "", datetime(2024, 1, 1, tzinfo=UTC), ["python3.11", "python3.9"]),
        (((3, 8),), ">=3.10", None, ["python3.11"]),
        ((), "nonsense", None, ["python3.11", "python3.9"]),
    ],
)
def test_the_interpreter_is_one_that_the_project_knew(
    supported: tuple[tuple[int, int], ...], requires: str, released: datetime | None, images: list[str]
) -> None:
    assert images_for(Facts(supported=supported, requires_python=requires), released, Hints()) == images


def test_the_operator_chooses_the_interpreter() -> None:
    assert images_for(Facts(), None, Hints(python="3.13.1")) == ["python3.13"]
    with pytest.raises(ConfigError):
        images_for(Facts(), None, Hints(python="2.7"))


def test_layouts_are_told_apart() -> None:
    flat = sources_of(FakeTree({"pkg/__init__.py": "", "pkg/a.py": "", "pkg/tests/test_a.py": "", "setup.py": "", "docs/conf.py": ""}), "")
    assert (flat.python_path, flat.packages, flat.modules) == ((".",), ("pkg",), ("pkg", "pkg.a"))
    src = sources_of(FakeTree({"src/pkg/__init__.py": "", "src/one.py": "", "tests/test_a.py": ""}), "")
    assert (src.python_path, src.packages) == (("src", "."), ("one", "pkg"))
    single = sources_of(FakeTree({"untangled.py": "", "setup.py": "", "test_untangled.py": TEST}), "")
    assert single.packages == ("untangled",)
    space = sources_of(FakeTree({"google/thing/__init__.py": "", "google/thing/x.py": ""}), "")
    assert (space.packages, space.modules) == (("google",), ("google.thing", "google.thing.x"))


def test_tests_are_found_by_what_they_are() -> None:
    tests = found_tests(
        FakeTree(
            {"tests/test_a.py": TEST, "tests/data/test_x.py": "x = 1", "pkg/test_b.py": TEST, "pkg/core.py": TEST, "tests/helper.py": ""}
        ),
        "",
    )
    assert tests.files == ("pkg/test_b.py", "tests/test_a.py")
    assert tests.roots == ("pkg/test_b.py", "tests")
    assert tests.patterns == ()


def test_odd_file_names_of_tests_get_patterns() -> None:
    assert found_tests(FakeTree({"tests/tests.py": TEST}), "").patterns == ("test*.py",)
    assert found_tests(FakeTree({"tests/footests.py": TEST}), "").patterns == ("*tests.py",)
    assert found_tests(FakeTree({"tests/check_a.py": TEST}), "check_*.py").patterns == ()


def test_a_plan_has_what_tests_need_and_not_what_they_do_not() -> None:
    plan = plan_for(
        {
            "setup.py": "setup(name='thing', tests_require=['mock==1.0', 'pytest-cov', 'thing'])",
            "requirements-dev.txt": "flake8==3\nfutures==3.0\npytest==3.0.1\nrequests==2.1\n",
            "tests/test_a.py": "import yaml, thing, six, os\n" + TEST,
            "thing.py": "",
        }
    )
    assert plan.requirements == ("mock", "pytest", "requests", "six", "PyYAML")
    assert plan.build_constraints == ("setuptools<72",)
    assert plan.runner == "pytest"


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({"runtests.py": "os.environ['DJANGO_SETTINGS_MODULE'] = 'a.settings'"}, "a.settings"),
        ({"manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "b")'}, "b"),
        ({"tox.ini": "[testenv]\nsetenv =\n  DJANGO_SETTINGS_MODULE = c.d\n"}, "c.d"),
        ({"tests/settings.py": ""}, "tests.settings"),
        ({"pkg/settings.py": ""}, ""),
    ],
)
def test_the_settings_module_of_a_django_project_is_guessed(files: dict[str, str], settings: str) -> None:
    plan = plan_for({"setup.py": "", "tests/test_a.py": TEST, **files})
    assert plan.django_settings == settings
    changed, _ = next_plan(plan, "test", "ImproperlyConfigured: Requested setting DATABASES, but settings are not configured")
    assert changed.env.get("DJANGO_SETTINGS_MODULE", "") == settings
    assert ("pytest-django" in changed.requirements) is bool(settings)


def test_a_tree_without_tests_gets_no_runner_and_what_a_reproducer_needs() -> None:
    plan = plan_for({"setup.py": "setup(name='thing')", "thing.py": ""})
    assert (plan.runner, plan.requirements) == ("", ("pytest",))


def test_a_release_date_gives_a_second_plan_as_of_then() -> None:
    recipes = first_plans(FakeTree({"setup.py": "", "test_a.py": TEST}), source(datetime(2017, 1, 1, tzinfo=UTC)), Hints())
    assert [recipe.name for recipe in recipes] == ["current", "as-of-release"]
    argv = next(step.argv for step in recipes[1].prepare if "install" in step.argv)
    assert argv[argv.index("--exclude-newer") + 1] == "2017-05-31"


def test_hints_win() -> None:
    plan = plan_for(
        {"setup.py": "", "test_a.py": TEST},
        hints=Hints(
            test=("python", "-m", "unittest", "discover", "t"),
            pins=("pytest<6",),
            env={"A": "b"},
            timeout_seconds=7,
            prepare=(("echo", "x"),),
        ),
    )
    assert (plan.runner, plan.test_arguments, plan.timeout_seconds) == ("unittest", ("t",), 7)
    assert "pytest<6" in plan.requirements
    assert work_env(plan)["A"] == "b"
    assert ("echo", "x") in [step.argv for step in recipe_of(plan, (), ()).prepare]
    with pytest.raises(ConfigError):
        plan_for({"setup.py": "", "test_a.py": TEST}, hints=Hints(test=("make", "test")))


@pytest.mark.parametrize(
    ("addopts", "kept"),
    [
        ("-ra --cov=x -n 4 --strict", ()),
        ("--doctest-modules -p myplugin -p no:warnings", ("--doctest-modules", "-p", "myplugin")),
        ("-m 'not slow' -k 'not net'", ("-m", "not slow", "-k", "not net")),
        ("-m fast", ()),
        ("-m 'not slow or fast'", ()),
        ("--ignore=x --doctest-glob '*.rst' 'unclosed", ("--ignore=x", "--doctest-glob", "'*.rst'")),
    ],
)
def test_only_options_that_decide_which_tests_there_are_are_kept(addopts: str, kept: tuple[str, ...]) -> None:
    assert kept_options(addopts).kept == kept


def test_test_commands_of_the_operator() -> None:
    assert test_command(("py.test", "-q", "x")) == ("pytest", ("-q", "x"))
    assert test_command(("python3", "-m", "pytest", "x")) == ("pytest", ("x",))
    assert test_command(("make", "check")) is None


OLD_PYTEST = {"constraints": ("pytest<4", "pluggy<1"), "requirements": ("pytest", "setuptools<81")}
BASIC = Plan(
    name="current",
    image="python3.11",
    images=("python3.11", "python3.9"),
    distribution="thing",
    packages=("thing",),
    day="2026-01-01",
    test_arguments=("tests",),
    requirements=("pytest",),
)


@pytest.mark.parametrize(
    ("stage", "log", "changed"),
    [
        ("test", "TypeError: load() missing 1 required positional argument: 'Loader'", {"constraints": ("PyYAML<6",)}),
        ("test", "AttributeError: module 'collections' has no attribute 'Mapping'", {"image": "python3.9"}),
        ("test", "E   ModuleNotFoundError: No module named 'mock'", {"requirements": ("pytest", "mock")}),
        ("test", "E       fixture 'mocker' not found", {"requirements": ("pytest", "pytest-mock")}),
        ("test", "[pytest] section in setup.cfg files is no longer supported", OLD_PYTEST),
        ("test", "E   DeprecationWarning: gone soon", {"runner_options": ("-o", "filterwarnings=")}),
        ("test", "INTERNALERROR> boom", {"constraints": ("pytest<8",)}),
        ("test", "E   FileNotFoundError: [Errno 2] No such file or directory: 'views/x'", {"folder": "tests"}),
        ("test", "'yield' keyword is allowed in fixtures, but not in tests (test_x)", OLD_PYTEST),
        ("prepare", "error in x setup command: use_2to3 is invalid.", {"build_constraints": ("setuptools<58",)}),
        ("prepare", "ModuleNotFoundError: No module named 'setuptools.command.test'", {"build_constraints": ("setuptools<72",)}),
        ("prepare", "warning: x is missing an upload date", {"day": ""}),
        ("prepare", "something nobody knows", {"install": "static"}),
    ],
)
def test_a_log_teaches_the_next_plan(stage: str, log: str, changed: dict[str, object]) -> None:
    plan, reasons = next_plan(BASIC, stage, log)
    assert plan == BASIC.model_copy(update=changed)
    assert reasons


@pytest.mark.parametrize("log", ["all is well", "No module named 'thing.part'", "No module named 'a_name_that_only_the_tree_knows'"])
def test_a_log_that_teaches_nothing_ends_it(log: str) -> None:
    assert next_plan(BASIC, "test", log) == (BASIC, [])


def test_a_native_project_falls_back_to_what_its_wheel_has_compiled_and_then_to_its_files() -> None:
    native = BASIC.model_copy(update={"native": True, "version": "1.0"})
    overlay, _ = next_plan(native, "prepare", "error: command 'gcc' failed")
    static, _ = next_plan(overlay, "prepare", "no wheel")
    assert (overlay.install, static.install) == ("overlay", "static")
    assert next_plan(static, "prepare", "still no") == (static, [])


def test_a_remedy_that_was_tried_is_not_tried_again() -> None:
    once, _ = next_plan(
        BASIC, "test", "missing 1 required positional argument: 'Loader' load() missing 1 required positional argument: 'Loader'"
    )
    assert next_plan(once, "test", "load() missing 1 required positional argument: 'Loader'") == (once, [])


def test_no_other_tree_ever_gets_a_prepared_image() -> None:
    files = {"setup.py": "setup(name='x')", "x.py": "", "test_x.py": TEST}
    recipe = first_plans(FakeTree(files), source(), Hints())[0]
    key = image_key(recipe, FakeTree(files))
    assert key == image_key(recipe.model_copy(update={"notes": ("told",), "name": "other"}), FakeTree(files))
    assert key != image_key(recipe, FakeTree({**files, "x.py": "changed"}))
    assert key != image_key(recipe, FakeTree({**files, "setup.py": "setup(name='y')"}))
    assert key != image_key(recipe.model_copy(update={"image": "python3.13"}), FakeTree(files))


def test_a_folder_that_needs_nothing_is_prepared_without_installing_anything() -> None:
    plan = plan_for({"m.py": ""}).model_copy(update={"requirements": ()})
    assert (plan.install, plan.dependencies, plan.requirements) == ("static", (), ())
    assert not [step.argv for step in recipe_of(plan, (), ()).prepare if step.argv[:3] == ("uv", "pip", "install")]


def test_a_recipe_gives_its_plan_back() -> None:
    assert plan_of(recipe_of(BASIC, ("setup.py",), ("why",))) == BASIC
    assert all(step.argv[0] in ("mkdir", "uv", "rm", PYTHON) for step in recipe_of(BASIC, (), ()).prepare)


def test_canaries_differ_each_time_and_are_python() -> None:
    first, second = planted(["tests", "pkg/tests"], [], "pytest"), planted(["tests", "pkg/tests"], [], "pytest")
    assert set(first.files).isdisjoint(second.files)
    assert sorted(path.rpartition("/")[0] for path in first.files) == ["pkg/tests", "tests"]
    assert len(first.expected) == 6
    for data in first.files.values():
        compile(data, "canary", "exec")
    assert planted([""], [], "pytest", "check_*").files.popitem()[1].count(b"def check_") == 3


def test_only_new_and_changed_lines_count_as_changed() -> None:
    base = FakeTree({"a.py": "one\ntwo\nthree\n", "same.py": "x", "b.txt": "x"})
    tree = base.replaced({"a.py": b"one\n2\nthree\nfour\n", "new.py": b"x\ny\n", "b.txt": b"y"})
    assert changed_lines(base, tree) == {"a.py": [2, 4], "new.py": [1, 2]}
    assert changed_lines(base, base) == {}


def test_a_huge_change_is_compared_in_time() -> None:
    old = FakeTree({"a.py": "".join(f"a{n % 9}\n" for n in range(30_000))})
    new = FakeTree({"a.py": "".join(f"{'b' if n == 5 else 'a'}{n % 7}\n" for n in range(30_000))})
    assert changed_lines(old, new) == {"a.py": [6]}


@pytest.mark.parametrize(
    ("phases", "outcome", "doubts"),
    [
        ([("setup", "", "passed", False), ("call", "", "passed", False), ("teardown", "", "passed", False)], "passed", []),
        ([("setup", "", "passed", False), ("call", "ValueError", "passed", False)], "failed", ["forged-outcome"]),
        ([("setup", "", "passed", False), ("call", "ValueError", "skipped", True)], "xfailed", []),
        (
            [
                ("setup", "", "passed", False),
                ("call", "ValueError", "rerun", False),
                ("setup", "", "passed", False),
                ("call", "", "passed", False),
            ],
            "failed",
            ["contradiction"],
        ),
        ([("setup", "", "passed", False), ("call", "", "passed", False), ("teardown", "E", "failed", False)], "error", []),
        ([("setup", "", "passed", False)], None, []),
        ([], None, []),
    ],
)
def test_phases_are_folded_to_the_worst(phases: list[tuple[str, str, str, bool]], outcome: str | None, doubts: list[str]) -> None:
    told = [Phase(*phase) for phase in phases]
    assert outcome_of(told) == (TestOutcome(outcome) if outcome else None)
    assert doubts_of(told) == doubts


@pytest.mark.parametrize(
    ("data", "wrong"), [(b"x = 1\n", False), (b"x = \n", True), (b"\0", True), (b"(" * 100_000, True), (b"\xff", True)]
)
def test_syntax_is_checked_without_running_anything(data: bytes, wrong: bool) -> None:
    assert (syntax_error("a.py", data) is not None) is wrong
    assert syntax_error("a.unknown", data) is None


def test_what_is_no_project_is_said_so() -> None:
    with pytest.raises(RecipeError):
        ecosystem_of(FakeTree({"README": "x"}))
    with pytest.raises(RecipeError):
        ecosystem_named("cobol")
    assert ecosystem_of(FakeTree({"a/b.py": ""})).name == "python"


def test_tests_with_names_of_the_projects_own_are_found() -> None:
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='thing')\n",
        "tox.ini": "[pytest]\npython_classes = Describe\npython_functions = it_ they_\n",
        "thing/__init__.py": "",
        "tests/test_thing.py": "class DescribeThing(object):\n    def it_works(self):\n        assert True\n",
    }
    plan = plan_for(files)
    assert (plan.runner, plan.test_arguments) == ("pytest", ("tests",))


def test_where_no_file_is_named_the_products_functions_are_watched() -> None:
    files = {
        "thing/core.py": "import os\n\n\ndef f():\n    return os\n",
        "tests/test_core.py": "def test_a():\n    assert 1\n",
        "setup.py": "def x():\n    pass\n",
    }
    assert product_lines(FakeTree(files), []) == {"thing/core.py": [5]}
    assert product_lines(FakeTree(files), ["setup.py"]) == {"setup.py": [2]}
