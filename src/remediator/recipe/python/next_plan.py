"""The plan that a failed one teaches."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from remediator.recipe.python.plan import Plan, with_requirement
from remediator.recipe.python.symptoms import Remedy, remedies
from remediator.redact import printable

# Where pytest itself breaks, an older one, and in the end none.
_PYTEST_STEPS = ("pytest<8", "pytest<7", "pytest<5")
_LAST_RESORTS = ("static", "pytest-step", "older", "folder")


def next_plan(plan: Plan, stage: str, log: str) -> tuple[Plan, list[str]]:
    """Return the plan changed by every remedy that the log of `stage` calls for, with the reasons; the same plan where none does.

    What changes the ground (interpreter, way of installing, runner) is done only where nothing finer helps.
    """
    found = list(remedies(log, frozenset(plan.packages)))
    for last_resort in (False, True):
        changed, reasons = plan, []
        for remedy in found:
            if (remedy.kind in _LAST_RESORTS) is last_resort and _fits(remedy, stage):
                after = _applied(changed, remedy)
                if after != changed:
                    changed = after
                    reasons.append(f"{_told(remedy)} because the {stage} log says: {printable(remedy.because)}")
                    if remedy.kind in _LAST_RESORTS:
                        break
        if reasons:
            return changed, reasons
    fallback = _reinstalled(plan) if stage == "prepare" else plan
    return fallback, [f"installed another way ({fallback.install}) because the preparation failed"] if fallback != plan else []


def _fits(remedy: Remedy, stage: str) -> bool:
    if remedy.kind in ("build", "static", "forget", "undated"):
        return stage == "prepare"
    return remedy.kind in ("constrain", "older") or stage != "prepare"


def _told(remedy: Remedy) -> str:
    return " ".join(filter(None, (remedy.kind, remedy.value)))


def _applied(plan: Plan, remedy: Remedy) -> Plan:
    match remedy.kind:
        case "constrain":
            return _constrained(plan, remedy.value)
        case "build" if remedy.value not in plan.build_constraints:
            return plan.model_copy(update={"build_constraints": (*plan.build_constraints, remedy.value)})
        case "require" if plan.runner and not _asked(plan, remedy.value):
            return plan.model_copy(update={"requirements": with_requirement(plan.requirements, remedy.value)})
        case "warnings" if plan.runner == "pytest" and "filterwarnings=" not in plan.runner_options:
            return plan.model_copy(update={"runner_options": (*plan.runner_options, "-o", "filterwarnings=")})
        case "django" if plan.django_settings and "DJANGO_SETTINGS_MODULE" not in plan.env:
            env = {**plan.env, "DJANGO_SETTINGS_MODULE": plan.django_settings}
            return plan.model_copy(update={"env": env, "requirements": with_requirement(plan.requirements, "pytest-django")})
        case "undated" if plan.day and not plan.era:
            return plan.model_copy(update={"day": ""})
        case "folder" if plan.folder == "." and len(plan.test_arguments) == 1 and not plan.test_arguments[0].endswith(".py"):
            return plan.model_copy(update={"folder": plan.test_arguments[0]})
        case "older":
            return _older(plan)
        case "static":
            return _reinstalled(plan)
        case "forget":
            return _forgotten(plan, remedy.value)
        case "pytest-step":
            return _stepped(plan)
    return plan


def _asked(plan: Plan, requirement: str) -> bool:
    return requirement in plan.requirements


def _constrained(plan: Plan, constraint: str) -> Plan:
    """Add a bound, unless one of the other direction stands already or the project itself is meant."""
    wanted = Requirement(constraint)
    name = canonicalize_name(wanted.name)
    if constraint in plan.constraints or name == canonicalize_name(plan.distribution or "-"):
        return plan
    upper = any(spec.operator.startswith("<") for spec in wanted.specifier)
    for other in map(Requirement, plan.constraints):
        if canonicalize_name(other.name) == name and upper != any(spec.operator.startswith("<") for spec in other.specifier):
            return plan
    return _with_companions(plan.model_copy(update={"constraints": (*plan.constraints, constraint)}))


def _with_companions(plan: Plan) -> Plan:
    """Add what an old pytest needs and does not say itself."""
    if not {"pytest<4", "pytest<5"} & set(plan.constraints) or "pluggy<1" in plan.constraints:
        return plan
    requirements = with_requirement(plan.requirements, "setuptools<81")
    return plan.model_copy(update={"constraints": (*plan.constraints, "pluggy<1"), "requirements": requirements})


def _older(plan: Plan) -> Plan:
    later = plan.images[plan.images.index(plan.image) + 1 :] if plan.image in plan.images else ()
    return plan.model_copy(update={"image": later[0]}) if later else plan


def _reinstalled(plan: Plan) -> Plan:
    """Go from installing the project to using what its wheel has compiled, and from there to its files alone."""
    if plan.install == "editable" and plan.native and plan.version:
        return plan.model_copy(update={"install": "overlay"})
    return plan.model_copy(update={"install": "static"})


def _forgotten(plan: Plan, name: str) -> Plan:
    """Take a later version of a distribution where those of the era do not build, else any, else do without it if only tests ask for it."""
    wanted = canonicalize_name(name)
    if wanted == canonicalize_name(plan.distribution or "-"):
        return plan
    if plan.era and wanted not in plan.modern:
        return plan.model_copy(update={"modern": (*plan.modern, wanted)})
    if wanted not in plan.overrides and wanted != "pytest":
        # Old exact pins of compiled distributions build on no interpreter that we have: any version is better than none, and is told.
        return plan.model_copy(update={"overrides": (*plan.overrides, wanted)})
    kept = tuple(text for text in plan.requirements if canonicalize_name(Requirement(text).name) != wanted)
    return plan if wanted == "pytest" else plan.model_copy(update={"requirements": kept})


def _stepped(plan: Plan) -> Plan:
    step = next((step for step in _PYTEST_STEPS if step not in plan.constraints), None)
    if step is not None:
        return _with_companions(plan.model_copy(update={"constraints": (*plan.constraints, step)}))
    return plan.model_copy(update={"runner": "unittest"})
