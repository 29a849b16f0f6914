"""A real server on port 0 that speaks three model protocols and answers as a script says, faults included.

async with LlmServer(lambda asked: Reply(text="yes")) as server:
    llm = MyLlm(model="m", base_url=server.url)

It counts what it charges. An `Idempotency-Key` that it has seen gets the stored answer and is not charged again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from remediator.contracts import Price, Prompt, Reply
from remediator.errors import UsageError
from remediator.records import Spend
from remediator.records.record import Record, canonical_json
from remediator.testing.llm_chat_wire import ChatWire
from remediator.testing.llm_faults import Fault, send
from remediator.testing.llm_messages_wire import MessagesWire
from remediator.testing.llm_responses_wire import ResponsesWire
from remediator.testing.llm_wire import Tokens, Wire

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Asked", "Fault", "LlmServer", "Script"]

_WIRES: Mapping[str, tuple[str, Wire]] = {
    "/v1/messages": ("messages", MessagesWire()),
    "/v1/chat/completions": ("chat", ChatWire()),
    "/v1/responses": ("responses", ResponsesWire()),
}


class Asked(Record):
    """A question as it came in. `number` counts from 1; `headers` have lower-case names."""

    number: int
    protocol: Literal["messages", "chat", "responses"]
    model: str
    prompt: Prompt
    stream: bool
    headers: dict[str, str] = {}


Script = Callable[[Asked], Reply | Fault]


class LlmServer:
    """Opened with `async with`, or with plain `with` in a thread of its own, for tests of what runs its own event loop.

    `script` is a function, or the outcomes in order. With `key`, a request without it is refused. What the script raises is raised
    again at the end of the context.
    """

    def __init__(
        self,
        script: Script | Sequence[Reply | Fault],
        *,
        key: str = "",
        price: Price | None = None,
        honours_keys: bool = True,
        cached_tokens: int = 0,
        written_tokens: int = 0,
    ) -> None:
        self._script: Script = script if callable(script) else _in_order(script)
        self._key, self._price, self._honours_keys = key, price, honours_keys
        self._cached, self._written = cached_tokens, written_tokens
        self._stored: dict[str, tuple[str, Reply]] = {}
        self._failures: list[Exception] = []
        self._runner: web.AppRunner | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = asyncio.Event()
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self.charged = Spend()
        self.url = ""

    @property
    def charges(self) -> int:
        """Return how many questions were charged."""
        return self._charges

    _charges = 0

    async def __aenter__(self) -> Self:
        from aiohttp import web

        app = web.Application(client_max_size=256 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self.closing.set()
        if self._runner:
            await self._runner.cleanup()
        if self._failures and exc is None:
            raise self._failures[0]

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result(30)
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        assert self._loop and self._thread
        try:
            asyncio.run_coroutine_threadsafe(self.__aexit__(exc_type, exc, traceback), self._loop).result(30)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(30)
            self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        found = _WIRES.get(request.path)
        if found is None or request.method != "POST":
            return web.json_response({"error": {"message": f"no {request.path}"}}, status=404)
        protocol, wire = found
        if self._key and wire.key(request.headers) != self._key:
            self.refused.append("key")
            return web.json_response(wire.error(401, "the key is wrong"), status=401)
        try:
            body = await request.json()
            prompt = wire.prompt(body).model_copy(update={"key": request.headers.get("Idempotency-Key", "")})
            asked = Asked(
                number=len(self.asked) + 1, protocol=protocol, model=body["model"], prompt=prompt, stream=bool(body.get("stream")),
                headers={name.lower(): value for name, value in request.headers.items()},
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            self.refused.append(str(error))
            return web.json_response(wire.error(400, f"not a question: {error}"), status=400)
        self.asked.append(asked)
        try:
            outcome, reply = self._outcome(asked)
        except Exception as error:
            # The script is the test's own code: its failure must reach the test, not the client.
            self._failures.append(error)
            return web.json_response(wire.error(400, "the script failed"), status=400)
        document = wire.document(reply, asked.model, self._tokens(asked, reply))
        return await send(request, wire, outcome, document, streamed=asked.stream, closing=self.closing)

    def _outcome(self, asked: Asked) -> tuple[Reply | Fault, Reply]:
        """Return what happens, and the answer that was charged for. A key that was seen gets its answer, and nothing goes wrong."""
        key, question = asked.prompt.key, canonical_json(asked.prompt.as_json()).decode()
        if self._honours_keys and key in self._stored:
            before, reply = self._stored[key]
            if before != question:
                place = next((at for at, (old, new) in enumerate(zip(before, question, strict=False)) if old != new), len(before))
                differs = " / ".join(text[max(0, place - 80) : place + 80] for text in (before, question))
                raise UsageError(f"the same Idempotency-Key came with another question: {differs}")
            return reply, reply
        outcome = self._script(asked)
        reply = outcome.reply if isinstance(outcome, Fault) else outcome
        if not isinstance(outcome, Fault) or outcome.is_charged:
            tokens = self._tokens(asked, reply)
            fresh = tokens.sent - tokens.read - tokens.written
            usd = self._price.of(fresh=fresh, read=tokens.read, written=tokens.written, output=tokens.output) if self._price else 0
            self.charged += Spend(usd=usd, input_tokens=tokens.sent, output_tokens=tokens.output)
            self._charges += 1
            if key:
                self._stored[key] = (question, reply)
        return outcome, reply

    def _tokens(self, asked: Asked, reply: Reply) -> Tokens:
        sent = reply.spend.input_tokens or asked.prompt.size() // 4 + 1
        said = len(reply.text) + sum(len(canonical_json(call.arguments)) for call in reply.tool_calls)
        read = min(self._cached, sent)
        # Only one of the protocols tells what was written to the cache.
        written = min(self._written, sent - read) if asked.protocol == "messages" else 0
        return Tokens(sent, reply.spend.output_tokens or min(said // 4 + 1, asked.prompt.max_tokens), read, written)


def _in_order(outcomes: Sequence[Reply | Fault]) -> Script:
    left: list[Any] = list(outcomes)

    def script(asked: Asked) -> Reply | Fault:
        if not left:
            raise UsageError(f"question {asked.number} is one more than the script has answers")
        outcome: Reply | Fault = left.pop(0)
        return outcome

    return script
