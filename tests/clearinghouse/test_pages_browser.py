"""The pages in a real Chromium: nothing hostile runs or moves, axe finds nothing, and a keyboard without scripts is enough."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from remediator.clearinghouse.pages.showing import environment
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.testing.clearinghouse import Clock, party

from .pages_kit import EVIL, PATHS, Told, evil_records, served
from .waiting import PATIENCE

pytestmark = pytest.mark.browser
AXE = Path(__file__).parents[2] / ".test-tools" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class House(NamedTuple):
    url: str
    weak: str
    """The same words on a page without any of the defences."""
    told: Told
    link: Callable[[], str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A clearinghouse in a thread of its own, as the driver of the browser blocks."""
    ready: Future[House] = Future()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()
    data = tmp_path_factory.mktemp("pages")

    async def run() -> None:
        clock = Clock()
        async with Store.open("sqlite", data, clock=clock, elapsed=clock.elapsed) as store:
            one = await party(store, clock, "One", Tier.operator, (Scope.submit, Scope.assess, Scope.pull))
            told = await evil_records(store, one)

            def link() -> str:
                return asyncio.run_coroutine_threadsafe(store.login_link(one.id, "Ada"), loop).result(60)

            async with served(store, requests_burst=5000, address_requests_burst=5000) as url, undefended() as weak:
                ready.set_result(House(url, weak, told, link))
                await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(run())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ready.result(60)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


class undefended:  # noqa: N801
    async def __aenter__(self) -> str:
        weak = environment().overlay(autoescape=False, finalize=None)
        body = weak.from_string("<html><body><p id=a>{{ a }}</p><img src=y><input></body></html>").render(a=EVIL)

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=body, content_type="text/html")

        app = web.Application()
        app.router.add_get("/", page)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    if not AXE.is_file() or not Path("/usr/bin/chromedriver").exists():
        pytest.fail("Chromium, its driver or axe-core is missing: sandbox/ensure-test-tools", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for each in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(120)
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, house: House) -> Iterator[webdriver.Chrome]:
    """The browser, logged in as an admin."""
    chromium.delete_all_cookies()
    login(chromium, house)
    yield chromium
    for command, how in (
        ("setScriptExecutionDisabled", {"value": False}),
        ("clearDeviceMetricsOverride", {}),
        ("setEmulatedMedia", {"features": []}),
    ):
        chromium.execute_cdp_cmd(f"Emulation.{command}", how)


def login(driver: webdriver.Chrome, house: House) -> None:
    driver.get(house.url + "/login")
    driver.find_element(By.ID, "token").send_keys(house.told.admin)
    driver.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(driver, PATIENCE).until(lambda each: each.title.startswith("Queue"))


def violations(driver: webdriver.Chrome) -> list[str]:
    driver.execute_script(AXE.read_text("utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(r => done(r), e => done({error: String(e)}))", RULES
    )
    assert "error" not in found and len(found["passes"]) > 5, found
    return [f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}" for each in found["violations"] for node in each["nodes"]]


def dark(driver: webdriver.Chrome) -> None:
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})


def narrow(driver: webdriver.Chrome) -> None:
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 320, "height": 800, "deviceScaleFactor": 1, "mobile": False})


KINDS = [*PATHS, "flaw", "fix", "waiting", "revoked", "no such page"]


def path_of(told: Told, kind: str) -> str:
    return {
        "flaw": f"/flaws/{told.flaw}",
        "fix": f"/fixes/{told.fix}",
        "waiting": f"/fixes/{told.waiting}",
        "revoked": f"/fixes/{told.revoked}",
        "no such page": "/flaws/flaw-none",
    }.get(kind, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_axe_finds_nothing(kind: str, look: str, browser: webdriver.Chrome, house: House) -> None:
    {"dark": dark, "narrow": narrow}.get(look, lambda _: None)(browser)
    browser.get(house.url + path_of(house.told, kind))
    assert violations(browser) == []


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_axe_finds_nothing_before_the_login(look: str, chromium: webdriver.Chrome, house: House) -> None:
    chromium.delete_all_cookies()
    {"dark": dark, "narrow": narrow}.get(look, lambda _: None)(chromium)
    for path in ("/login", f"/login/{house.link()}"):
        chromium.get(house.url + path)
        assert violations(chromium) == []
    chromium.get(house.url + "/login")
    chromium.find_element(By.ID, "token").send_keys("rch_wrong", Keys.ENTER)
    WebDriverWait(chromium, PATIENCE).until(lambda each: each.find_elements(By.CSS_SELECTOR, "[role=alert]"))
    assert violations(chromium) == []


def test_axe_finds_nothing_where_a_secret_is_shown(browser: webdriver.Chrome, house: House) -> None:
    for path, field, ends in (("/tokens", "label", "secret"), ("/organisations", "person", "link")):
        browser.get(house.url + path)
        browser.find_element(By.ID, field).send_keys("for a test", Keys.ENTER)
        WebDriverWait(browser, PATIENCE).until(lambda each, ends=ends: each.find_elements(By.ID, ends))
        assert violations(browser) == []


def test_the_checks_see_a_page_without_defences(chromium: webdriver.Chrome, house: House) -> None:
    chromium.get(house.weak)
    assert chromium.execute_script("return document.documentElement.dataset.pwned") is not None
    assert any(each.startswith(("image-alt", "label")) for each in violations(chromium))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_hostile_runs_or_leaves(kind: str, browser: webdriver.Chrome, house: House) -> None:
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(house.url + path_of(house.told, kind))
    found = browser.execute_script(
        "return {pwned: document.documentElement.dataset.pwned ?? null, scripts: document.querySelectorAll('script,img,iframe').length,"
        " seen: getComputedStyle(document.querySelector('main')).display}"
    )
    assert found == {"pwned": None, "scripts": 0, "seen": "block"}
    sent = [each["message"] for each in browser.get_log("performance") if '"Network.requestWillBeSent"' in each["message"]]
    urls = [json.loads(each)["message"]["params"]["request"]["url"] for each in sent]
    assert urls and all(each.startswith(house.url + "/") for each in urls)
    # A style, script or picture that the policy had to stop would have been tried.
    assert [each["message"] for each in browser.get_log("browser") if "Content Security Policy" in each["message"]] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [320, 1200])
def test_hostile_text_stays_in_its_place(kind: str, width: int, browser: webdriver.Chrome, house: House) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    browser.get(house.url + path_of(house.told, kind))
    found = browser.execute_script(OUTSIDE)
    assert found == {"wide": False, "outside": [], "squeezed": []}


OUTSIDE = """
const outside = [];
for (const each of document.querySelectorAll('bdi')) {
  const box = each.closest('td, th, dd, li, p, div').getBoundingClientRect();
  for (const own of each.getClientRects()) {
    if (own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 8 || own.bottom > box.bottom + 8) {
      outside.push(each.textContent.slice(0, 60));
      break;
    }
  }
}
const squeezed = [...document.querySelectorAll('th[scope=col]')].filter(each => each.clientHeight > 75).map(each => each.textContent);
return {squeezed, wide: document.documentElement.scrollWidth > document.documentElement.clientWidth, outside};
"""


def test_the_order_of_letters_is_that_of_the_text(browser: webdriver.Chrome, house: House) -> None:
    browser.get(house.url + path_of(house.told, "flaw"))
    found = browser.execute_script(PLACES)
    text, places = found["text"], found["places"]
    assert "\\u202egnp.exe" in text
    assert places == sorted(places)


PLACES = """
const node = document.querySelector('.lead bdi').firstChild, text = node.data, from = text.indexOf('gnp.exe'), places = [];
for (let at = from; at < from + 7; at++) {
  const range = document.createRange(); range.setStart(node, at); range.setEnd(node, at + 1);
  const box = range.getBoundingClientRect(); places.push(Math.round(box.top) * 10000 + box.left);
}
return {text, places};
"""


def test_a_keyboard_without_scripts_is_enough(chromium: webdriver.Chrome, house: House) -> None:
    chromium.delete_all_cookies()
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(house.url + "/login")
        press(chromium, Keys.TAB, Keys.TAB, Keys.TAB, house.told.admin, Keys.TAB, Keys.ENTER)
        WebDriverWait(chromium, PATIENCE).until(lambda each: each.title.startswith("Queue"))
        press(chromium, Keys.TAB, Keys.ENTER)
        WebDriverWait(chromium, PATIENCE).until(lambda each: each.current_url.endswith("#main"))
        seen = walk(chromium)
        assert any(each.startswith(f"{house.url}/flaws/") for each in seen)
        chromium.get(house.url + "/tokens")
        assert sum(each.startswith("button") for each in walk(chromium)) >= 4
        chromium.get(house.url + "/login")
        press(chromium, Keys.TAB, Keys.TAB)
        assert chromium.switch_to.active_element.get_attribute("href") == house.url + "/"
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def press(driver: webdriver.Chrome, *keys: str) -> None:
    actions = ActionChains(driver)
    for key in keys:
        actions = actions.send_keys(key)
    actions.perform()


def walk(driver: webdriver.Chrome, most: int = 60) -> list[str]:
    """Go through a page by Tab, and return what had the focus; each must show that it has it."""
    seen: list[str] = []
    for _ in range(most):
        press(driver, Keys.TAB)
        here = driver.switch_to.active_element
        if here.tag_name == "body":
            break
        assert here.value_of_css_property("outline-style") == "solid", here.get_attribute("outerHTML")
        seen.append(here.get_attribute("href") or f"{here.tag_name} {here.text}")
    return seen


def test_a_link_logs_in_once(chromium: webdriver.Chrome, house: House) -> None:
    link = house.link()
    chromium.delete_all_cookies()
    for expected in ("Queue", "Log in"):
        chromium.get(f"{house.url}/login/{link}")
        chromium.find_element(By.CSS_SELECTOR, "main button").click()
        WebDriverWait(chromium, PATIENCE).until(lambda each, expected=expected: each.title.startswith(f"{expected} ·"))
        chromium.delete_all_cookies()


def test_another_sites_page_cannot_send_a_form(browser: webdriver.Chrome, house: House) -> None:
    """The browser is logged in, and is led to a page that posts to us by itself."""
    form = f"<form method=post action={house.url}/organisations><input name=name value=Evil><input name=tier value=member></form>"
    before = organisations(browser, house)
    browser.get(house.weak)
    browser.execute_script("document.body.innerHTML = arguments[0]; document.forms[0].submit()", form)
    WebDriverWait(browser, PATIENCE).until(lambda each: house.url in each.current_url)
    assert organisations(browser, house) == before


def organisations(driver: webdriver.Chrome, house: House) -> Any:
    driver.get(house.url + "/organisations")
    return [each.text for each in driver.find_elements(By.CSS_SELECTOR, "tbody th")]


def test_dark_is_dark_and_no_page_needs_its_colours(browser: webdriver.Chrome, house: House) -> None:
    path = house.url + path_of(house.told, "fix")
    browser.get(path)
    light = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    dark(browser)
    browser.get(path)
    assert browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color") != light
    browser.execute_script("document.querySelector('link[rel=stylesheet]').remove()")
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "E4 reproduced: reached" in text and "E5 attacked: not reached" in text
    assert "\n-yaml.load(content)\n" in text and "\n+yaml.safe_load(content)" in text
