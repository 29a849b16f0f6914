"""The pages over real HTTP: who gets in, which forms are taken, what is shown to whom, and that nothing hostile comes through."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediator.clearinghouse.pages.mounting import PLACES, Place
from remediator.clearinghouse.pages.showing import environment, told, visible
from remediator.clearinghouse.pages.visiting import POLICY
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.testing.clearinghouse import FLAW, Clock, Party

from .pages_kit import EVIL, PATCH, PATHS, Visitor, admin_of, evil_records, ranked, served, verify

Joins = Callable[..., Awaitable[Party]]
CLOSED = [place for place in PLACES if place.handler is not None]
PAGES = environment()
FORMS = [place for place in PLACES if place.method == "POST"]


@pytest.fixture
async def url(store: Store) -> AsyncIterator[str]:
    async with served(store) as found:
        yield found


@pytest.fixture
async def visits(url: str) -> AsyncIterator[Callable[[str], Awaitable[Visitor]]]:
    made: list[Visitor] = []

    async def visit(token: str = "") -> Visitor:
        made.append(Visitor(url))
        if token:
            await made[-1].login(token)
        return made[-1]

    yield visit
    for each in made:
        await each.client.close()


Visits = Callable[..., Awaitable[Visitor]]


# -- getting in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", CLOSED, ids=lambda place: f"{place.method} {place.path}")
async def test_nothing_is_shown_to_who_is_not_logged_in(place: Place, visits: Visits) -> None:
    nobody = await visits()
    path = place.path.replace("{id}", "flaw-1")
    answer, text = await (nobody.get(path) if place.method == "GET" else nobody.post(path, {}))
    assert (answer.status, answer.headers["Location"], text) == (303, "/login", "")


async def test_a_token_begins_a_session_that_scripts_and_other_sites_do_not_get(visits: Visits, store: Store) -> None:
    visitor = await visits()
    answer, _ = await visitor.send("/login", "/login", {"token": await admin_of(store)})
    (kept,) = [each for each in answer.headers.getall("Set-Cookie") if each.startswith("clearinghouse-session=")]
    assert "HttpOnly" in kept and "SameSite=Strict" in kept and "Secure" not in kept
    assert (await visitor.get("/"))[0].status == 200


async def test_away_from_loopback_the_cookie_is_bound_to_tls_and_host(store: Store) -> None:
    async with served(store, hosts=frozenset(("ch.example",))) as url:
        visitor = Visitor(url)
        answer, _ = await visitor.get("/login", headers={"Host": "ch.example"})
        (kept,) = answer.headers.getall("Set-Cookie")
        await visitor.client.close()
    assert kept.startswith("__Host-") and "Secure" in kept and "Path=/" in kept and "Domain" not in kept


async def test_a_wrong_token_does_not_get_in_and_many_are_stopped(store: Store) -> None:
    async with served(store, refused_tokens_per_minute=3) as url:
        visitor = Visitor(url)
        found = [(await visitor.send("/login", "/login", {"token": f"rch_{each}_ü"}))[0].status for each in range(5)]
        right, _ = await visitor.send("/login", "/login", {"token": await admin_of(store)})
        await visitor.client.close()
    assert found == [401, 401, 401, 429, 429]
    assert right.status == 429


async def test_a_link_works_once_and_is_not_used_up_by_looking(visits: Visits, store: Store, joins: Joins, clock: Clock) -> None:
    party = await joins("One")
    secret = await store.login_link(party.id, "Ada")
    visitor = await visits()
    for _ in range(3):
        assert (await visitor.get(f"/login/{secret}"))[0].status == 200
        cut, words = await visitor.get(f"/login/{secret[:9]}")
        assert cut.status == 404 and "no whole link" in words
    first, _ = await visitor.send("/login/link", f"/login/{secret}", {"secret": secret})
    other = await visits()
    second, text = await other.send("/login/link", f"/login/{secret}", {"secret": secret})
    assert (first.status, first.headers["Location"]) == (303, "/")
    assert second.status == 401 and "used already" in text
    late = await store.login_link(party.id, "Ada")
    clock.forward(minutes=16)
    assert (await other.send("/login/link", f"/login/{late}", {"secret": late}))[0].status == 401


async def test_a_session_ends_by_itself_by_logging_out_and_with_its_token(visits: Visits, store: Store, joins: Joins, clock: Clock) -> None:
    party = await joins("One")
    token_id, secret = await store.create_token(party.id, [Scope.pull])
    out, revoked, old = [await visits(secret) for _ in range(3)]
    kept = out.cookies()["clearinghouse-session"]
    assert (await out.send("/logout", "/", {}))[0].status == 303
    assert (await out.get("/", headers={"Cookie": f"clearinghouse-session={kept}"}))[0].headers["Location"] == "/login"
    assert (await old.get("/"))[0].status == 200
    await store.revoke_token(token_id)
    assert (await revoked.get("/"))[0].headers["Location"] == "/login"
    again = await visits(party.token)
    clock.forward(hours=13)
    assert (await again.get("/"))[0].headers["Location"] == "/login"


async def test_a_session_ends_when_its_token_expires(visits: Visits, store: Store, joins: Joins, clock: Clock) -> None:
    party = await joins("One")
    _, secret = await store.create_token(party.id, [Scope.pull], expires=clock.now + timedelta(hours=1))
    visitor = await visits(secret)
    assert (await visitor.get("/"))[0].status == 200
    clock.forward(hours=2)
    assert (await visitor.get("/"))[0].headers["Location"] == "/login"


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", FORMS, ids=lambda place: place.path)
@pytest.mark.parametrize("how", ["no token", "another session's token", "another origin", "no origin", "no origin's name"])
async def test_a_form_that_is_not_ours_is_not_taken(place: Place, how: str, visits: Visits, store: Store) -> None:
    admin = await admin_of(store)
    visitor, other = await visits(admin), await visits(admin)
    _ = await visitor.get("/login")
    entering = place.to_all is not None
    form = {"form": await (visitor if how != "another session's token" else other).form_of("/login" if entering else "/")}
    before = len(await store.ledger_entries(0, 1000))
    origin: str | None = {"another origin": "https://evil.example", "no origin": None, "no origin's name": "null"}.get(how, "")
    fields = {"token": admin, "organisation": (await store.organisations())[0].id, "name": "New", "tier": "member", "scope": "admin"}
    answer, _text = await visitor.post(place.path, fields | ({} if how == "no token" else form), origin=origin)
    assert answer.status == 403
    assert len(await store.ledger_entries(0, 1000)) == before
    assert (await visitor.get("/"))[0].status == 200


async def test_the_same_form_is_taken_where_it_is_ours(visits: Visits, store: Store) -> None:
    visitor = await visits(await admin_of(store))
    answer, text = await visitor.send("/organisations", "/organisations", {"name": "New", "tier": "member"})
    assert answer.status == 303, text
    assert "New" in [each.name for each in await store.organisations()]


async def test_a_form_of_another_kind_or_size_is_not_read(visits: Visits, store: Store) -> None:
    visitor = await visits(await admin_of(store))
    form = await visitor.form_of("/organisations")
    big, _ = await visitor.post("/organisations", {"form": form, "name": "x" * 100_000})
    many, _ = await visitor.post("/organisations", {"form": form, **{f"f{each}": "" for each in range(100)}})
    async with visitor.client.post(visitor.url + "/organisations", data=b"{}", headers={"Origin": visitor.url}) as answer:
        assert answer.status == 400
    assert (big.status, many.status) == (413, 400)


ADMINS = [place for place in FORMS if place.path not in ("/login", "/login/link", "/logout")]


@pytest.mark.parametrize("place", ADMINS, ids=lambda place: place.path)
async def test_only_admins_change_who_takes_part(place: Place, visits: Visits, store: Store, joins: Joins) -> None:
    party = await joins("One")
    visitor = await visits(party.token)
    (token,) = await store.tokens(party.id)
    fields = {"name": "New", "tier": "member", "organisation": party.id, "token": token.id, "key": party.key.public.keyid, "person": "Eve"}
    before = len(await store.ledger_entries(0, 1000))
    answer, text = await visitor.send(place.path, "/", {**fields, "scope": "admin", "line": party.key.public.line()})
    assert answer.status == 403, text
    assert len(await store.ledger_entries(0, 1000)) == before


async def test_a_token_is_made_shown_once_and_revoked(visits: Visits, store: Store, joins: Joins) -> None:
    party = await joins("One")
    visitor = await visits(await admin_of(store))
    fields = {"organisation": party.id, "label": "nightly", "days": "30", "scope": "pull"}
    answer, text = await visitor.send("/tokens", "/tokens", fields)
    found = re.search(r"rch_([0-9a-f]+)_[\w-]{43}", text)
    assert answer.status == 200 and found is not None
    caller = await store.authenticate(found[0])
    assert (caller.organisation, caller.scopes) == (party.id, {Scope.pull})
    assert found[0] not in (await visitor.get("/tokens"))[1]
    assert (await visitor.send("/tokens/revoke", "/tokens", {"token": found[1]}))[0].status == 303
    (info,) = [each for each in await store.tokens(party.id) if each.id == found[1]]
    assert info.revoked_at is not None and info.expires_at is not None


async def test_an_admin_makes_a_link_that_logs_in(visits: Visits, store: Store, joins: Joins) -> None:
    party = await joins("One")
    admin = await visits(await admin_of(store))
    _, text = await admin.send("/organisations/link", "/organisations", {"organisation": party.id, "person": "Ada", "scope": "pull"})
    found = re.search(r'id="link">(http://127\.0\.0\.1:\d+)(/login/([\w-]+))<', text)
    assert found is not None and found[1] == admin.url
    ada = await visits()
    assert (await ada.send("/login/link", found[2], {"secret": found[3]}))[0].status == 303
    _, text = await ada.get("/organisations")
    assert party.id in text and "The house" not in text and '<form method="post" action="/organisations"' not in text


async def test_an_admin_registers_rotates_and_revokes_keys(visits: Visits, store: Store, joins: Joins) -> None:
    from remediator.evidence.keys import SigningKey

    party = await joins("One")
    admin = await visits(await admin_of(store))
    fresh = SigningKey.generate().public
    fields = {"organisation": party.id, "line": fresh.line(), "replaces": party.key.public.keyid}
    assert (await admin.send("/keys", "/keys", fields))[0].status == 303
    states = {each.keyid: each.revoked_at for each in await store.keys(party.id)}
    assert states[fresh.keyid] is None and states[party.key.public.keyid] is not None
    assert (await admin.send("/keys/revoke", "/keys", {"key": fresh.keyid, "reason": "lost"}))[0].status == 303
    wrong, text = await admin.send("/keys", "/keys", {"organisation": party.id, "line": "ssh-rsa AAAA"})
    assert wrong.status == 400 and "cannot be read" in text


async def test_an_admin_reads_who_opted_out_and_overrules_it(visits: Visits, store: Store, joins: Joins) -> None:
    party, other = await joins("One"), await joins("Two")
    await party.ask(Verb.opt_out, {"project": "pkg:pypi/a", "contact": "me@example.org", "reason": "no <b>scans</b>"})
    _, text = await (await visits(other.token)).get("/opt-outs")
    assert "pkg:pypi/a" in text and "me@example.org" in text and party.id not in text and "Overrule" not in text and "<b>" not in text
    admin = await visits(await admin_of(store))
    assert party.id in (await admin.get("/opt-outs"))[1]
    assert (await admin.send("/opt-outs/withdraw", "/opt-outs", {"project": "pkg:pypi/a"}))[0].status == 303
    assert "Nobody opted out" in (await admin.get("/opt-outs"))[1]
    assert (await admin.send("/opt-outs/withdraw", "/", {"project": "pkg:pypi/a"}))[0].status == 400


# -- what is shown to whom ---------------------------------------------------------------------------------------------


async def test_what_is_under_embargo_is_on_no_page_of_others(visits: Visits, store: Store, joins: Joins, clock: Clock) -> None:
    party, other = await joins("One"), await joins("Two")
    until = (clock.now + timedelta(days=9)).isoformat()
    flaw = {**FLAW, "title": "Sesame", "project": "pkg:pypi/secret-project"}
    made = await party.ask(Verb.submit_finding, {"flaw": flaw, "scanner": "s"}, tlp="clear", embargo_until=until)
    fix = await party.submit_fix("s", flaw=flaw, tlp="clear", embargo_until=until)
    flaw_id = made.detail["flaw"]
    await verify(store)
    theirs, ours = await visits(other.token), await visits(party.token)
    for path in (*PATHS, "/?project=pkg:pypi/secret-project", "/?alias=CVE-2017-16616"):
        _, text = await theirs.get(path)
        assert not any(each in text for each in ("Sesame", flaw_id, fix.id) if each not in path), path
    for path in (f"/flaws/{flaw_id}", f"/fixes/{fix.id}", f"/fixes/{fix.id}/patch"):
        hidden, nothing = await theirs.get(path), await theirs.get(path.replace("-", "-0", 1))
        assert (hidden[0].status, hidden[1]) == (nothing[0].status, nothing[1])
        assert hidden[0].status == 404
    assert "Sesame" in (await ours.get("/"))[1]
    assert "Under embargo until" in (await ours.get(f"/flaws/{flaw_id}"))[1]
    clock.forward(days=10)
    await store.tick()
    late = await visits(other.token)
    assert "Sesame" in (await late.get("/"))[1]
    assert (await late.get(f"/fixes/{fix.id}/patch"))[0].status == 200


async def test_a_diff_is_shown_once_verified_and_to_who_may_pull(visits: Visits, store: Store, joins: Joins) -> None:
    party = await joins("One")
    assessor = await joins("Two", Tier.operator, (Scope.assess,))
    fix = await party.submit_fix("s", tlp="clear")
    visitor = await visits(party.token)
    _, before = await visitor.get(f"/fixes/{fix.id}")
    assert "Nothing is distributed" in before and "E0 applies: not reached" in before and "claimed E4" in before
    await verify(store)
    _, after = await visitor.get(f"/fixes/{fix.id}")
    assert '<span class="added">+yaml.safe_load(content)' in after and "E4 reproduced: reached" in after
    assert "E5 attacked: not reached" in after
    answer, text = await visitor.get(f"/fixes/{fix.id}/patch")
    assert text == PATCH and "attachment" in answer.headers["Content-Disposition"]
    without = await visits(assessor.token)
    _, seen = await without.get(f"/fixes/{fix.id}")
    assert "safe_load" not in seen and (await without.get(f"/fixes/{fix.id}/patch"))[0].status == 404


async def test_the_queue_says_how_urgent_when_due_and_why(visits: Visits, store: Store, joins: Joins) -> None:
    party = await joins("One")
    await party.ask(Verb.submit_finding, {"flaw": FLAW, "scanner": "s"})
    visitor = await visits(party.token)
    assert "not ranked" in (await visitor.get("/"))[1]
    ranked(store)
    (flaw,) = (await store.flaws(party.caller)).items
    assert flaw.priority is not None and flaw.priority.due_days == 3
    for path in ("/", f"/flaws/{flaw.id}"):
        _, text = await visitor.get(path)
        assert visible(flaw.priority.sentence) in unescape(text) and "2026-11-28 12:00 UTC" in text, path


async def test_others_tokens_and_keys_are_not_shown(visits: Visits, store: Store, joins: Joins) -> None:
    one, two = await joins("One"), await joins("Two")
    visitor = await visits(one.token)
    for path in ("/tokens", "/keys", "/organisations"):
        _, text = await visitor.get(path)
        assert one.id in text and two.id not in text, path


async def test_lists_go_on_on_the_next_page(visits: Visits, joins: Joins) -> None:
    party = await joins("One")
    for each in range(3):
        await party.ask(
            Verb.submit_finding, {"flaw": {**FLAW, "aliases": [f"CVE-2026-{1000 + each}"], "snippet": str(each)}, "scanner": "s"}
        )
    visitor = await visits(party.token)
    path, seen = "/?limit=2", set()
    for _ in range(2):
        _, text = await visitor.get(path)
        seen |= set(re.findall(r'href="(/flaws/[^"]+)"', text))
        found = re.search(r'href="([^"]+)" rel="next"', text)
        path = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == 3 and path == ""


# -- what withstands ---------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """What a page consists of, to a reader of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in ("href", "src", "action")}


async def test_no_hostile_text_becomes_markup(visits: Visits, store: Store, joins: Joins) -> None:
    there = await evil_records(store, await joins("One"))
    admin = await visits(there.admin)
    shown = ""
    for path in there.paths:
        answer, text = await admin.get(path)
        page = Elements(text)
        assert answer.status == 200, path
        assert not page.found & {"script", "img", "style", "iframe", "base", "object", "svg"}, path
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}, path
        assert all(each.startswith("/") and not each.startswith("//") for each in page.addresses - {"#main"}), path
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\u3164]", text), path
        shown += text
    assert "\\u202egnp.exe" in shown and "&lt;script&gt;" in shown and "{{7*7}}" in shown


def test_the_check_sees_markup_that_came_through() -> None:
    weak = environment().overlay(autoescape=False, finalize=None)
    page = Elements(weak.from_string("<p title='{{ a }}'>{{ a }}</p>").render(a=EVIL))
    assert {"script", "img", "style"} <= page.found and "onerror" in page.attributes


@given(st.text(max_size=200))
@example(EVIL)
@example(" \u3164 ")
def test_text_stays_text(text: str) -> None:
    page = PAGES.from_string('{{ a }}|{{ a|told }}|{{ a|lines }}<p class="{{ a }}">').render(a=text)
    assert Elements(page).found <= {"bdi", "i", "p"}
    seen = visible(text)
    assert all(each.isprintable() or each in " \u00a0" or each.isspace() for each in seen)
    assert not re.search("[\u0300-\u036f]{5}", seen)
    assert re.sub(r"<[^>]*>", "", told(text)).strip()


# Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern.
UNSEEN = [
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F)),
    *(*range(0x2060, 0x2070), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4)),
    *(*range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
]


def test_whatever_shows_nothing_is_shown_as_an_escape() -> None:
    assert [hex(each) for each in UNSEEN if not re.fullmatch(r"a\\[xuU][0-9a-f]{2,8}b", visible(f"a{chr(each)}b"))] == []


async def test_every_page_carries_the_policy(visits: Visits, store: Store, joins: Joins) -> None:
    there = await evil_records(store, await joins("One"))
    admin, nobody = await visits(there.admin), await visits()
    for visitor, path in [
        *((admin, path) for path in there.paths),
        (nobody, "/login"),
        (nobody, "/login/" + "a" * 43),
        (admin, "/flaws/x"),
    ]:
        answer, text = await visitor.get(path)
        assert answer.headers["Content-Security-Policy"] == POLICY, path
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8" and text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    "path", ["/flaws/..%2f..%2fetc", "/flaws/%27%20or%201=1--", "/fixes/%00", "/fixes/a%0d%0aX:%20y", "/flaws/" + "a" * 500]
)
async def test_what_cannot_be_an_id_is_not_there(path: str, visits: Visits, store: Store) -> None:
    from yarl import URL

    visitor = await visits(await admin_of(store))
    async with visitor.client.get(URL(visitor.url + path, encoded=True), allow_redirects=False) as answer:
        assert answer.status == 404 and "X" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "cursor='",
        "cursor=1.'%20or%201=1",
        "limit=9999",
        "limit=-1",
        "project=%00",
        "project=%3Cscript%3E",
        "alias=%27%22%3E",
        "order=%3Cb%3E",
        "cursor=%00",
    ],
)
async def test_a_hostile_question_is_answered_in_order(query: str, visits: Visits, store: Store) -> None:
    visitor = await visits(await admin_of(store))
    for path in ("/", "/ledger", "/leases"):
        answer, text = await visitor.get(f"{path}?{query}&before=1")
        assert answer.status in (200, 400) and not Elements(text).found & {"script", "b"}
    assert (await visitor.get("/ledger?before=99999999999999999999"))[0].status == 400


async def test_a_mistake_of_our_own_tells_nothing(visits: Visits, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await visits(await admin_of(store))

    async def breaks(*_: object, **__: object) -> None:
        raise ValueError("sesame")

    monkeypatch.setattr(store, "flaws", breaks)
    answer, text = await visitor.get("/")
    assert answer.status == 500 and "sesame" not in text and "Traceback" not in text


async def test_the_programs_interface_is_not_opened_by_a_cookie(visits: Visits, store: Store) -> None:
    visitor = await visits(await admin_of(store))
    assert (await visitor.get("/v1/flaws"))[0].status == 401
