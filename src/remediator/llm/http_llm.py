"""A model behind HTTP: asks, waits, asks again, and never hands out half an answer."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from remediator.contracts import Llm, Prompt, Reply
from remediator.errors import LlmBusyError, LlmError
from remediator.llm.address import checked_url, is_loopback
from remediator.llm.answer import Answer, TryAgainError
from remediator.llm.exchange import Question, ask, open_session
from remediator.llm.failure import Refusal, failure, told
from remediator.llm.more_headers import check_headers, is_token
from remediator.llm.waiting import wait_seconds
from remediator.records import Spend
from remediator.records.record import canonical_json
from remediator.redact import Redactor, printable

_UNWANTED = (
    "unsupported",
    "not supported",
    "unrecognized",
    "unknown",
    "unexpected",
    "not permitted",
    "not allowed",
    "extra inputs",
    "instead",
)


class HttpLlm(Llm):
    """What all models behind HTTP share. A protocol adds how a question is written and how an answer is read, without any I/O."""

    default_url: ClassVar[str] = ""
    dispensable: ClassVar[Mapping[str, tuple[str, ...]]] = {"temperature": ("temperature",)}
    """Fields of a question that some models refuse, with the words by which the refusal is known. What is refused is not sent again."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields that other servers know by another name."""

    model: str = Field(min_length=1, description="The model's name, as the server knows it.")
    base_url: str = Field(default="", description="Where the server is; https, or http on this machine and in private networks.")
    key: SecretStr | None = Field(default=None, description="The key; in settings only as `env:`, `keyring:` or `cmd:`.")
    stream: bool = Field(default=True, description="Whether to have the answer streamed, which shows early that a server is alive.")
    max_seconds: float = Field(default=900.0, gt=0, le=86_400, description="How long one try may take.")
    idle_seconds: float = Field(default=120.0, gt=0, le=86_400, description="How long a stream may be silent.")
    tries: int = Field(default=6, ge=1, le=50, description="How often a question is asked at the most.")
    paid_tries: int = Field(default=2, ge=1, le=50, description="How many tries may be charged: broken answers may have to be paid.")
    charges_once: bool = Field(default=False, description="The server knows `Idempotency-Key`: the same question is charged once.")
    backoff_seconds: float = Field(default=1.0, gt=0, le=600, description="The wait after the first failure; it doubles each time.")
    max_wait_seconds: float = Field(default=60.0, gt=0, le=3600, description="The longest wait, whatever `Retry-After` says.")
    max_bytes: int = Field(default=32 * 2**20, ge=1024, description="A longer answer is an error.")
    headers: dict[str, str] = Field(default_factory=dict, description="More headers. No secrets: they are not blanked anywhere.")
    extra: dict[str, Any] = Field(default_factory=dict, description="More fields of the question, as this server knows them.")
    allow_http: bool = Field(default=False, description="Allow http: to any host.")
    ca_bundle: str = Field(default="", description="CA certificates to trust; by default those of this machine.")
    proxy: SecretStr | None = Field(default=None, description="The proxy to go through; by default the environment's.")

    _session: Any = PrivateAttr(default=None)
    _users: int = PrivateAttr(default=0)
    _refused: set[str] = PrivateAttr(default_factory=set)

    @model_validator(mode="before")
    @classmethod
    def _address(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("base_url") and cls.default_url:
            return {**values, "base_url": cls.default_url}
        return values

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        try:
            url = checked_url(self.base_url, allow_http=self.allow_http)
        except ValueError as error:
            raise ValueError(f"base_url {error}") from None
        object.__setattr__(self, "base_url", url)
        return self

    @field_validator("headers")
    @classmethod
    def _harmless(cls, headers: dict[str, str]) -> dict[str, str]:
        check_headers(headers)
        return headers

    @abstractmethod
    def path(self) -> str:
        """Return the path below `base_url`."""

    @abstractmethod
    def key_headers(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry the key."""

    def protocol_headers(self) -> Mapping[str, str]:
        """Return more headers that the protocol needs; none by default."""
        return {}

    @abstractmethod
    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the question as the protocol writes it."""

    @abstractmethod
    def ends(self, event: Mapping[str, Any]) -> bool:
        """Return whether this event of a stream is its last."""

    @abstractmethod
    def document(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the document that would have come without streaming. Raises TryAgainError where the stream has no stop reason."""

    @abstractmethod
    def answer(self, document: Mapping[str, Any], prompt: Prompt) -> Answer:
        """Read the document. Raises TryAgainError where it is not whole."""

    async def __aenter__(self) -> Self:
        if self._session is None:
            self._session = await open_session(self.ca_bundle, tls=self.base_url.startswith("https:"))
        self._users += 1
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self._users -= 1
        if self._users == 0:
            session, self._session = self._session, None
            await session.close()

    def ceiling(self, prompt: Prompt) -> Spend:
        """Return the most that asking this can cost, tries that break included."""
        once = super().ceiling(prompt)
        return _times(once, 1 if self._is_charged_once(prompt) else min(self.paid_tries, self.tries))

    async def complete(self, prompt: Prompt) -> Reply:
        """Return the whole answer. Its spend holds the most that broken tries can have cost.

        Raises LlmAuthError, LlmBusyError where every try failed, LlmError where another try would not help; `charged_tries` of the error
        says how many tries may have to be paid.
        """
        began, charged = time.monotonic(), 0
        once = self._is_charged_once(prompt)
        async with self:
            for tried in range(1, self.tries + 1):
                got = await self._try(prompt, charged)
                if isinstance(got, Answer):
                    spend = got.counted(prompt).spend(self.price, time.monotonic() - began)
                    wasted = _times(super().ceiling(prompt), 0 if once else charged)
                    return got.reply.model_copy(update={"spend": spend + wasted})
                charged += got.charged
                if tried == self.tries or (charged >= self.paid_tries and not once):
                    raise self._busy(tried, charged, got.reason)
                await asyncio.sleep(self._wait(tried, got))
        raise AssertionError("unreachable")

    async def _try(self, prompt: Prompt, charged: int) -> Answer | TryAgainError:
        """Return the answer, or why there is none this time. Raises LlmError where another try would not help."""
        try:
            got = await ask(self._session, self._question(prompt), self.ends)
            document = self.document(got) if isinstance(got, list) else got
            return self.answer(document, prompt)
        except TryAgainError as error:
            return error
        except Refusal as refusal:
            if not refusal.began and refusal.status in (400, 422) and self._learns(told(refusal.body, self._redactor()), prompt):
                return await self._try(prompt, charged)
            trouble = failure(refusal, self._shown(), self._redactor())
            if isinstance(trouble, LlmError):
                raise _counted(trouble, charged + refusal.began) from None
            return trouble
        except LlmError as error:
            raise _counted(LlmError(f"{self._shown()}: {error.message}", hint=error.hint), charged + 1) from None

    def _question(self, prompt: Prompt) -> Question:
        key = self.key.get_secret_value() if self.key else ""
        headers = {
            "User-Agent": "remediator",
            **self.protocol_headers(),
            **self.headers,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
        }
        headers["Accept"] = "text/event-stream" if self.stream else "application/json"
        if prompt.key:
            headers["Idempotency-Key"] = prompt.key if is_token(prompt.key) else hashlib.sha256(prompt.key.encode()).hexdigest()
        return Question(
            url=f"{self.base_url}/{self.path().lstrip('/')}".rstrip("/"),
            headers={**headers, **(self.key_headers(key) if key else {})},
            body=canonical_json({**self.extra, **self._adapted(self.body(prompt))}),
            max_seconds=self.max_seconds,
            idle_seconds=self.idle_seconds if self.stream else None,
            max_bytes=self.max_bytes,
            proxy=self.proxy.get_secret_value() if self.proxy and not is_loopback(self.base_url) else None,
        )

    def _learns(self, said: str, prompt: Prompt) -> bool:
        """Return whether the server refused a field that can be left out or named otherwise, and had not been known to."""
        body, words = self.body(prompt), said.lower()
        for field in body:
            known = self.dispensable.get(field, ())
            unwanted = field in self.renamed and field in words and any(word in words for word in _UNWANTED)
            if field not in self._refused and (unwanted or any(word in words for word in known)):
                self._refused.add(field)
                return True
        return False

    def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in body.items() if name not in self._refused}
        return kept | {self.renamed[name]: body[name] for name in self._refused if name in body and name in self.renamed}

    def _busy(self, tried: int, charged: int, reason: str) -> LlmError:
        told = f"{self._shown()} gave no answer in {tried} {'try' if tried == 1 else 'tries'}; the last: {reason}"
        return _counted(
            LlmBusyError(told, hint="ask again later, or raise `tries` of the model; without a connection, check its `base_url`"), charged
        )

    def _is_charged_once(self, prompt: Prompt) -> bool:
        return self.charges_once and bool(prompt.key)

    def _wait(self, tried: int, trouble: TryAgainError) -> float:
        chance = random.random()  # noqa: S311 - spreads clients out, guards nothing
        return wait_seconds(tried, trouble.after_seconds, first=self.backoff_seconds, most=self.max_wait_seconds, chance=chance)

    def _redactor(self) -> Redactor:
        return Redactor(tuple(secret.get_secret_value() for secret in (self.key, self.proxy) if secret))

    def _shown(self) -> str:
        return printable(f"{self.name} model {self.model}")


def _times(spend: Spend, number: int) -> Spend:
    return Spend(usd=spend.usd * number, input_tokens=spend.input_tokens * number, output_tokens=spend.output_tokens * number)


def _counted(error: LlmError, charged: int) -> LlmError:
    error.charged_tries = charged
    return error
