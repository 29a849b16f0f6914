"""The rules of a scan: which files, which rules, which languages, and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from remediator.errors import ConfigError

_BUILTIN = "builtin:"
_ENDINGS = (".yaml", ".yml")
_MAX_BYTES = 32 * 1024 * 1024


class RuleSet(NamedTuple):
    """Rule files that were found and read; semgrep itself judges whether the rules in them make sense."""

    files: tuple[Path, ...]
    ids: tuple[str, ...]
    languages: frozenset[str]
    digest: str

    @classmethod
    def load(cls, names: Sequence[str]) -> RuleSet:
        """Read the named rule files, folders and `builtin:` packs. Raises ConfigError naming what is missing or malformed."""
        files = [path for name in names for path in _files(name)]
        digest = hashlib.sha256()
        ids: list[str] = []
        languages: set[str] = set()
        for path in dict.fromkeys(files):
            data = _read(path)
            digest.update(hashlib.sha256(data).digest())
            for rule in _rules(path, data):
                ids.append(str(rule["id"]))
                languages.update(str(language).lower() for language in rule.get("languages") or ())
        if not ids:
            raise ConfigError(f"no rules in {', '.join(names) or 'an empty list'}", hint="name a rule file, a folder, or builtin:python")
        return cls(tuple(dict.fromkeys(files)), tuple(ids), frozenset(languages), digest.hexdigest())

    def id_of(self, reported: str) -> str:
        """Return the rule's own id for one that semgrep may have put a path in front of."""
        if reported in self.ids:
            return reported
        fits = [known for known in self.ids if reported.endswith("." + known)]
        return max(fits, key=len) if fits else reported


def _files(name: str) -> Iterator[Path]:
    path = Path(__file__).parent / "rules" / name.removeprefix(_BUILTIN) if name.startswith(_BUILTIN) else Path(name).expanduser()
    if path.is_file():
        yield path.resolve()
    elif path.is_dir():
        found = sorted(entry for entry in path.rglob("*") if entry.suffix in _ENDINGS and entry.is_file())
        if not found:
            raise ConfigError(f"no rule file in the folder {name}", hint="rule files end in .yaml or .yml")
        yield from (entry.resolve() for entry in found)
    else:
        raise ConfigError(f"no rules at {name!r}", hint="name a rule file, a folder, or builtin:python")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"the rule file {path} is larger than {_MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the rule file {path}: {error.strerror}") from error


def _rules(path: Path, data: bytes) -> list[dict[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(data, Loader=loader)  # noqa: S506 - both are safe loaders
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"the rule file {path} is not YAML: {error}") from error
    rules = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(rules, list):
        raise ConfigError(f"the rule file {path} has no list `rules`")
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict) or not isinstance(rule.get("id"), str) or not rule["id"]:
            raise ConfigError(f"the rule file {path}: rule {index + 1} has no id")
        if not isinstance(rule.get("languages", []), list):
            raise ConfigError(f"the rule file {path}: `languages` of {rule['id']} is not a list")
    return rules
