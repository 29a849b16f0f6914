"""Every error that remediator raises, as one tree.

    RemediatorError                 something a person can mend; has a `hint` and a stable `code`
    ├── UsageError                  the command line or library call does not make sense        exit 2
    ├── ConfigError                 settings, playbook or rule file is wrong                     exit 2
    │   └── PlaybookError
    ├── PluginError                 a plugin is broken, missing or registered twice              exit 2
    ├── SourceError                 the repository or package cannot be had                      exit 2
    │   └── GitError                git refused, or what it holds is not acceptable
    ├── PatchError                  a patch is malformed, forbidden, or does not apply           exit 7
    │   └── PatchConflictError
    ├── ScanError                   a scanner could not do its work; never read as "clean"       exit 3
    ├── SandboxError                the sandbox could not be used                                exit 3
    │   ├── SandboxUnavailableError no engine answers, or it refused
    │   └── SandboxLostError        the engine or the container went away in the middle (transient)
    ├── RecipeError                 no way was found to build or test the project
    ├── EvidenceError               a bundle is damaged, tampered with or unsigned               exit 8
    ├── SinkError                   a submission could not be handed over, or nobody answers (transient)  exit 3
    ├── LlmError                    a model could not be asked, or its answer is of no use            exit 3
    │   ├── LlmAuthError            the key is missing, refused, or out of money                 exit 4
    │   ├── LlmTooLongError         the question is longer than the model takes
    │   ├── LlmBusyError            the model did not answer although it was asked several times (transient)
    │   └── BudgetError             asking could cost more than is left                          exit 5
    ├── StateError                  the state folder is locked, full or damaged                  exit 2
    └── StoppedError                the work was asked to stop, and can be resumed               exit 130

Outcomes are not errors: a failing test is a Check, a declined fix is a Declined.
"""

from __future__ import annotations

from typing import ClassVar


class RemediatorError(Exception):
    """What happened, with the offending value; `hint` says what to do about it."""

    exit_code: ClassVar[int] = 2
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RemediatorError):
    """The command line or the library call does not make sense."""


class ConfigError(RemediatorError):
    """Settings, a playbook or a rule file is wrong."""


class PlaybookError(ConfigError):
    """A playbook is malformed or names what is not there."""


class PluginError(RemediatorError):
    """A plugin is broken, missing, or registered under a name that is taken."""


class SourceError(RemediatorError):
    """The repository or package that was named cannot be had."""


class GitError(SourceError):
    """git refused, or what it holds is not acceptable."""


class UnpublishedError(GitError):
    """A server gives a commit that no branch and no tag of the repository has."""


class PatchError(RemediatorError):
    """A patch is malformed or touches what no patch may touch."""

    exit_code = 7


class PatchConflictError(PatchError):
    """A patch does not apply exactly to the tree it was made for."""


class ScanError(RemediatorError):
    """A scanner could not do its work. Never to be read as "clean"."""

    exit_code = 3


class SandboxError(RemediatorError):
    """The sandbox could not be used."""

    exit_code = 3


class SandboxUnavailableError(SandboxError):
    """No engine answers, or it refused to make what was asked for."""


class SandboxLostError(SandboxError):
    """The engine or the container went away in the middle; worth another try."""

    transient = True


class RecipeError(RemediatorError):
    """No way was found to prepare, build or test the project."""

    exit_code = 3


class EvidenceError(RemediatorError):
    """A bundle is damaged, tampered with, or signed by nobody we trust."""

    exit_code = 8


class SinkError(RemediatorError):
    """A submission could not be handed over, or a clearinghouse not be asked; it is kept and tried again."""

    exit_code = 3
    transient = True


class AuthError(RemediatorError):
    """A server refused who we are: the token or the signing key."""

    exit_code = 4


class ConflictError(RemediatorError):
    """A server's state forbids it: a lease is held by another, or something is decided already."""

    exit_code = 7


class LlmError(RemediatorError):
    """A model could not be asked, or its answer is of no use. `charged_tries` tries may have to be paid nevertheless."""

    exit_code = 3
    charged_tries: int = 0


class LlmAuthError(LlmError):
    """The key is missing, refused, or has no money left; every other question would end alike, so the run stops and can be resumed."""

    exit_code = 4
    transient = True


class LlmTooLongError(LlmError):
    """The question is longer than the model, or its server, takes; a shorter one may be answered."""


class LlmBusyError(LlmError):
    """The model did not answer although it was asked several times. Where nobody says how many tries may have to be paid, one counts."""

    transient = True
    charged_tries = 1


class BudgetError(LlmError):
    """To ask could cost more than is left. Nothing was sent."""

    exit_code = 5


class StateError(RemediatorError):
    """The state folder is locked, full, unreadable or damaged."""


class StoppedError(RemediatorError):
    """The work was asked to stop between two steps; it can be resumed."""

    exit_code = 130
    transient = True
