"""The status page in a headless browser, during a load in which a node is killed; and the commands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.web.server import Site

from txcql.errors import CQLError
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.integrations.web import StatusResource
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.test.browser import ARGUMENTS, chromium
from txcql.test.cassandra import lease
from txcql.test.live.live_programs import examples

FULL = bool(os.environ.get("TXCQL_FULL"))
IN_FLIGHT = 100

#: WCAG 2.2: contrast of text, at least.
CONTRAST = 4.5

#: Of every text that is seen, its colour against what is behind it.
CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => { const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    if (!one.checkVisibility() || one.closest("noscript, script, style")) continue;
    let behind = one, colour;
    do { colour = channels(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
    while (behind && colour.length === 4 && colour[3] === 0);
    const style = getComputedStyle(one);
    const ink = light(channels(one.namespaceURI.endsWith("svg") ? style.fill : style.color));
    const page = colour.length === 4 && colour[3] === 0 ? 1 : light(colour);
    found.push([(Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05), one.textContent.slice(0, 40)]);
  }
  return found;
}"""


def on_the_loop(coroutine: Any) -> Deferred[Any]:
    """Run a coroutine of asyncio's, which the tests' reactor runs on.

    :param coroutine: The coroutine.
    :returns: Fires with its result.
    """
    return Deferred.fromFuture(asyncio.ensure_future(coroutine))


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Have a browser, before anything else begins.

    :returns: Its path.
    """
    return chromium()


@pytest.fixture(scope="module")
def shown(breakable):
    """Lease nodes that may be killed: three in a full run, else one.

    :returns: Yields the lease.
    """
    if not FULL:
        yield breakable
        return
    with lease("three", exclusive=True) as held:
        yield held


class Shown:
    """A session under load, the page that shows it, and a browser that looks at the page.

    :ivar page: The browser's page.
    :ivar complaints: What the browser's console said, and what it could not load.
    """

    def __init__(self, reactor: Any, session: Any, requests: RequestMetrics) -> None:
        self.resource = StatusResource(session, reactor, requests, title="shop")
        self.complaints: list[str] = []
        self._port = reactor.listenTCP(0, Site(self.resource), interface="127.0.0.1")
        self.address = f"http://127.0.0.1:{self._port.getHost().port}/"

    async def open(self, path: str) -> None:
        """Start the browser, and go to the page.

        :param path: The browser's.
        """
        # Large, and for these tests alone: tox installs it where they run, in "full".
        from playwright.async_api import async_playwright

        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        context = await self._browser.new_context(viewport={"width": 1100, "height": 900})
        self.page = await context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("request", self._asked)
        await self.page.goto(self.address)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.complaints.append(f"asks for {request.url}")

    async def picture(self, folder: Path, name: str) -> None:
        """Keep a screenshot.

        :param folder: Where to, unless ``TXCQL_SCREENSHOTS`` names another one.
        :param name: Its name.
        """
        folder = Path(os.environ.get("TXCQL_SCREENSHOTS") or folder)
        await self.page.screenshot(path=folder / f"{name}.png")
        assert (folder / f"{name}.png").stat().st_size > 5000

    async def close(self) -> None:
        """End the browser."""
        await self._browser.close()
        await self._playwright.stop()

    async def end(self) -> None:
        """End the site."""
        self.resource.stop()
        await self._port.stopListening()


class Load:
    """Reads, so many at a time; after a failure there is a pause."""

    def __init__(self, reactor: Any, session: Any) -> None:
        self._reactor = reactor
        self._session = session
        self._stopped = False
        self._readers = [Deferred.fromCoroutine(self._read()) for _ in range(IN_FLIGHT)]

    async def _read(self) -> None:
        while not self._stopped:
            try:
                await self._session.execute("SELECT release_version FROM system.local", timeout=2.0)
            except CQLError:
                await deferLater(self._reactor, 0.2)

    async def stop(self) -> None:
        """End it."""
        self._stopped = True
        await gatherResults(self._readers)


@pytest_twisted.async_yield_fixture
async def status(reactor, shown, open_session, browser_path):
    """Show a session under load.

    :returns: Yields the page.
    """
    requests = RequestMetrics()
    session = await open_session(
        shown, observers=[requests], reconnection=ExponentialReconnectionPolicy(base=1.0, maximum=4.0)
    )
    load = Load(reactor, session)
    made = Shown(reactor, session, requests)
    await on_the_loop(made.open(browser_path))
    yield made
    await load.stop()
    await on_the_loop(made.close())
    await made.end()


@pytest.mark.full
async def test_a_node_that_is_killed_and_comes_back(reactor, shown, status, tmp_path):
    """The page shows it go down, counts to the next attempt, and shows it come back, without a complaint."""
    control = shown.control(reactor)
    place = max(place for place, node in enumerate(shown.nodes) if node.datacenter == "dc1")
    node = shown.nodes[place]
    name = f"{node.address}:{node.port}"
    page = status.page
    card = page.locator(f'details[data-node="{name}"]')
    await on_the_loop(card.locator(".state", has_text="up").wait_for(timeout=10_000))
    await on_the_loop(
        page.wait_for_function("() => points.filter((point) => point[4] !== null).length > 3", timeout=15_000)
    )
    assert re.search(r"[\d,]+ in flight", await on_the_loop(card.locator("summary").inner_text()))
    assert await on_the_loop(card.locator("li").count()) >= 1
    assert "half of the requests within" in await on_the_loop(page.locator("#legend").inner_text())
    assert "M" in (await on_the_loop(page.locator("#chart path.first").get_attribute("d")))
    await on_the_loop(status.picture(tmp_path, "status"))

    await control.kill(place)
    await on_the_loop(card.locator(".state", has_text="down").wait_for(timeout=10_000))
    countdown = card.locator(".countdown")
    waits: set[str] = set()
    while len(waits) < 3:
        text = await on_the_loop(countdown.inner_text(timeout=10_000))
        wait = re.fullmatch(r"next reconnect in (\d+\.\d) s", text)
        assert wait is not None, text
        waits.add(wait[1])
        await on_the_loop(asyncio.sleep(0.5))
    assert name in await on_the_loop(card.locator(".error").inner_text())
    assert f"{name} is down" in await on_the_loop(page.locator("#news").inner_text())
    await on_the_loop(status.picture(tmp_path, "status-down"))

    await control.restart(place)
    await on_the_loop(card.locator(".state", has_text="up").wait_for(timeout=20_000))
    assert f"{name} is up" in await on_the_loop(page.locator("#news").inner_text())
    assert status.complaints == []


@pytest.mark.full
async def test_everybody_can_use_it(status, tmp_path):
    """Contrast in light and dark, the keyboard, a phone's width, and updates that can be paused."""
    page = status.page
    await on_the_loop(page.wait_for_function("() => points.length > 1", timeout=15_000))
    for scheme in ("light", "dark"):
        await on_the_loop(page.emulate_media(color_scheme=scheme))
        contrasts = await on_the_loop(page.evaluate(CONTRASTS))
        assert len(contrasts) > 20
        assert [(ratio, text) for ratio, text in contrasts if ratio < CONTRAST] == []
    await on_the_loop(page.emulate_media(color_scheme="light"))

    await on_the_loop(page.keyboard.press("Tab"))
    assert await on_the_loop(page.evaluate("document.activeElement.id")) == "pause"
    await on_the_loop(page.keyboard.press("Enter"))
    assert await on_the_loop(page.locator("#pause").get_attribute("aria-pressed")) == "true"
    before = await on_the_loop(page.evaluate("newest"))
    await on_the_loop(asyncio.sleep(2.2))
    assert await on_the_loop(page.evaluate("newest")) == before
    await on_the_loop(page.keyboard.press("Enter"))
    await on_the_loop(page.wait_for_function(f"() => newest > {before}", timeout=5_000))
    await on_the_loop(page.keyboard.press("Tab"))
    assert await on_the_loop(page.evaluate("document.activeElement.tagName")) == "SUMMARY"
    await on_the_loop(page.keyboard.press("Enter"))
    await on_the_loop(page.wait_for_function("() => !document.querySelector('details').open", timeout=5_000))
    assert await on_the_loop(page.evaluate("document.activeElement.tagName")) == "SUMMARY"
    await on_the_loop(page.keyboard.press("Enter"))

    await on_the_loop(page.set_viewport_size({"width": 360, "height": 740}))
    wide = await on_the_loop(page.evaluate("document.documentElement.scrollWidth"))
    assert wide <= 360, "nothing has to be scrolled sideways"
    await on_the_loop(status.picture(tmp_path, "status-phone"))
    assert status.complaints == []


def hear_ctrl_c() -> None:
    """The background job of a shell is born deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(command: list[Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends at Ctrl-C; and with the test, if it does not."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c) as process:
        try:
            yield process
        finally:
            process.kill()


def test_monitor(cassandra):
    """It says where the page is, and serves it until Ctrl-C."""
    from urllib.request import urlopen

    node = cassandra.nodes[0]
    command = [sys.executable, "-m", "txcql", "monitor", "--contact-point", f"{node.address}:{node.port}"]
    with started([*command, "--listen", "127.0.0.1:0"]) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+/) shows the cluster; Ctrl-C ends it\n", line)
        assert found is not None, line
        with urlopen(found[1], timeout=10) as answer:
            assert b"<!DOCTYPE html>" in answer.read()
        with urlopen(f"{found[1]}status.json", timeout=10) as answer:
            status = json.load(answer)
        assert [(one["name"], one["state"]) for one in status["nodes"]] == [
            (f"{node.address}:{node.port}", "up")
        ]
        with urlopen(f"{found[1]}metrics", timeout=10) as answer:
            assert b"txcql_node_up{" in answer.read()
        process.send_signal(signal.SIGINT)
        process.wait(10)


def test_the_page_of_the_documentation(cassandra):
    """A site of one's own shows it, below another path."""
    from urllib.request import urlopen

    node = cassandra.nodes[0]
    command = [sys.executable, "-W", "error", examples() / "statuspage.py", node.address]
    with started(command) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        for path, expected in (("", b"<!DOCTYPE html>"), ("metrics", b'txcql_nodes_up{session="shop"} 1')):
            with urlopen(address + path, timeout=10) as answer:
                assert expected in answer.read()
        process.send_signal(signal.SIGINT)
        process.wait(10)


def test_top(cassandra):
    """Elsewhere than on a terminal it prints look after look."""
    node = cassandra.nodes[0]
    point = f"{node.address}:{node.port}"
    done = subprocess.run(
        [sys.executable, "-m", "txcql", "top", "--contact-point", point, "--count", "3"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    looks = done.stdout.split("\n\n")
    assert done.stdout.count("nodes up 1 of 1") == 3
    assert point in looks[-2]
    assert "sent, marks 512 and 819, open" in done.stdout
    assert re.search(r"half \d+\.\d ms", done.stdout)
