"""`remediator init`: a settings file and a playbook to start from. Nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

_HEAD = """\
# Settings of remediator. Every key stands here with its default; take the `#` away to change one.
# Read from the user's configuration folder, or from a file named by `remediator -c FILE`. A file in a repository that is
# being fixed is never read: it is not yours to trust. Environment: REMEDIATOR_<KEY>, nested keys with `__`.
"""

_PLAYBOOK_HEAD = """\
# A playbook: which components, in which order, within which limits. Use it with `remediator fix --playbook FILE`, or set `playbook`
# in remediator.toml. `remediator playbook explain FILE` says what it does, `remediator playbook validate FILE` checks it.
"""
_KEYS = {
    "name": "What the journal and the bundles call it.",
    "scan": "What looks for vulnerabilities. A trailing `?` on a name makes it optional.",
    "fix": "What proposes patches, asked in this order until one is proven: put the cheapest first.",
    "verify": "What judges patches. A check that is left out caps the evidence level.",
    "submit": "Where proven fixes go.",
    "sandbox": "Where the target's code runs.",
    "require": "The evidence level that a fix must reach, by severity.",
    "limits": "Caps for one case.",
}


@click.command("init", cls=Verb)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@pass_session
def command(session: Session, folder: Path | None) -> int:
    """Write a commented remediator.toml and a copy of the default playbook into FOLDER.

    FOLDER is your own configuration folder by default, where they are found by themselves. Files that are there are left alone.
    """
    from remediator.cli.console import safe

    own = Path(click.get_app_dir("remediator"))
    target = folder or own
    _make(target)
    texts = {"remediator.toml": settings_text(), "playbook.yaml": playbook_text()}
    for name, text in texts.items():
        written = _write_new(target / name, text)
        session.out.print(f"{'wrote' if written else 'kept '} {safe(str(target / name))}")
    option = "" if target == own else f" -c {safe(str(target / 'remediator.toml'))}"
    session.talk(f"next: remediator{option} doctor · remediator playbook validate {safe(str(target / 'playbook.yaml'))}")
    return 0


def settings_text() -> str:
    """Return every setting with its description and default, as comments."""
    from pydantic import BaseModel

    from remediator.settings import Settings

    lines = [_HEAD]
    tables = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        about = f"# {field.description}" if field.description else f"# See `{name}` in the reference."
        if isinstance(default, BaseModel):
            tables += [about, f"# [{name}]", *_table_lines(default), ""]
        elif isinstance(default, dict):
            tables += [about, f"# [{name}.NAME]", ""]
        else:
            lines += [about, f"# {name} = {_toml(default)}", ""]
    return "\n".join([*lines, *tables])


def playbook_text() -> str:
    """Return the default playbook with every key written out."""
    import yaml

    from remediator.playbook import load_playbook

    playbook = load_playbook("default")
    plain = {
        **playbook.resolved(),
        "name": "mine",
        "require": {who: level.name for who, level in playbook.require.items()},
    }
    parts = [_PLAYBOOK_HEAD]
    for key, value in plain.items():
        parts += [f"# {_KEYS[key]}", yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=None, width=120)]
    return "\n".join(parts)


def _table_lines(default: Any) -> list[str]:
    return [f"# {name} = {_toml(getattr(default, name))}" for name in type(default).model_fields if getattr(default, name) is not None]


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Path() | str():
            return json.dumps(str(value))
        case tuple() | list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
        case _:
            return str(value)


def _make(folder: Path) -> None:
    from remediator.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}", hint="name another: remediator init FOLDER") from error


def _write_new(path: Path, text: str) -> bool:
    from remediator.errors import UsageError

    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="name another folder: remediator init FOLDER") from error
    return True
