"""Drive Debian's Firefox by WebDriver BiDi, which it speaks itself: no driver is needed."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from project.demo.processes import Child

from . import chromium

NAMES = ("firefox-esr", "firefox")
ADVICE = "install the package firefox-esr"
STARTED = r"WebDriver BiDi listening on (ws://\S+)"
START_TIMEOUT = 60  # seconds
PAGE_TIMEOUT = 10.0  # seconds that a page may take for what is expected of it
PAUSE = 0.05  # seconds between two looks
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


def find() -> str | None:
    """Return a Firefox that starts."""
    return chromium.first_that_starts(map(shutil.which, NAMES))


def install(say: Callable[[str], object]) -> str | None:
    """Get Debian's when we may, and return its path."""
    if not chromium.may_use_apt():
        return None
    say("There is no Firefox for the browser tests; trying to get Debian's")
    return (
        find()
        if chromium.succeeds(chromium.by_apt("firefox-esr"), seconds=chromium.INSTALL_TIMEOUT)
        else None
    )


@asynccontextmanager
async def launch(path: str) -> AsyncIterator["Firefox"]:
    """Start a Firefox without a window, with a profile of its own, and end it again."""
    with tempfile.TemporaryDirectory() as profile:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in PREFERENCES.items()
        ]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        arguments = [
            "--headless",
            "--no-remote",
            "--profile",
            profile,
            "--remote-debugging-port",
            "0",
            "about:blank",
        ]
        child = Child("firefox", [path, *arguments])
        try:
            address = (await asyncio.to_thread(child.await_line, STARTED, START_TIMEOUT))[1]
            async with (
                connect(f"{address}/session", max_size=None, proxy=None) as socket,
                Firefox(socket) as firefox,
            ):
                yield firefox
        finally:
            await asyncio.to_thread(child.stop)


class Firefox:
    """A session: sends commands, and passes on what happens."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.listeners: list[Callable[[str, Any], object]] = []
        self._answers: dict[int, asyncio.Future] = {}

    async def __aenter__(self) -> "Firefox":
        self._reader = asyncio.create_task(self._read())
        await self.do("session.new", capabilities={})
        await self.do("session.subscribe", events=["log.entryAdded", "network.responseCompleted"])
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.do("browser.close")
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def do(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result."""
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(self._answers[number], START_TIMEOUT)
        assert answer["type"] == "success", f"{method}: {answer.get('message')}"
        return answer["result"]

    @asynccontextmanager
    async def page(self, base_url: str) -> AsyncIterator["FirefoxPage"]:
        """Open a page of somebody who shares nothing with the others."""
        person = (await self.do("browser.createUserContext"))["userContext"]
        tab = (await self.do("browsingContext.create", type="tab", userContext=person))["context"]
        page = FirefoxPage(self, tab, person, base_url)
        self.listeners.append(page.hear)
        yield page
        self.listeners.remove(page.hear)
        await self.do("browser.removeUserContext", userContext=person)

    async def _read(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            if message["type"] == "event":
                for listener in self.listeners:
                    listener(message["method"], message["params"])
            else:
                self._answers[message["id"]].set_result(message)


class FirefoxPage:
    """A tab: what a person does in it, and what they see; `errors` are those of its scripts."""

    def __init__(self, firefox: Firefox, tab: str, person: str, base_url: str):
        self.firefox, self.tab, self.person, self.base_url = firefox, tab, person, base_url
        self.errors: list[str] = []
        self.requested: list[str] = []

    def hear(self, event: str, params: Any) -> None:
        """Keep the errors of this page's scripts, and what it has asked for."""
        if event == "network.responseCompleted" and params["context"] == self.tab:
            self.requested.append(params["request"]["url"].removeprefix(self.base_url))
        elif (
            event == "log.entryAdded"
            and params["type"] == "javascript"
            and params["level"] == "error"
        ):
            self.errors.append(params["text"])

    async def goto(self, path: str) -> None:
        """Open an address of the site, and wait until it is loaded."""
        await self._do("browsingContext.navigate", url=self.base_url + path, wait="complete")

    async def back(self) -> None:
        """Press Back."""
        await self._do("browsingContext.traverseHistory", delta=-1)

    async def reload(self) -> None:
        """Press Reload."""
        await self._do("browsingContext.reload", wait="complete")

    async def take_cookies(self, cookies: Any) -> None:
        """Become the person whose cookies these are."""
        for name, value in cookies.items():
            cookie = {
                "name": name,
                "value": {"type": "string", "value": value},
                "domain": "127.0.0.1",
                "path": "/",
            }
            partition = {"type": "storageKey", "userContext": self.person}
            await self.firefox.do("storage.setCookie", cookie=cookie, partition=partition)

    async def ask(self, expression: str) -> Any:
        """Evaluate in the page, and return what JSON can say of it."""
        text = f"(async () => JSON.stringify(await ({expression})))()"
        answer = await self.firefox.do(
            "script.evaluate", expression=text, target={"context": self.tab}, awaitPromise=True
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"].get("value", "null"))

    async def until(self, expression: str, seconds: float = PAGE_TIMEOUT) -> None:
        """Wait until it is true in the page, which may be another one by then."""
        try:
            async with asyncio.timeout(seconds):
                while not await self._is_true(expression):
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            seen = await self.ask("[location.href, document.body.innerText]")
            raise AssertionError(
                f"not within {seconds} s: {expression}; the page: {seen}"
            ) from None

    async def click(self, selector: str) -> None:
        """Press the mouse on the first element of this selector."""
        found = await self._do(
            "browsingContext.locateNodes", locator={"type": "css", "value": selector}
        )
        element = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        moves = [{"type": "pointerMove", "x": 0, "y": 0, "origin": element}]
        moves += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        await self._do(
            "input.performActions", actions=[{"type": "pointer", "id": "mouse", "actions": moves}]
        )

    async def press(self, key: str) -> None:
        """Press a key, named by its character (WebDriver's: Enter is U+E007, Escape U+E00C)."""
        presses = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        await self._do(
            "input.performActions", actions=[{"type": "key", "id": "keys", "actions": presses}]
        )

    async def _do(self, method: str, **params: Any) -> Any:
        return await self.firefox.do(method, context=self.tab, **params)

    async def _is_true(self, expression: str) -> bool:
        try:
            return bool(await self.ask(expression))
        except AssertionError:
            return False  # the page is just being left
