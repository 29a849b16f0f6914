"""Where a key comes from: `env:NAME`, `keyring:SERVICE/USER` or `cmd:PROGRAM ARG…`. Never from the settings file itself."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from remediator.errors import ConfigError, RemediatorError
from remediator.program import ProgramLimits, find_program, run_program

_LIMITS = ProgramLimits(timeout_seconds=30.0, output_bytes=64 * 1024)
_FORMS = "write `env:NAME`, `keyring:SERVICE/USER` or `cmd:PROGRAM ARG…`"


def checked_reference(reference: str) -> str:
    """Return a reference to a key. Raises ValueError, which does not repeat it, where it is none: it may be the key itself."""
    source, separator, rest = reference.partition(":")
    if not separator or source not in ("env", "keyring", "cmd") or not rest.strip() or not rest.isprintable():
        raise ValueError(f"a key does not stand in the settings: {_FORMS}")
    if source == "env" and not rest.replace("_", "a").isalnum():
        raise ValueError("env: needs the name of an environment variable")
    if source == "keyring" and not all(rest.rpartition("/")[::2]):
        raise ValueError("keyring: needs SERVICE/USER")
    return reference


def read_secret(reference: str, environment: Mapping[str, str]) -> str:
    """Return the key. Blocks, for a program up to 30 seconds. Raises ConfigError, in which no key is."""
    source, _, rest = checked_reference(reference).partition(":")
    read: Callable[[], str] = {
        "env": lambda: _from_environment(rest, environment),
        "keyring": lambda: _from_keyring(rest),
        "cmd": lambda: _from_program(rest, environment),
    }[source]
    key = read().strip()
    if not key:
        raise ConfigError(f"the key {reference} is empty", hint="store it, or name another place in the settings")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"what {reference} gives is not one key: it has spaces, line ends or characters that no key has")
    return key


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise ConfigError(f"the key or token env:{name} is not there", hint=f"export {name}, or name another place for it")
    return environment[name]


def _from_keyring(place: str) -> str:
    try:
        import keyring
    except ImportError as error:
        raise ConfigError(
            "no keyring library is installed", hint="pip install 'remediator[keyring]', or use `env:NAME` or `cmd:PROGRAM`"
        ) from error
    service, _, user = place.rpartition("/")
    try:
        found = keyring.get_password(service, user)
    except Exception as error:
        # Back ends raise what they like, and may quote what they hold.
        raise ConfigError(f"the keyring cannot be read ({type(error).__name__})", hint="unlock it, or use `env:NAME`") from None
    if not isinstance(found, str):
        raise ConfigError(f"the keyring holds nothing for keyring:{place}", hint=f"keyring set {shlex.quote(service)} {shlex.quote(user)}")
    return found


def _from_program(line: str, environment: Mapping[str, str]) -> str:
    try:
        name, *arguments = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"cmd: cannot be taken apart: {error}") from error
    try:
        program = str(find_program(name))
        # A thread of its own: the caller may be inside of an event loop.
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(
                lambda: asyncio.run(run_program([program, *arguments], cwd=Path.home(), env=environment, limits=_LIMITS))
            ).result()
    except RemediatorError as error:
        raise ConfigError(f"the key cannot be had from {name!r}: {error.message}", hint=error.hint) from error
    if result.timed_out:
        raise ConfigError(f"{name!r} gave no key within {_LIMITS.timeout_seconds:g} seconds", hint="it must not wait for an answer")
    if result.exit_code != 0:
        # What it printed is not repeated: it may be half a key.
        raise ConfigError(f"{name!r} gave no key (exit code {result.exit_code})", hint="run it by hand to see what it says")
    return result.stdout.decode("utf-8", "replace")
