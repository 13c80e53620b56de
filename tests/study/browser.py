"""A real Chromium without a window, driven by chromedriver in the W3C's WebDriver protocol.

The protocol is JSON over HTTP, so that nothing needs to be installed for Python.
"""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1280,900", "--force-device-scale-factor=1"),
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's key of an element's name
_KEYS = {"Enter": "\ue007", "Tab": "\ue004", "Right": "\ue014"}


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        _call("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return _call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        _call("POST", f"{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        _call("POST", f"{self._find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys to wherever the focus is."""
        actions = []
        for key in keys:
            value = _KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        _call("POST", f"{self._session}/actions", {"actions": [keyboard]})

    def wait(self, script: str, *, seconds: float = 30) -> Any:
        """What a script returns as soon as that is true."""
        end = time.monotonic() + seconds
        while not (found := self.run(f"return {script}")):
            text = self.run("return document.body.innerText")
            assert time.monotonic() < end, f"not within {seconds} s: {script}; on the page: {text}"
            time.sleep(0.05)
        return found

    def size(self, width: int, height: int) -> None:
        _call("POST", f"{self._session}/window/rect", {"width": width, "height": height})

    def picture(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(_call("GET", f"{self._session}/screenshot")))
        return path

    def _find(self, selector: str) -> str:
        query = {"using": "css selector", "value": selector}
        return (
            f"{self._session}/element/{_call('POST', f'{self._session}/element', query)[_ELEMENT]}"
        )


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; skips the test where none is installed."""
    binary = shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    with subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "successfully on port" in line)
            port = line.rstrip(".\n").rsplit(" ", 1)[1]
            options = {"binary": binary, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
            wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
            place = f"http://127.0.0.1:{port}/session"
            session = _call("POST", place, {"capabilities": wanted})["sessionId"]
            try:
                yield Browser(f"{place}/{session}")
            finally:
                _call("DELETE", f"{place}/{session}")
        finally:
            process.terminate()


def _call(method: str, url: str, content: dict[str, Any] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=60) as reply:
            return json.load(reply)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from error
