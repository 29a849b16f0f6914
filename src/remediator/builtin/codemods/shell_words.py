"""A shell command line as the words that a POSIX shell would make of it, where it needs no shell to make them."""

from __future__ import annotations

from remediator.builtin.codemods.context_words import vocabulary

# What a shell acts upon when it stands outside of quotes.
_ACTIVE = frozenset("|&;<>()$`\\*?[]!#~{}\n\r")
_BUILTINS = vocabulary(
    ". : [[ alias bg bind break builtin case cd command continue declare dirs eval exec exit export fc fg for function getopts "
    "hash if jobs let local logout popd pushd read readonly return set shift shopt source times trap type typeset ulimit umask "
    "unalias unset until wait while cls copy del dir erase move ren start title ver md rd time"
)
HOLE = "\0"


class ShellNeededError(ValueError):
    """The command line means something that only a shell can do."""


def split_words(line: str) -> list[str]:
    """Return the words of a command line in which each NUL stands for a value.

    Raises ShellNeededError where quoting, expansion, redirection or a built-in command would need the shell.
    """
    words: list[str] = []
    current: list[str] | None = None
    quote = ""
    for char in line:
        if quote:
            if char == quote:
                quote = ""
            elif quote == '"' and char in "$`\\":
                raise ShellNeededError(f"the shell acts upon {char!r} in double quotes")
            else:
                current = [*(current or []), char]
        elif char in "'\"":
            quote, current = char, current or []
        elif char in " \t":
            if current is not None:
                words.append("".join(current))
            current = None
        elif char in _ACTIVE:
            raise ShellNeededError(f"the shell acts upon {char!r}")
        else:
            current = [*(current or []), char]
    if quote:
        raise ShellNeededError("a quotation mark is not closed")
    if current is not None:
        words.append("".join(current))
    return _checked(words)


def _checked(words: list[str]) -> list[str]:
    if not words:
        raise ShellNeededError("the command line is empty")
    first = words[0]
    if HOLE in first:
        raise ShellNeededError("the command itself comes from a value")
    if "=" in first:
        raise ShellNeededError("a variable is set for the command")
    if first in _BUILTINS:
        raise ShellNeededError(f"`{first}` is built into the shell")
    if "%" in first:
        raise ShellNeededError("the command's name is expanded by the shell")
    return words
