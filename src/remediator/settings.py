"""remediator.toml and the environment, made into one frozen value. The only reader of `os.environ`."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from remediator.contracts.llm import Price
from remediator.errors import ConfigError
from remediator.recipe.hints import Hints
from remediator.redact import Redactor
from remediator.secret import checked_reference, read_secret

_TRUST_STORE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
_NETWORK = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")
_SSH = ("SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "HOME")
_INDEX = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")


class Concurrency(BaseModel):
    """How much may go on at the same time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int = Field(default=2, ge=1, le=64)


class RunLimits(BaseModel):
    """What may be spent beyond a case's own limits, in USD: by one run, and within 24 hours. None is no limit of that kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_usd: Decimal | None = Field(default=None, ge=0)
    day_usd: Decimal | None = Field(default=None, ge=0)


class ModelSettings(BaseModel):
    """One model: the component that asks it, what it costs, where its key is kept. All other keys are that component's options."""

    # A key that was written here by mistake must not be repeated by the error about it.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    use: str
    key: str = ""
    price: Price | None = None

    @field_validator("key")
    @classmethod
    def _reference(cls, key: str) -> str:
        return checked_reference(key) if key else ""

    @property
    def options(self) -> dict[str, Any]:
        """Return the component's options."""
        return dict(self.model_extra or {})


class ClearinghouseSettings(BaseModel):
    """One clearinghouse: its address, where our token is kept, and the ledger key that we trust (its operator tells it)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    token: str
    trust: str = Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")
    tlp: str = Field(default="amber", pattern=r"^(clear|green|amber|red)$")
    embargo_days: int = Field(default=0, ge=0, le=180)
    ca_bundle: str = ""

    @field_validator("token")
    @classmethod
    def _reference(cls, token: str) -> str:
        return checked_reference(token)

    def trusted_cas(self) -> str:
        """Return the file of the CAs that may sign its certificate: its own where one is named, and then no other, else this machine's."""
        return str(Path(self.ca_bundle).expanduser()) if self.ca_bundle else trust_store()


class ValidatorSettings(BaseModel):
    """How this machine validates what is submitted to its clearinghouse. `reviewer` is one of `models`; empty: nobody is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipes: dict[str, Hints] = Field(default_factory=dict)
    reviewer: str = ""


class Settings(BaseSettings):
    """What the operator decided. Nothing in here ever comes from a target repository.

    Read from, last wins: defaults, the user's `remediator.toml` (or the file named by `-c`), environment variables
    `REMEDIATOR_<KEY>` (nested keys with `__`), what the caller passes.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="REMEDIATOR_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    state: Path = Field(
        default_factory=lambda: _home("XDG_STATE_HOME", ".local/state"), description="Where runs, keys, stores and bundles live."
    )
    playbook: str = Field(default="default", description="Name of a playbook, or a path to one.")
    plugins: tuple[str, ...] = Field(
        default=("semgrep", "anthropic", "openai"), description="Entry points of the group `remediator` that may be loaded."
    )
    plugin_files: tuple[Path, ...] = Field(default=(), description="Single-file plugins to load.")
    no_plugins: bool = Field(default=False, description="Load built-ins only.")
    sandbox: str = Field(default="docker", description="Name of the sandbox provider, or `none`.")
    offline: bool = Field(default=False, description="Open no socket but the sandbox engine's.")
    components: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Options of components by name, below a playbook's `with`."
    )
    models: dict[str, ModelSettings] = Field(default_factory=dict, description="Models by name: component, key, price, options.")
    clearinghouses: dict[str, ClearinghouseSettings] = Field(
        default_factory=dict, description="Clearinghouses by name: address, token, trusted ledger key, mark, embargo."
    )
    recipe: Hints = Field(default_factory=Hints, description="How to prepare and test the project, where detection needs help.")
    recipes: dict[str, Hints] = Field(default_factory=dict, description="The same, for one source (its name or URI).")
    validator: ValidatorSettings = Field(
        default_factory=ValidatorSettings, description="For `clearinghouse work`: recipes by project, and the model that reviews."
    )
    concurrency: Concurrency = Field(default_factory=Concurrency)
    limits: RunLimits = Field(default_factory=RunLimits, description="What models may cost: `run_usd`, `day_usd`.")
    debug: bool = Field(default=False, description="Show tracebacks.")

    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out `.env` files: one in the working folder may be the target's."""
        return (init_settings, env_settings, _TomlSource(settings_cls))

    def hints_for(self, name: str, uri: str) -> Hints:
        """Return the operator's hints for one source."""
        return self.recipes.get(name) or self.recipes.get(uri) or self.recipe

    def defaults_for(self, component: str) -> dict[str, Any]:
        """Return options that come from the machine and from `[components.NAME]`, the operator's own last."""
        machine: dict[str, dict[str, Any]] = {
            "docker": {
                "ca_bundle": trust_store(),
                "host": os.environ.get("DOCKER_HOST", ""),
                "prepare_env": _picked(_INDEX),
                "state": str(self.state),
            },
            "spool": {"state": str(self.state)},
            "clearinghouse": {"state": str(self.state), "places": self._places()},
            "semgrep": {"binary": os.environ.get("REMEDIATOR_SEMGREP", "")},
        }
        known = {key: value for key, value in machine.get(component, {}).items() if value}
        return {**known, **self.components.get(component, {})}

    def _places(self) -> dict[str, dict[str, Any]]:
        return {
            name: {**told.model_dump(), "ca_bundle": told.trusted_cas(), "offline": self.offline}
            for name, told in self.clearinghouses.items()
        }

    def secret(self, reference: str) -> SecretStr:
        """Return the key that a reference names; it is read once, and blanked by `redactor` from then on. Blocks. Raises ConfigError."""
        try:
            if reference not in self._secrets:
                self._secrets[reference] = read_secret(reference, os.environ)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return SecretStr(self._secrets[reference])

    def remember(self, name: str, secret: str) -> SecretStr:
        """Return a key that was read elsewhere, so that `redactor` blanks it from now on."""
        self._secrets[name] = secret
        return SecretStr(secret)

    def redactor(self) -> Redactor:
        """Return a redactor that knows every key that was read so far, and those in the environment that settings name."""
        references = [*(model.key for model in self.models.values()), *(each.token for each in self.clearinghouses.values())]
        named = [each.removeprefix("env:") for each in references if each.startswith("env:")]
        return Redactor((*self._secrets.values(), *(os.environ[name] for name in named if name in os.environ)))

    def proxy_for(self, host: str) -> str:
        """Return the proxy that the environment names for https to this host, or the empty text."""
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

        if proxy_bypass_environment(host, {"no": os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""}):
            return ""
        proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or ""
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy

    def network_env(self) -> dict[str, str]:
        """Return the few variables that git and the package index client need for TLS, proxies, SSH and the index address."""
        env = _picked((*_TRUST_STORE, *_NETWORK, *_SSH, *_INDEX))
        if bundle := trust_store():
            env.setdefault("SSL_CERT_FILE", bundle)
        return env


class _TomlSource(PydanticBaseSettingsSource):
    """The operator's file."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = config_path()
        return read_toml(path) if path else {}


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read settings; `config` stands for the user's file. Raises ConfigError naming the key and the nearest known one."""
    values = {key: value for key, value in overrides.items() if value is not None}
    if config is not None:
        values = _merged(read_toml(config), values)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_told(error, config or config_path()), hint=_known(error)) from error


def config_path() -> Path | None:
    """Return the operator's file if there is one: REMEDIATOR_CONFIG, else remediator.toml in the user's configuration folder."""
    if named := os.environ.get("REMEDIATOR_CONFIG"):
        return Path(named)
    path = _home("XDG_CONFIG_HOME", ".config") / "remediator.toml"
    return path if path.is_file() else None


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's content. Raises ConfigError where it is missing or malformed."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read settings from {path}: {error.strerror}", hint="name an existing file with -c") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="remediator init shows a sample") from error


def read_reference(reference: str) -> str:
    """Return the secret that a reference names. Blocks. Raises ConfigError."""
    return read_secret(reference, os.environ)


def trust_store() -> str:
    """Return the CA bundle that this machine's network needs, where one is named or installed."""
    named = next((os.environ[name] for name in _TRUST_STORE if os.environ.get(name)), "")
    system = "/etc/ssl/certs/ca-certificates.crt"
    return named or (system if Path(system).is_file() else "")


def environment_path() -> str:
    """Return PATH, for finding programs."""
    return os.environ.get("PATH", os.defpath)


def _home(variable: str, below: str) -> Path:
    if variable == "XDG_STATE_HOME" and (home := os.environ.get("REMEDIATOR_HOME")):
        return Path(home)
    return Path(os.environ.get(variable) or Path.home() / below) / "remediator"


def _picked(names: tuple[str, ...]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def plain(words: str) -> str:
    """Return what a check of ours said, without the name that pydantic puts before it."""
    return words.removeprefix("Value error, ")


def _told(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f"settings ({path})" if path else "settings"
    near = difflib.get_close_matches(key, list(Settings.model_fields), n=1)
    meant = f"; did you mean {near[0]!r}?" if near and first["type"] == "extra_forbidden" else ""
    return f"{where}: {key}: {plain(first['msg'])}{meant}"


def _known(error: ValidationError) -> str:
    if error.errors()[0]["type"] != "extra_forbidden":
        return "docs/reference/settings.md tells what each key takes"
    return f"the keys are {', '.join(Settings.model_fields)}; docs/reference/settings.md tells of each and of those below it"
