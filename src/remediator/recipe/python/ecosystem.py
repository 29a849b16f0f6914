"""Python: pip-installable projects, their byte code and their tests."""

from __future__ import annotations

import ast
import secrets
import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar

from remediator.contracts.sandbox import ExecResult, Sandbox
from remediator.contracts.tree import Tree
from remediator.recipe.ecosystem import Built, Ecosystem, Tested
from remediator.recipe.hints import Hints
from remediator.recipe.observed_run import Observed, Reporting, observed_run
from remediator.recipe.python.canaries import planted
from remediator.recipe.python.changed_lines import changed_lines
from remediator.recipe.python.first_plans import first_plans
from remediator.recipe.python.honest_test import problem_of
from remediator.recipe.python.layout import sources_of
from remediator.recipe.python.next_plan import next_plan
from remediator.recipe.python.plan import PYTHON, Plan, plan_of, recipe_of, work_env
from remediator.recipe.python.product_lines import product_lines
from remediator.recipe.test_results import test_run
from remediator.records.recipe import Baseline, BuildRun, Recipe, TestRun
from remediator.records.source import Source

_SIGNS = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "requirements.txt", "tox.ini")
_ROOT = "/job"
_MOST_FILES = 3000
_MOST_MODULES = 600
_MODULE_SECONDS = 60.0
_BUILD_SECONDS = 300.0
_TEST_SECONDS = 60.0
_PROBE_SECONDS = 240.0


class PythonEcosystem(Ecosystem):
    """The first ecosystem."""

    name: ClassVar[str] = "python"

    def detect(self, tree: Tree) -> bool:
        """Return whether there is a build file of Python's at the root, or any module."""
        paths = [entry.path for entry in tree.entries() if entry.is_file]
        return any(path in _SIGNS for path in paths) or any(self.covers(path) for path in paths)

    def covers(self, path: str) -> bool:
        """Return whether a file is a Python module."""
        return path.endswith((".py", ".pyi"))

    def syntax_error(self, path: str, data: bytes) -> str | None:
        """Return what the parser says, or None. Nothing is executed."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(data, filename="<module>")
        except SyntaxError as error:
            return f"line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    def plans(self, tree: Tree, source: Source, hints: Hints) -> Sequence[Recipe]:
        """Return today's dependencies, then those of the release's day."""
        return first_plans(tree, source, hints)

    def diagnose(self, recipe: Recipe, stage: str, log: str) -> Recipe | None:
        """Look the log up in the table of symptoms."""
        plan, reasons = next_plan(plan_of(recipe), stage, log)
        if not reasons:
            return None
        return recipe_of(plan, recipe.inputs, (*recipe.notes, *reasons))

    async def build(self, sandbox: Sandbox, recipe: Recipe, tree: Tree, baseline: Baseline | None) -> Built:
        """Run the build steps, compile every file, import every module."""
        plan = plan_of(recipe)
        steps = [await _step(sandbox, step.argv, step.env, step.timeout_seconds) for step in recipe.build]
        log = b"\n".join(result.stdout + result.stderr for result in steps)
        wrong = next(
            (r for r, step in zip(steps, recipe.build, strict=True) if not r.ok and not (step.may_fail and r.exit_code is not None)), None
        )
        if wrong is not None:
            return Built(_build_run(recipe, steps, None, {}, "build-step-failed"), log)
        sources = sources_of(tree, plan.package_root)
        files = [entry.path for entry in tree.entries() if entry.is_file and entry.path.endswith(".py")]
        files = files if len(files) <= _MOST_FILES else list(sources.files)
        modules = sorted(sources.modules, key=lambda name: (name.count("."), name))[:_MOST_MODULES]
        job = {**_job(plan), "files": files, "modules": modules, "module_seconds": _MODULE_SECONDS}
        observed = await observed_run(sandbox, _reporting(plan, "import_run", ["channel", "world"], job, _BUILD_SECONDS))
        answers = {str(r[1]): str(r[2]) for r in observed.records if r[0] in ("compiled", "imported") and len(r) >= 3}
        expected = set(baseline.build.modules) if baseline else set()
        wanted = {name: answers.get(name, "is not there any more") for name in sorted(expected)} if baseline else answers
        judged = {**wanted, **_new(answers, baseline)}
        failure = "" if observed.problems else _failure(judged, modules, baseline)
        return Built(_build_run(recipe, steps, observed, judged, failure), log + observed.log)

    async def test(self, sandbox: Sandbox, recipe: Recipe, base: Tree, tree: Tree, only: Sequence[str]) -> Tested:
        """Plant the canaries, run the tests under our reporter."""
        plan = plan_of(recipe)
        if not plan.runner:
            return Tested(TestRun(complete=False, problems=("no-tests",)), b"")
        for step in recipe.build:
            await _step(sandbox, step.argv, step.env, step.timeout_seconds)
        canaries = planted(plan.test_folders, [entry.path for entry in tree.entries()], plan.runner, plan.python_functions)
        for path, data in canaries.files.items():
            await sandbox.write(f"{_ROOT}/{path}", data)
        names = [path.rpartition("/")[2] for path in canaries.files]
        job = {
            **_job(plan),
            "options": [*plan.runner_options, "-o", f"python_files={' '.join([*plan.python_files, *names])}"],
            "folder": plan.folder,
            "test_seconds": max(_TEST_SECONDS, plan.timeout_seconds / 5),
            "arguments": _files_of(only) if only and plan.runner == "pytest" else _with_canaries(plan, names),
            "pattern": plan.test_pattern,
            "only": list(only),
            "canaries": list(canaries.files),
            "lines": changed_lines(base, tree),
        }
        reporting = _reporting(plan, f"{plan.runner}_run", ["channel", "lines", "world", "reads"], job, plan.timeout_seconds)
        observed = await observed_run(sandbox, reporting)
        run = test_run(observed, canaries.expected, _ROOT)
        argv = next((tuple(map(str, r[3])) for r in observed.records if r[0] == "start" and len(r) == 4), ())
        shown = tuple(_shown(word, names) for word in argv)
        return Tested(run.model_copy(update={"argv": (plan.runner, *shown), "image": sandbox.image_digest}), observed.log)

    def reproducer_problem(self, files: Mapping[str, str]) -> str | None:
        """Return why these files are no reproducer, or None."""
        return problem_of(files)

    async def probe(
        self, sandbox: Sandbox, recipe: Recipe, base: Tree, tree: Tree, files: Mapping[str, str], named: Sequence[str]
    ) -> Tested:
        """Run the files under our reporter in a folder of their own, without the project's conftest files and options."""
        plan = plan_of(recipe)
        for step in recipe.build:
            await _step(sandbox, step.argv, step.env, step.timeout_seconds)
        folder = f"probe_{secrets.token_hex(6)}"
        canaries = planted([folder], [], "pytest")
        written = {f"{folder}/{name}": text.encode("utf-8", "surrogateescape") for name, text in files.items()}
        for path, data in {**written, **canaries.files, f"{folder}/pytest.ini": b"[pytest]\n"}.items():
            await sandbox.write(f"{_ROOT}/{path}", data)
        names = " ".join(path.rpartition("/")[2] for path in (*written, *canaries.files))
        options = ["-c", f"{_ROOT}/{folder}/pytest.ini", "--noconftest", "-q", "--tb=short", "-o", f"python_files={names}"]
        job = {
            **_job(plan),
            "options": options,
            "folder": ".",
            "test_seconds": _TEST_SECONDS,
            "arguments": list(written),
            "pattern": "",
            "only": [],
            "canaries": list(canaries.files),
            "lines": product_lines(base, named) if base.id == tree.id else changed_lines(base, tree),
            "watch_reads": True,
        }
        modules = ["channel", "lines", "world", "reads"]
        observed = await observed_run(sandbox, _reporting(plan, "pytest_run", modules, job, _PROBE_SECONDS))
        run = test_run(observed, canaries.expected, _ROOT)
        reads = sorted({str(record[1]) for record in observed.records if record[0] == "read"})
        problems = (*run.problems, "reads-source") if reads else run.problems
        run = run.model_copy(
            update={
                "complete": not problems,
                "problems": problems,
                "results": {_without(folder, test): outcome for test, outcome in run.results.items()},
                "raised": {_without(folder, test): name for test, name in run.raised.items()},
                "argv": ("pytest", *(name for name in files)),
                "image": sandbox.image_digest,
            }
        )
        return Tested(run, observed.log)


def _without(folder: str, test: str) -> str:
    return test.removeprefix(f"{folder}/")


def _shown(word: str, names: Sequence[str]) -> str:
    """Return a word of the command line without the canaries, which are others each time."""
    for name in names:
        word = word.replace(f" or {name.removesuffix('.py')}", "")
    return " ".join(part for part in word.split(" ") if part not in names) if word.startswith("python_files=") else word


def _job(plan: Plan) -> dict[str, object]:
    return {"root": _ROOT, "pycache": "/tmp/.pycache", "python_path": list(plan.python_path), "packages": list(plan.packages)}  # noqa: S108


def _reporting(plan: Plan, entry: str, modules: Sequence[str], job: dict[str, object], seconds: float) -> Reporting:
    return Reporting(PYTHON, entry, modules, job, work_env(plan), seconds)


async def _step(sandbox: Sandbox, argv: Sequence[str], env: dict[str, str], seconds: float) -> ExecResult:
    return await sandbox.exec(argv, env=env, timeout_seconds=seconds)


def _with_canaries(plan: Plan, names: Sequence[str]) -> list[str]:
    """Return the test arguments; where the operator chose tests by name (-k), the canaries are chosen too."""
    words = list(plan.test_arguments)
    for place, word in enumerate(words[:-1]):
        if word == "-k" and plan.runner == "pytest":
            words[place + 1] = " or ".join([f"({words[place + 1]})", *(name.removesuffix(".py") for name in names)])
    return words


def _files_of(only: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(test.split("::")[0] for test in only))


def _new(answers: dict[str, str], baseline: Baseline | None) -> dict[str, str]:
    """Return the answers of what the baseline did not have at all: what a patch adds has to work too."""
    if baseline is None:
        return {}
    known = {*baseline.build.modules, *baseline.build.broken}
    return {name: answer for name, answer in answers.items() if name not in known}


def _build_run(recipe: Recipe, steps: Sequence[ExecResult], observed: Observed | None, answers: dict[str, str], failure: str) -> BuildRun:
    """Sum up. `failure` is a reason code that the caller already knows."""
    broken = {name: answer for name, answer in answers.items() if answer}
    doubts = (failure,) if failure else observed.problems if observed else ()
    return BuildRun(
        ok=not doubts,
        reason=doubts[0] if doubts else "",
        summary=", ".join([*doubts, *(f"{name}: {answer.splitlines()[0]}" for name, answer in list(broken.items())[:3] if failure)]),
        argv=tuple(step.argv for step in recipe.build),
        exit_codes=tuple(step.exit_code for step in steps),
        modules=tuple(sorted(name for name, answer in answers.items() if not answer)),
        broken=broken,
        seconds=sum(step.seconds for step in steps) + (observed.run.seconds if observed else 0.0),
    )


def _failure(answers: dict[str, str], modules: Sequence[str], baseline: Baseline | None) -> str:
    """Return why a build is none: something that worked does not, or nothing works at all."""
    if baseline is not None:
        return "modules-broken" if any(answers.values()) else ""
    return "nothing-imports" if modules and all(answers.get(name, "?") for name in modules) else ""
