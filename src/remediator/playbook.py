"""Which components, in which order, within which limits: YAML, checked against the registry before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import Field, ValidationError, field_validator

from remediator.contracts import Component, Verifier
from remediator.errors import PlaybookError, PluginError
from remediator.records.finding import Severity
from remediator.records.record import Record
from remediator.records.verdict import EvidenceLevel
from remediator.registry import Registry

_MOST_BYTES = 256 * 1024
C = TypeVar("C", bound=Component)
_KINDS = {"scan": "scanner", "fix": "fixer", "verify": "verifier", "submit": "sink"}


class Use(Record):
    """One component and its options. A trailing `?` on the name makes it optional: without it, what is missing is an error."""

    use: str
    options: dict[str, Any] = Field(default_factory=dict, alias="with")

    @property
    def name(self) -> str:
        """Return the component's name."""
        return self.use.removesuffix("?")


class PlaybookLimits(Record):
    """Caps for one case: attempts over all fixers, money, tokens (sent and received), and minutes of wall time."""

    attempts: int = Field(default=3, ge=1, le=50)
    usd: Decimal = Field(default=Decimal("2.00"), ge=0)
    tokens: int | None = Field(default=2_000_000, ge=1)
    minutes: float = Field(default=30.0, gt=0)


class Playbook(Record):
    """A playbook as written, complete with defaults. `require` maps `default` or a severity to an evidence level."""

    name: str
    scan: tuple[Use, ...] = ()
    fix: tuple[Use, ...] = ()
    verify: tuple[Use, ...] = ()
    submit: tuple[Use, ...] = ()
    sandbox: Use = Use(use="docker")
    require: dict[str, EvidenceLevel] = {"default": EvidenceLevel.E3}
    limits: PlaybookLimits = PlaybookLimits()

    @field_validator("require", mode="before")
    @classmethod
    def _levels(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        unknown = set(value) - {"default", *Severity}
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no severity")
        return {key: EvidenceLevel[level] if level in EvidenceLevel.__members__ else level for key, level in value.items()}

    def required(self, severity: Severity) -> EvidenceLevel:
        """Return the level that a fix for a finding of this severity must reach."""
        return self.require.get(severity, self.require.get("default", EvidenceLevel.E3))

    def resolved(self) -> dict[str, Any]:
        """Return the plain form, as written into journal and bundle."""
        return self.model_dump(mode="json", by_alias=True)


def playbook_names() -> tuple[str, ...]:
    """Return the names of the playbooks that come with remediator."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.yaml")))


def load_playbook(name_or_path: str, registry: Registry | None = None) -> Playbook:
    """Read a playbook by name or path and check every `use` and `with`.

    Raises PlaybookError with the place, the offending value and the nearest thing that exists.
    """
    path = _locate(name_or_path)
    playbook = parse_playbook(path.read_bytes(), str(path))
    if registry is not None:
        check_playbook(playbook, registry)
    return playbook


def parse_playbook(data: bytes, origin: str) -> Playbook:
    """Parse a playbook's YAML. Raises PlaybookError."""
    if len(data) > _MOST_BYTES:
        raise PlaybookError(f"{origin}: larger than {_MOST_BYTES} bytes")
    try:
        value = yaml.load(data.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that also refuses aliases
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise PlaybookError(f"{origin}: not a playbook: {error}", hint="remediator playbook explain default shows a good one") from error
    if not isinstance(value, dict):
        raise PlaybookError(f"{origin}: a playbook is a mapping, not {type(value).__name__}", hint="it begins with `name: …`")
    try:
        return Playbook.model_validate(value)
    except ValidationError as error:
        raise PlaybookError(f"{origin}: {_told(error, value)}", hint="docs/reference/playbook.md lists every key") from error


def check_playbook(playbook: Playbook, registry: Registry) -> None:
    """Check that every component is there and takes its options. Raises PlaybookError."""
    for key, kind in _KINDS.items():
        for use in getattr(playbook, key):
            _check(playbook.name, key, kind, use, registry)
    if playbook.sandbox.name != "none":
        _check(playbook.name, "sandbox", "sandbox", playbook.sandbox, registry)


def make(use: Use, kind: str, contract: type[C], registry: Registry, defaults: Mapping[str, Any]) -> C:
    """Make the component that a `use` names, with `defaults` below its options where it has such fields."""
    component = registry.get(kind, use.name)
    below = {key: value for key, value in defaults.items() if key in component.model_fields}
    return cast("C", component(**{**below, **use.options}))


def expected_checks(playbook: Playbook, registry: Registry) -> tuple[tuple[str, EvidenceLevel], ...]:
    """Return every check that the playbook calls for, with its level."""
    found = []
    for use in playbook.verify:
        verifier = cast(type[Verifier], registry.get("verifier", use.name))
        found.append((verifier.name, verifier.level))
    return tuple(found)


def _check(playbook: str, key: str, kind: str, use: Use, registry: Registry) -> None:
    try:
        component = registry.get(kind, use.name)
    except PluginError as error:
        if use.use.endswith("?") and kind != "verifier":
            return
        raise PlaybookError(f"playbook {playbook}: {key}: {error.message}", hint=error.hint) from error
    try:
        component(**use.options)
    except ValidationError as error:
        told = _told(error, use.options, tuple(component.model_fields))
        raise PlaybookError(f"playbook {playbook}: {key}: {use.name}: with: {told}") from error


def _locate(name_or_path: str) -> Path:
    shipped = _shipped() / f"{name_or_path}.yaml"
    if "/" not in name_or_path and shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise PlaybookError(f"no playbook {name_or_path!r}", hint=f"shipped ones: {', '.join(playbook_names())}; else name a file")


def _shipped() -> Path:
    packaged = Path(str(resources.files("remediator"))) / "playbooks"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "playbooks"


def _told(error: ValidationError, value: Mapping[str, Any], fields: tuple[str, ...] = tuple(Playbook.model_fields)) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    near = difflib.get_close_matches(str(first["loc"][-1]), fields, n=1) if first["type"] == "extra_forbidden" else []
    return f"{where}: {first['msg']}" + (f"; did you mean {near[0]!r}?" if near else "")


class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases (bombs) and keys that stand twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"key {twice!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)
