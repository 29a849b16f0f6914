"""What plugins bring: a fresh plugin manager per call, shelves by kind and name, and whose each component is."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from remediator import hookspecs
from remediator.contracts import Component
from remediator.errors import PluginError
from remediator.records.record import Record

BUILTIN = "remediator.builtin"
_HOOKS = {
    "scanner": "register_scanners",
    "fixer": "register_fixers",
    "verifier": "register_verifiers",
    "sink": "register_sinks",
    "sandbox": "register_sandboxes",
    "llm": "register_llms",
    "observer": "register_observers",
}


class PluginInfo(Record):
    """A plugin as `remediator plugins` shows it. `state` is ok, quarantined (with the reason), or not-enabled."""

    name: str
    version: str = ""
    origin: str
    state: str = "ok"
    reason: str = ""
    components: tuple[str, ...] = ()


class Registry:
    """All components that may be used. A plugin that fails is quarantined and named; it never takes the rest with it."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[str, type[Component]]] = {kind: {} for kind in _HOOKS}
        self._owners: dict[tuple[str, str], str] = {}
        self._plugins: list[PluginInfo] = []

    @classmethod
    def load(cls, *, enabled: Sequence[str] = (), files: Sequence[Path] = (), builtin_only: bool = False) -> Registry:
        """Load the built-ins, then the enabled entry points, then single files.

        Raises PluginError where two plugins register the same kind and name, naming both.
        """
        registry = cls()
        registry._take(BUILTIN, "builtin", "", lambda: importlib.import_module(BUILTIN))
        if builtin_only:
            return registry
        for point in metadata.entry_points(group=hookspecs.PROJECT):
            version = point.dist.version if point.dist else ""
            if point.name in enabled:
                registry._take(point.name, "entry point", version, point.load)
            else:
                registry._plugins.append(
                    PluginInfo(name=point.name, version=version, origin="entry point", state="not-enabled", reason="not named in `plugins`")
                )
        registry._miss(enabled)
        for path in files:
            registry._take(path.stem, f"file {path}", "", lambda path=path: _module_from(path))
        return registry

    def _miss(self, enabled: Iterable[str]) -> None:
        there = {plugin.name for plugin in self._plugins}
        for name in enabled:
            if name not in there:
                self._plugins.append(
                    PluginInfo(name=name, origin="entry point", state="missing", reason="named in `plugins`, not installed")
                )

    def components(self, kind: str) -> Mapping[str, type[Component]]:
        """Return the components of a kind by name."""
        return dict(self._shelves[kind])

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Return every plugin that was found, whatever became of it."""
        return tuple(self._plugins)

    def get(self, kind: str, name: str) -> type[Component]:
        """Return a component's class. Raises PluginError saying what there is, and which plugin is in quarantine."""
        found = self._shelves[kind].get(name)
        if found is None:
            raise PluginError(f"no {kind} named {name!r}", hint=self._what_instead(kind))
        return found

    def owner(self, kind: str, name: str) -> PluginInfo:
        """Return the plugin that registered a component."""
        owner = self._owners[(kind, name)]
        return next(plugin for plugin in self._plugins if plugin.name == owner and plugin.state == "ok")

    def _what_instead(self, kind: str) -> str:
        there = ", ".join(sorted(self._shelves[kind])) or "none"
        lost = [f"{p.name} ({p.state}: {p.reason})" for p in self._plugins if p.state in ("quarantined", "missing")]
        return f"there is: {there}" + (f"; not loaded: {'; '.join(lost)}" if lost else "")

    def _take(self, name: str, origin: str, version: str, load: Any) -> None:
        # A plugin is a stranger's code: whatever it raises is its own fault and is told, never felt.
        try:
            found = _declared(load())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self._plugins.append(PluginInfo(name=name, version=version, origin=origin, state="quarantined", reason=reason))
            return
        for component in found:
            self._shelve(name, component)
        names = tuple(f"{component.kind}:{component.name}" for component in found)
        self._plugins.append(PluginInfo(name=name, version=version or _version(name), origin=origin, components=names))

    def _shelve(self, plugin: str, component: type[Component]) -> None:
        key = (component.kind, component.name)
        if key in self._owners:
            raise PluginError(
                f"two plugins register the {component.kind} {component.name!r}: {self._owners[key]} and {plugin}",
                hint="remove one of them from `plugins` in your settings",
            )
        self._owners[key] = plugin
        self._shelves[component.kind][component.name] = component


def _declared(plugin: object) -> tuple[type[Component], ...]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    found: list[type[Component]] = []
    for kind, hook in _HOOKS.items():
        for classes in getattr(manager.hook, hook)():
            found.extend(_checked(kind, component) for component in classes)
    return tuple(found)


def _checked(kind: str, component: Any) -> type[Component]:
    if not (isinstance(component, type) and issubclass(component, Component)):
        raise PluginError(f"{component!r} is not a Component class")
    if getattr(component, "kind", None) != kind or not getattr(component, "name", ""):
        raise PluginError(f"{component.__name__} must be a {kind} and have a name")
    if missing := getattr(component, "__abstractmethods__", None):
        raise PluginError(f"{component.__name__} lacks {', '.join(sorted(missing))}")
    return component


def _module_from(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"remediator_plugin_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _version(name: str) -> str:
    try:
        return metadata.version(name.split(".")[0])
    except metadata.PackageNotFoundError:
        return ""
