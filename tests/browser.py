"""A page in headless Chromium, spoken to over a pipe by the DevTools protocol."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_LOOK = """
(() => {
  const wide = document.documentElement.clientWidth;
  const seen = e => e.checkVisibility();
  return {
    overflow: document.documentElement.scrollWidth - wide,
    outside: [...document.querySelectorAll("body *")]
      .filter(e => seen(e) && !e.closest(".scroll > *") && !e.closest("svg > *"))
      .filter(e => e.getBoundingClientRect().right > wide + 1)
      .map(e => e.outerHTML.slice(0, 120)),
    empty: [...document.querySelectorAll("figure")].filter(seen)
      .filter(e => !e.querySelector("svg[role=img], table"))
      .map(e => e.outerHTML.slice(0, 120)),
    plots: [...document.querySelectorAll("svg[role=img]")].filter(seen).map(e => {
      const box = e.getBoundingClientRect();
      const drawn = e.querySelectorAll("path, use").length;
      return {label: e.getAttribute("aria-label"), width: box.width, height: box.height, drawn};
    }),
    ids: [...document.querySelectorAll("[id]")].map(e => e.id)
      .filter((id, i, all) => all.indexOf(id) !== i),
    nowhere: [...document.querySelectorAll("a[href^='#']")]
      .map(e => e.getAttribute("href")).filter(to => !document.getElementById(to.slice(1))),
    colours: (style => [style.color, style.backgroundColor])(getComputedStyle(document.body)),
  };
})()
"""


class Page:
    """What one tab of the browser shows, and what it complained of."""

    def __init__(self, to_browser: Any, from_browser: Any):
        self._to, self._from, self._sent, self._session = to_browser, from_browser, 0, None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        found = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def look(
        self, path: Path, width: int, scheme: str, picture: Path | None = None
    ) -> dict[str, Any]:
        """Opens a file, `width` px wide, in the colours of `scheme`; says what is wrong with it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=media)
        self._call("Page.navigate", url=path.absolute().as_uri())
        self._until("Page.loadEventFired")
        found = self._call("Runtime.evaluate", expression=_LOOK, returnByValue=True)
        if picture:
            shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
            picture.write_bytes(base64.b64decode(shot["data"]))
        return found["result"]["value"]

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._next()).get("id") != self._sent:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _until(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser ended")
            data += byte
        message = json.loads(data)
        method, params = message.get("method", ""), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return message


@contextlib.contextmanager
def page(profile: Path) -> Iterator[Page]:
    """A browser with one tab; `profile` is an empty folder."""
    ours, theirs = os.pipe(), os.pipe()
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
        "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    # The browser reads from descriptor 3 and writes to 4.
    script = f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command],
        pass_fds=(ours[0], theirs[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        with os.fdopen(ours[1], "wb") as to_browser, os.fdopen(theirs[0], "rb") as from_browser:
            yield Page(to_browser, from_browser)
    finally:
        process.terminate()
        process.wait(timeout=20)
