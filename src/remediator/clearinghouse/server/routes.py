"""The table of addresses. The application and the OpenAPI document are both made from it, so that neither knows more than the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from remediator.clearinghouse.server import feed, ledger, public, reads, verbs
from remediator.clearinghouse.server.asked import Asked, Desk
from remediator.clearinghouse.server.metrics import CONTENT_TYPE
from remediator.clearinghouse.wire import answers
from remediator.clearinghouse.wire.terms import Scope, Verb
from remediator.clearinghouse.wire.verbs import BODIES
from remediator.records.record import Record

Handler = Callable[[Asked], Awaitable[web.StreamResponse]]
PublicHandler = Callable[[web.Request, Desk], Awaitable[web.StreamResponse]]

ANY = frozenset(Scope)
SUBMIT = frozenset((Scope.submit,))
PULL = frozenset((Scope.pull,))
_TAKES_VERB = {Verb.assess: frozenset((Scope.assess,)), Verb.receipt: PULL | SUBMIT}


class Route(NamedTuple):
    """One address. `scopes` are those of which a token needs one; None is for everybody, and then `open_to_all` answers."""

    method: str
    path: str
    summary: str
    handler: Handler | None = None
    open_to_all: PublicHandler | None = None
    scopes: frozenset[Scope] | None = None
    answer: type[Record] | str | None = None
    """A record, the media type of something else, or None for JSON that the summary describes."""
    listed: bool = False
    """Whether the answer is a page of such records."""
    query: tuple[str, ...] = ()
    body: type[Record] | str | None = None
    """The body record in an envelope, or the media type of raw bytes."""
    makes: bool = False
    lasting: bool = False
    """Whether it may take longer than other answers."""


_PAGE = ("cursor", "limit")


def _verb(verb: Verb) -> Route:
    return Route(
        "POST",
        f"/v1/{verb}",
        _sentence(BODIES[verb]),
        verbs.perform,
        scopes=_TAKES_VERB.get(verb, SUBMIT),
        answer=answers.Answer,
        body=BODIES[verb],
        makes=verb in verbs.MAKING,
    )


def _sentence(model: type[Record]) -> str:
    return (model.__doc__ or "").partition("\n")[0]


def _read(
    path: str, summary: str, handler: Handler, answer: type[Record] | str | None, scopes: frozenset[Scope] = ANY, *query: str
) -> Route:
    return Route("GET", path, summary, handler, scopes=scopes, answer=answer, query=query)


def _list(path: str, summary: str, handler: Handler, answer: type[Record], *query: str) -> Route:
    return Route("GET", path, summary, handler, scopes=ANY, answer=answer, listed=True, query=query)


def _open(path: str, summary: str, handler: PublicHandler, answer: type[Record] | str | None = None) -> Route:
    return Route("GET", path, summary, open_to_all=handler, answer=answer)


ROUTES: tuple[Route, ...] = (
    _open("/v1", "What this is: protocol, ledger key, limits.", public.about),
    _open("/v1/openapi.json", "This document.", public.openapi),
    _open("/v1/schemas/{name}.json", "The JSON Schema of one record.", public.one_schema, "application/schema+json"),
    _open("/healthz", "Whether the process answers.", public.healthy),
    _open("/readyz", "Whether the database answers.", public.ready),
    _open("/metrics", "Numbers for Prometheus; needs a token with admin unless opened to loopback.", public.metrics, CONTENT_TYPE),
    _open("/v1/ledger/head", "The ledger's signed head.", ledger.head, answers.SignedHead),
    *(_verb(verb) for verb in Verb),
    Route(
        "PUT",
        "/v1/blobs/{digest}",
        "Hand over an evidence bundle, before the fix that names it.",
        verbs.put_blob,
        scopes=SUBMIT,
        answer=answers.Answer,
        body="application/octet-stream",
        makes=True,
        lasting=True,
    ),
    _list("/v1/flaws", "The flaws that you may see.", reads.flaws, answers.Flaw, *_PAGE, "project", "alias", "order"),
    _read("/v1/flaws/{id}", "One flaw.", reads.flaw, answers.Flaw),
    _list("/v1/flaws/{id}/openings", "What opens the ledger's entries about a flaw.", reads.openings, answers.Opening),
    _list("/v1/fixes", "The fixes that you may see.", reads.fixes, answers.Fix, *_PAGE, "state", "flaw"),
    _read("/v1/fixes/{id}", "One fix.", reads.fix, answers.Fix),
    _list("/v1/fixes/{id}/openings", "What opens the ledger's entries about a fix.", reads.openings, answers.Opening),
    _read("/v1/fixes/{id}/published", "A verified fix with flaw and patch.", reads.published, answers.Published, PULL),
    _read("/v1/fixes/{id}/patch", "The unified diff of a verified fix.", reads.patch, "text/x-diff", PULL),
    _read("/v1/fixes/{id}/mail", "A verified fix as a mail for `git am`.", reads.mail, reads.MAIL_TYPE, PULL),
    _read("/v1/fixes/{id}/osv", "A verified fix as OSV.", reads.export, reads.EXPORTS["osv"], PULL),
    _read("/v1/fixes/{id}/csaf", "A verified fix as CSAF 2.0.", reads.export, reads.EXPORTS["csaf"], PULL),
    _read("/v1/fixes/{id}/openvex", "A verified fix as OpenVEX.", reads.export, reads.EXPORTS["openvex"], PULL),
    _read("/v1/fixes/{id}/cyclonedx", "A verified fix as CycloneDX VEX.", reads.export, reads.EXPORTS["cyclonedx"], PULL),
    Route(
        "GET",
        "/v1/fixes/{id}/bundle",
        "The evidence bundle as it was handed over.",
        reads.bundle,
        scopes=ANY,
        answer=reads.BUNDLE_TYPE,
        lasting=True,
    ),
    _list("/v1/leases", "Who scans what at the moment.", reads.leases, answers.Lease, *_PAGE, "project"),
    _list("/v1/opt-outs", "Projects that want no scans.", reads.opt_outs, answers.OptOut, *_PAGE),
    _read("/v1/epoch", "The present key for claim-checks.", reads.epoch, None, SUBMIT),
    _read("/v1/status/{id}", "How far something came.", reads.status, answers.Answer),
    _read("/v1/organisations/me", "Who the token makes you.", reads.me, None),
    _read("/v1/feed", "What was released after a cursor.", feed.page, answers.FeedPage, PULL, *_PAGE),
    Route(
        "GET",
        "/v1/feed/stream",
        "The same as server-sent events; goes on after Last-Event-ID.",
        feed.stream,
        scopes=PULL,
        answer=feed.STREAM_TYPE,
        query=("cursor",),
        lasting=True,
    ),
    _list("/v1/ledger/entries", "The ledger's entries.", ledger.entries, answers.LedgerEntry, "start", "limit"),
    _read("/v1/ledger/inclusion", "Proof that an entry is in the ledger.", ledger.inclusion, None, ANY, "index", "size"),
    _read("/v1/ledger/consistency", "Proof that the ledger only grew.", ledger.consistency, None, ANY, "first", "second"),
)
