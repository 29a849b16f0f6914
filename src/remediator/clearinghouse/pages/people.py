"""Organisations, tokens and keys. Whoever runs the clearinghouse sees and changes all, everybody else sees their own."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from remediator.clearinghouse.pages.visiting import Visit, fields, one, origin_of, to
from remediator.clearinghouse.server.answering import whole
from remediator.clearinghouse.wire.answers import Organisation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem, Scope, Tier

_MOST_DAYS = 3650


async def organisations(visit: Visit) -> web.Response:
    """Show who takes part."""
    return visit.page("organisations.html", organisations=await _seen(visit), link="", made_for="", tiers=list(Tier), scopes=list(Scope))


async def add_organisation(visit: Visit) -> web.Response:
    """Add one."""
    form = await _admins(visit)
    await visit.store.add_organisation(one(form, "name", 300), _tier(one(form, "tier")), one(form, "contact"))
    return to("/organisations")


async def disable_organisation(visit: Visit) -> web.Response:
    """Shut one out."""
    await visit.store.disable_organisation(one(await _admins(visit), "organisation"))
    return to("/organisations")


async def login_link(visit: Visit) -> web.Response:
    """Make a link that logs a person in once, and show it this once."""
    form = await _admins(visit)
    organisation, person = one(form, "organisation"), one(form, "person", 100)
    if not person:
        raise RefusedError(Problem.bad_request, "say for whom the link is")
    secret = await visit.store.login_link(organisation, person, _scopes(form))
    link = f"{origin_of(visit.request)}/login/{secret}"
    return visit.page(
        "organisations.html", organisations=await _seen(visit), link=link, made_for=person, tiers=list(Tier), scopes=list(Scope)
    )


async def tokens(visit: Visit) -> web.Response:
    """Show tokens without their secrets."""
    return await _tokens(visit)


async def create_token(visit: Visit) -> web.Response:
    """Make a token, and show its secret this once."""
    form = await _admins(visit)
    days = whole(one(form, "days") or None, "days", 0, 1, _MOST_DAYS)
    expires = visit.store.now + timedelta(days=days) if days else None
    _, secret = await visit.store.create_token(one(form, "organisation"), _scopes(form), label=one(form, "label", 300), expires=expires)
    return await _tokens(visit, secret)


async def revoke_token(visit: Visit) -> web.Response:
    """Revoke a token."""
    await visit.store.revoke_token(one(await _admins(visit), "token"))
    return to("/tokens")


async def keys(visit: Visit) -> web.Response:
    """Show the keys that requests are signed with."""
    found = await visit.store.keys(_whose(visit))
    return visit.page("keys.html", keys=found, organisations=await _seen(visit), now=visit.store.now)


async def add_key(visit: Visit) -> web.Response:
    """Register a key, in the place of another where one is named."""
    form = await _admins(visit)
    await visit.store.add_key(one(form, "organisation"), one(form, "line", 1000), replaces=one(form, "replaces"))
    return to("/keys")


async def revoke_key(visit: Visit) -> web.Response:
    """Revoke a key."""
    form = await _admins(visit)
    await visit.store.revoke_key(one(form, "key"), one(form, "reason"))
    return to("/keys")


async def _admins(visit: Visit) -> dict[str, list[str]]:
    form = await fields(visit.request, visit.secret)
    visit.needs_admin()
    return form


async def _tokens(visit: Visit, secret: str = "") -> web.Response:
    found = await visit.store.tokens(_whose(visit))
    return visit.page("tokens.html", tokens=found, organisations=await _seen(visit), secret=secret, scopes=list(Scope), now=visit.store.now)


async def _seen(visit: Visit) -> list[Organisation]:
    found = await visit.store.organisations()
    return [each for each in found if visit.caller.is_admin or each.id == visit.caller.organisation]


def _whose(visit: Visit) -> str | None:
    return None if visit.caller.is_admin else visit.caller.organisation


def _tier(text: str) -> Tier:
    try:
        return Tier(text)
    except ValueError:
        raise RefusedError(Problem.bad_request, "there is no such tier") from None


def _scopes(form: dict[str, list[str]]) -> list[Scope]:
    try:
        found = [Scope(each) for each in form.get("scope", [])]
    except ValueError:
        raise RefusedError(Problem.bad_request, "there is no such scope") from None
    if not found:
        raise RefusedError(Problem.bad_request, "choose a scope at least")
    return found
