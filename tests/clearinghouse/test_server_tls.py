"""https with real handshakes: who is believed, who is refused, and that a handshake which does not come takes nobody's place."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.server.app import GUARD, make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Verb
from remediator.errors import ConfigError
from remediator.testing.clearinghouse import Party

from . import commands_kit
from .certificates import Authority, Certificate
from .commands_kit import assert_told, program
from .waiting import PATIENCE, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Authority:
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def certificate(ours: Authority) -> Certificate:
    return ours.certificate()


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@pytest.fixture
async def team(joins: Any, clock: Any) -> Party:
    from datetime import UTC, datetime

    clock.now = datetime.now(UTC)
    party: Party = await joins("Team")
    return party


@asynccontextmanager
async def https(store: Store, shown: Certificate, **changes: Any) -> AsyncIterator[tuple[str, web.Application]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.chain, shown.key)
    app = make_app(store, ServerConfig(tick_seconds=0, **changes))
    async with serving(app, ssl_context=context) as url:
        assert url.startswith("https://")
        yield url, app


def place(team: Party, url: str, bundle: Path | str) -> Place:
    return Place("ours", url, team.token, team.store.audience, str(bundle), first_wait=0.01)


async def test_a_client_that_was_told_the_authority_asks_and_is_answered(
    store: Store, team: Party, ours: Authority, certificate: Certificate
) -> None:
    async with https(store, certificate) as (url, app):
        for name in (url, url.replace("127.0.0.1", "localhost")):
            async with Clearinghouse.connect(place(team, name, ours.bundle), team.key) as clearinghouse:
                answer = await clearinghouse.ask(Verb.lease, {"project": "pkg:pypi/a"}, key=f"tls-test-{name[-24:]}".replace("/", "."))
                assert answer.state == "granted"
                assert len(await clearinghouse.leases()) >= 1
                assert app[GUARD].held == 1
    assert app[GUARD].held == 0


@pytest.mark.parametrize("wrong", ["another authority", "this machine's authorities", "another name", "expired"])
async def test_a_certificate_that_is_wrong_is_refused_and_the_token_is_not_sent(
    store: Store, team: Party, ours: Authority, certificate: Certificate, folder: Path, wrong: str
) -> None:
    bundle: Path | str = ours.bundle
    if wrong == "another authority":
        bundle = Authority(folder, "another").bundle
    elif wrong == "this machine's authorities":
        bundle = ""
    elif wrong == "another name":
        certificate = ours.certificate("clearinghouse.example")
    else:
        certificate = ours.certificate(until=timedelta(hours=-1))
    with structlog.testing.capture_logs() as logs:
        async with https(store, certificate) as (url, _):
            with pytest.raises(ConfigError, match="is not trusted") as told:
                async with Clearinghouse.connect(place(team, url, bundle), team.key):
                    raise AssertionError("it was believed")
            assert "ca_bundle" in told.value.hint
    assert not [line for line in logs if line["event"] == "request"]


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_bundle_that_cannot_be_read_is_said(team: Party, tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ConfigError, match=r"CA bundle .*ca\.pem"):
        async with Clearinghouse.connect(place(team, "https://127.0.0.1:9", bundle)):
            raise AssertionError("it connected")


async def test_who_does_not_shake_hands_is_closed_in_time(store: Store, certificate: Certificate) -> None:
    async with https(store, certificate, header_seconds=1.0) as (url, app):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        begun = time.monotonic()
        await until(lambda: app[GUARD].held == 1)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        # Sooner than after the ten seconds that it has by itself.
        assert 0.5 < time.monotonic() - begun < 9
        assert (app[GUARD].held, app[GUARD].reaped) == (0, 1)
        writer.close()
    # The weak twin: with a time that is far away it stands, so it was our clock that ended it.
    async with https(store, certificate, header_seconds=60.0) as (url, app):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 3)
        writer.close()


async def test_handshakes_that_do_not_come_make_room_for_whoever_asks(store: Store, ours: Authority, certificate: Certificate) -> None:
    trusted = ssl.create_default_context(cafile=str(ours.bundle))
    async with https(store, certificate, connections=5, header_seconds=60.0) as (url, app):
        opened = [await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1])) for _ in range(30)]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http:
            assert (await http.get(f"{url}/healthz", timeout=aiohttp.ClientTimeout(total=30))).status == 200
            assert app[GUARD].held == 5 and app[GUARD].reaped >= 26
        for _, writer in opened:
            writer.close()


async def test_what_is_no_tls_ends_and_others_are_served_meanwhile(store: Store, ours: Authority, certificate: Certificate) -> None:
    trusted = ssl.create_default_context(cafile=str(ours.bundle))
    async with https(store, certificate) as (url, app):
        for said in (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 70_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            writer.write(said)
            writer.write_eof()
            try:
                answer = await asyncio.wait_for(reader.read(), PATIENCE)
            except ConnectionError:
                answer = b""
            # A TLS alert at the most, and no word of HTTP.
            assert b"HTTP" not in answer
            writer.close()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as http:
            assert (await http.get(f"{url}/healthz")).status == 200
        await until(lambda: app[GUARD].held == 0)


@pytest.fixture(scope="module")
def served(folder: Path, certificate: Certificate) -> Iterator[commands_kit.Served]:
    options = ("--certificate", str(certificate.chain), "--private-key", str(certificate.key))
    with commands_kit.serving(folder, *options, listen="0.0.0.0:0") as found:
        yield found


def test_the_command_serves_https_and_the_settings_name_its_authority(served: commands_kit.Served, ours: Authority) -> None:
    url = served.url.replace("0.0.0.0", "localhost")
    served.run("organisation", "Team")
    served.run("key", "Team", program(served.folder, "submit", "--show-key").out.strip())
    token = served.run("token", "Team", "--scope", "submit").out.strip()
    table = f'[clearinghouses.ours]\nurl = "{url}"\ntoken = "env:T"\ntrust = "{served.trust}"\n'
    (served.folder / "without.toml").write_text(table)
    (served.folder / "with.toml").write_text(f'{table}ca_bundle = "{ours.bundle}"\n')
    assert_told(program(served.folder, "-c", "without.toml", "lease", "take", "pkg:pypi/a", T=token), 2, "not trusted", "ca_bundle")
    taken = program(served.folder, "-c", "with.toml", "lease", "take", "pkg:pypi/a", "--json", T=token)
    assert taken.code == 0, taken
    assert json.loads(taken.out)["fencing"] == 1


def test_a_certificate_that_cannot_be_used_is_said_and_nobody_is_asked_for_a_password(
    tmp_path: Path, ours: Authority, certificate: Certificate
) -> None:
    locked, other = ours.certificate(password=b"secret"), ours.certificate("other.example")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    serve = ("clearinghouse", "serve", "--data", "ch", "--listen", "127.0.0.1:0")
    for chain, key, words in (
        (locked.chain, locked.key, ("encrypted",)),
        (certificate.chain, other.key, ("mismatch",)),
        (garbage, certificate.key, ("certificate",)),
    ):
        assert_told(program(tmp_path, *serve, "--certificate", str(chain), "--private-key", str(key)), 2, *words)
    assert_told(program(tmp_path, *serve, "--certificate", str(certificate.chain)), 2, "belong together")
    assert not (tmp_path / "ch").exists()
