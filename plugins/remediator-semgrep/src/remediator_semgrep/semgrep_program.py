"""Runs semgrep as a program: offline, in a closed environment, with nothing of the repository in its settings."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from remediator.errors import ConfigError, ScanError
from remediator.program import ProgramLimits, ProgramResult, closed_environment, find_program, run_program
from remediator_semgrep.rule_set import RuleSet

_INSTALL = "install it in an environment of its own, and name it with REMEDIATOR_SEMGREP or the option `binary`"
_OUTPUT_BYTES = 128 * 1024 * 1024
_RULE_ERRORS = ("rule", "yaml", "pattern", "config", "language")
_WHOLE_TREE = ("--x-ignore-semgrepignore-files", "--project-root", ".")
_FRONT_ENDS: tuple[tuple[str, ...], ...] = (("--experimental", *_WHOLE_TREE), _WHOLE_TREE, ())
_CANARY_RULE = """rules:
- id: remediator-canary
  languages: [python]
  severity: INFO
  message: canary
  patterns: [{pattern: remediator_canary($X)}]
"""
# The canary also lies in a folder that semgrep's own ignore list leaves out, and carries a comment that would hide it.
_CANARIES = ("canary.py", "tests/canary.py", "node_modules/canary.py")
_CANARY = "remediator_canary(1)  # nosemgrep\n"


class Report(NamedTuple):
    """What one run printed, or why it printed nothing that can be used."""

    json: dict[str, Any]
    failure: str = ""
    timed_out: bool = False


class SemgrepProgram(NamedTuple):
    """A semgrep that was found and seen to work, and the front end that it is to be called with."""

    binary: Path
    front_end: tuple[str, ...] = ()
    jobs: int = 2
    timeout_seconds: float = 20.0
    memory_mb: int = 3000

    async def proven(self, rules: RuleSet, scratch: Path) -> SemgrepProgram:
        """Return this program with the fastest front end that works here.

        Raises ConfigError with semgrep's own words where it refuses a rule, ScanError where no front end works.
        """
        folder = scratch / "semgrep-canary"
        rule = _write_canary(folder)
        said = ""
        for front_end in _FRONT_ENDS:
            candidate = self._replace(front_end=front_end)
            report = await candidate.run((rule, *rules.files), folder / "tree", folder, seconds=180)
            if refused := _refused(report.json):
                raise ConfigError(f"semgrep refuses a rule: {refused}", hint="mend the rule file, or leave it out of `rules`")
            if _canaries(report.json) == len(_CANARIES):
                return candidate
            said = report.failure or "the canary rule did not find what it must find"
        raise ScanError(f"semgrep ({self.binary}) does not work: {said}", hint=_INSTALL)

    async def run(self, configs: Sequence[Path], root: Path, scratch: Path, *, seconds: float) -> Report:
        """Scan everything below `root`; time-outs and unreadable output are part of the answer."""
        home = scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        limits = ProgramLimits(timeout_seconds=seconds, output_bytes=_OUTPUT_BYTES)
        result = await run_program(self._argv(configs), cwd=root, env=self._env(home), limits=limits)
        return _read(result)

    def _argv(self, configs: Sequence[Path]) -> list[str]:
        options = [word for config in configs for word in ("--config", str(config))]
        return [
            str(self.binary), "scan", *self.front_end, "--json", "--quiet", *options,
            "--disable-nosem", "--no-git-ignore", "--max-target-bytes", "0", "--no-rewrite-rule-ids",
            "--metrics", "off", "--disable-version-check", "--dataflow-traces",
            "--timeout", str(int(self.timeout_seconds)), "--timeout-threshold", "0",
            "--max-memory", str(self.memory_mb), "--jobs", str(self.jobs), ".",
        ]  # fmt: skip

    def _env(self, home: Path) -> dict[str, str]:
        return {
            **closed_environment(home, self.binary),
            "SEMGREP_ENABLE_VERSION_CHECK": "0",
            "SEMGREP_SEND_METRICS": "off",
            "SEMGREP_SETTINGS_FILE": str(home / "settings.yml"),
            "SEMGREP_LOG_FILE": str(home / "semgrep.log"),
            "XDG_CONFIG_HOME": str(home),
            "XDG_CACHE_HOME": str(home),
        }


def find_semgrep(named: str) -> Path:
    """Return semgrep: the one that was named, else next to this interpreter, else on PATH. Raises ScanError with a hint."""
    if named:
        path = Path(named).expanduser()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise ScanError(f"there is no program at {named!r}, which is named as semgrep", hint=_INSTALL)
        return path.absolute()
    beside = Path(sys.executable).with_name("semgrep")
    if beside.is_file() and os.access(beside, os.X_OK):
        return beside
    try:
        return find_program("semgrep")
    except ScanError as error:
        raise ScanError("semgrep was not found", hint=_INSTALL) from error


def installed_version(binary: Path) -> str:
    """Return semgrep's version as its installation says, or an empty string; asking the program itself can take minutes offline."""
    places = (binary.parent.parent, binary.resolve().parent.parent)
    for place in places:
        for found in sorted(place.glob("lib/python3*/site-packages/semgrep-*.dist-info")):
            return found.name.removeprefix("semgrep-").removesuffix(".dist-info")
    return ""


def _write_canary(folder: Path) -> Path:
    for name in _CANARIES:
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_CANARY)
    (folder / "tree" / ".semgrepignore").write_text("*\n")
    rule = folder / "canary.yaml"
    rule.write_text(_CANARY_RULE)
    return rule


def _canaries(report: dict[str, Any]) -> int:
    return sum(str(result.get("check_id", "")).endswith("remediator-canary") for result in report.get("results", ()))


def _read(result: ProgramResult) -> Report:
    if result.timed_out:
        return Report({}, "semgrep did not end in time", timed_out=True)
    if result.truncated:
        return Report({}, f"semgrep wrote more than {_OUTPUT_BYTES} bytes")
    try:
        # Names of files that are not UTF-8 come through as they are.
        report = json.loads(result.stdout.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return Report({}, f"semgrep ended with {result.exit_code} and no report: {result.complaint or 'no message'}")
    if not isinstance(report, dict) or not isinstance(report.get("results"), list):
        return Report({}, "semgrep's report is not what was expected")
    return Report(report)


def _refused(report: dict[str, Any]) -> str:
    for error in report.get("errors", ()):
        kind = str(error.get("type", ""))
        about_rules = any(word in kind.lower() for word in _RULE_ERRORS) and "path" not in error
        if about_rules or kind in ("Invalid YAML", "SemgrepError"):
            text = str(error.get("long_msg") or error.get("message") or error.get("short_msg") or kind)
            spans = error.get("spans") or [{}]
            where = spans[0].get("file", "") if isinstance(spans[0], dict) else ""
            return f"{where}: {text}".lstrip(": ")[:800]
    return ""
