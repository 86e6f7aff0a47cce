"""A real Chromium for tests of the page, told what to do through a pipe: no driver, no port, no network.

Thread-safe: no. Each browser has a profile of its own in a temporary folder, and ends with its context.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.servers import unavailable

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_S = 60.0
"""Until an answer counts as missing: a machine under load is no failure."""


def program() -> str | None:
    """Return the path of a browser; None where none is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def require() -> str:
    """Return the path of a browser. Skips the test where there is none, and with CI=true fails it."""
    found = program()
    if found is None:
        unavailable("not installed: chromium; get it by: sudo apt-get install chromium")
    assert found is not None
    return found


class Page:
    """One page of a browser. ``errors`` has what its console and its scripts complained about, ``requests``
    the addresses that it asked for."""

    def __init__(self, browser: _Pipe, session: str) -> None:
        self._browser, self._session = browser, session

    @property
    def errors(self) -> list[str]:
        """Return the complaints so far."""
        return self._browser.errors

    @property
    def requests(self) -> list[str]:
        """Return the addresses so far."""
        return self._browser.requests

    def forget(self) -> None:
        """Forget complaints and addresses, for a test that shares the browser with others."""
        self._browser.errors.clear()
        self._browser.requests.clear()

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a command of the DevTools protocol, and return its answer."""
        return self._browser.tell(method, parameters, self._session)

    def open(self, path: Path, *, scripts: bool = True, width: int = 1400, height: int = 1000) -> None:
        """Open a file, with scripts or without, in a window of this size, and wait until it is there."""
        self.tell("Page.enable")
        self.tell("Runtime.enable")
        self.tell("Log.enable")
        self.tell("Network.enable")
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._browser.loaded = False
        self.tell("Page.navigate", url=path.resolve().as_uri())
        self._browser.read_until(lambda: self._browser.loaded)

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are waited for. Fails where it throws."""
        answer = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Send a key, such as ``Tab`` (9) or ``Enter`` (13, with the text ``\\r``)."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Insert text into what has the focus."""
        self.tell("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Push the button of the mouse in the middle of the first element that fits, scrolled into view."""
        spot = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getClientRects()[0];"
            " return [r.left + r.width / 2, r.top + r.height / 2]; })()"
        )
        at = {"x": spot[0], "y": spot[1], "button": "left", "clickCount": 1}
        self.tell("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.tell("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def picture(self) -> bytes:
        """Return a PNG of the whole page."""
        answer = self.tell("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        return base64.b64decode(answer["data"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start a browser without a window; ``folder`` takes its profile. Skips the test where there is none."""
    to_read, to_write = os.pipe(), os.pipe()
    argv = [
        require(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank",
    ]  # fmt: skip
    # Chromium reads commands from descriptor 3 and answers on descriptor 4.
    script = f'exec "$@" 3<&{to_read[0]} 4>&{to_write[1]}'
    with (
        (folder / "said.txt").open("wb") as said,
        subprocess.Popen(
            ["bash", "-c", script, "browser", *argv],
            pass_fds=(to_read[0], to_write[1]),
            stdout=said,
            stderr=said,
            env={**os.environ, "HOME": str(folder)},
        ) as process,
    ):
        os.close(to_read[0])
        os.close(to_write[1])
        pipe = _Pipe(to_write[0], to_read[1])
        try:
            target = pipe.tell("Target.createTarget", {"url": "about:blank"})["targetId"]
            attached = pipe.tell("Target.attachToTarget", {"targetId": target, "flatten": True})
            yield Page(pipe, attached["sessionId"])
        finally:
            with contextlib.suppress(OSError, AssertionError):
                pipe.tell("Browser.close", {})
            os.close(to_read[1])
            os.close(to_write[0])
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


class _Pipe:
    """The DevTools protocol: JSON that ends with a NUL byte, both ways."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._left = b""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.loaded = False

    def tell(self, method: str, parameters: dict[str, Any], session: str = "") -> dict[str, Any]:
        """Send a command, and return its answer. Fails where the browser refuses it."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        self.read_until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def read_until(self, done: Any) -> None:
        """Read what comes until this is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._reading], [], [], max(left, 0))
            assert ready, "the browser did not answer"
            data = os.read(self._reading, 1 << 16)
            assert data, "the browser has ended"
            *whole, self._left = (self._left + data).split(b"\0")
            for message in whole:
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        parameters = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self.loaded = True
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.errors.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.errors.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
