"""Fills in the templates of a new plugin."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from remediator.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_NAME = 60
_PLAYBOOK_KEYS = {"scanner": "scan", "fixer": "fix", "verifier": "verify", "sink": "submit"}


def plan_package(name: str, kind: str) -> dict[Path, str]:
    """Return the files of an installable package, the module first. Raises UsageError where the name will not do."""
    words = _words(name, kind)
    folder = Path(words["distribution"])
    return {
        folder / "src" / words["module"] / "__init__.py": _filled(f"{kind}.py", words),
        folder / "tests" / f"test_{words['module']}.py": _filled(f"{kind}_test.py", words),
        folder / "pyproject.toml": _filled("pyproject.toml", words),
        folder / "README.md": _filled("README.md", words),
    }


def plan_single_file(name: str, kind: str) -> dict[Path, str]:
    """Return a module and its test. Raises UsageError where the name will not do."""
    words = _words(name, kind)
    module = Path(f"{words['module']}.py")
    return {module: _filled(f"{kind}.py", words), Path(f"test_{module}"): _filled(f"{kind}_test.py", words)}


def write_all(files: Mapping[Path, str]) -> None:
    """Write every file, or none where one is there already. Raises UsageError."""
    if there := [path for path in files if path.exists()]:
        raise UsageError(f"{there[0]} is there already", hint="choose another name, or move it away")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", hint="use -C to name a folder of yours") from error


def _words(name: str, kind: str) -> dict[str, str]:
    if not _NAME.fullmatch(name) or len(name) > _MOST_NAME or keyword.iskeyword(name):
        raise UsageError(f"{name!r} is no name for a plugin", hint="lower-case letters, digits and hyphens, such as dockerfile-latest")
    camel = "".join(part.capitalize() for part in name.split("-"))
    suffix = "SandboxProvider" if kind == "sandbox" else kind.capitalize()
    return {
        "name": name,
        "kind": kind,
        "module": "remediator_" + name.replace("-", "_"),
        "distribution": f"remediator-{name}",
        "class_name": camel if camel.endswith(suffix) else camel + suffix,
        "playbook_line": _playbook_line(name, kind),
    }


def _playbook_line(name: str, kind: str) -> str:
    if kind == "sandbox":
        return f"sandbox: {{use: {name}}}"
    return f"{_PLAYBOOK_KEYS[kind]}: [{{use: {name}}}]" if kind in _PLAYBOOK_KEYS else f"# the {kind} is used by its name, {name}"


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (resources.files("remediator.cli") / "templates" / f"{template}.tmpl").read_text(encoding="utf-8")
    return Template(text).substitute(words)
