"""From `[models.NAME]` in the settings to a model that can be asked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from remediator.contracts import Llm
from remediator.errors import ConfigError, PluginError
from remediator.registry import Registry
from remediator.settings import ModelSettings, Settings, plain, trust_store

_PAGE = "docs/reference/models.md lists every key"


def model_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the models in the settings."""
    return tuple(sorted(settings.models))


def make_model(name: str, settings: Settings, registry: Registry) -> Llm:
    """Make the model that the settings call `name`. Nothing is sent. Blocks where a program is asked for the key.

    Raises ConfigError where there is no such model, an option is wrong, the key cannot be had, or `offline` forbids to ask it.
    """
    entry = model_settings(name, settings)
    component = _component(name, entry, registry)
    _known(name, entry, component)
    llm = _made(name, component, {**_machine(component, settings), **entry.options, **_price(entry)})
    _reachable(name, llm, settings)
    later = {"key": settings.secret(entry.key)} if entry.key else {}
    if proxy := _proxy(llm, settings):
        later["proxy"] = proxy
    made = _made(name, component, {**_plain(llm), **later}) if later else llm
    made.call(name)
    return made


def model_settings(name: str, settings: Settings) -> ModelSettings:
    """Return the table `[models.NAME]`. Raises ConfigError naming the nearest one."""
    if name in settings.models:
        return settings.models[name]
    near = difflib.get_close_matches(name, settings.models, n=1)
    there = ", ".join(model_names(settings))
    table = f"write a table [models.{name}] into remediator.toml; {_PAGE}"
    hint = f"there is: {there}; or {table}" if there else table
    raise ConfigError(f"no model {name!r} in the settings" + (f"; did you mean {near[0]!r}?" if near else ""), hint=hint)


def host_of(llm: Llm) -> str:
    """Return the host that a model is asked at, or the empty text where it does not say."""
    return urlsplit(str(getattr(llm, "base_url", ""))).hostname or ""


def _component(name: str, entry: ModelSettings, registry: Registry) -> type[Llm]:
    try:
        return cast("type[Llm]", registry.get("llm", entry.use))
    except PluginError as error:
        raise ConfigError(f"models.{name}: use: {error.message}", hint=error.hint) from error


def _known(name: str, entry: ModelSettings, component: type[Llm]) -> None:
    fields = [field for field in component.model_fields if field not in ("key", "price")]
    for option in entry.options:
        if option not in fields:
            near = difflib.get_close_matches(option, [*fields, "key", "price", "use"], n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"models.{name}: {entry.use} has no option {option!r}{meant}", hint=f"there is: {', '.join(fields)}")
    if entry.key and "key" not in component.model_fields:
        raise ConfigError(f"models.{name}: {entry.use} takes no key")


def _made(name: str, component: type[Llm], options: Mapping[str, Any]) -> Llm:
    try:
        return component(**options)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        # Without the cause: it would repeat the options, and one of them may be what nobody should read.
        raise ConfigError(f"models.{name}: {place + ': ' if place else ''}{plain(first['msg'])}", hint=_PAGE) from None


def _machine(component: type[Llm], settings: Settings) -> dict[str, Any]:
    """Return what the component may take from the machine: its CA certificates."""
    bundle = trust_store()
    return {"ca_bundle": bundle} if bundle and "ca_bundle" in component.model_fields else {}


def _proxy(llm: Llm, settings: Settings) -> SecretStr | None:
    """Return the environment's proxy where the model is asked by https and its options name none. It may carry a password."""
    if not str(getattr(llm, "base_url", "")).startswith("https:") or "proxy" not in type(llm).model_fields or getattr(llm, "proxy", None):
        return None
    found = settings.proxy_for(host_of(llm))
    return SecretStr(found) if found else None


def _price(entry: ModelSettings) -> dict[str, Any]:
    return {"price": entry.price} if entry.price is not None else {}


def _plain(llm: Llm) -> dict[str, Any]:
    return {name: getattr(llm, name) for name in llm.model_fields_set}


def _reachable(name: str, llm: Llm, settings: Settings) -> None:
    if not settings.offline or not llm.remote:
        return
    from remediator.llm.address import is_loopback

    if not is_loopback(str(getattr(llm, "base_url", ""))):
        where = host_of(llm) or "an address that it does not tell"
        raise ConfigError(
            f"models.{name}: {where} may not be asked offline",
            hint="leave --offline out, or use a model on this machine (a loopback `base_url`)",
        )
