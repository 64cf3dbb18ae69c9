"""What tests of the page share: a browser, and what a visitor does with it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import cv2
import numpy as np
from conftest import missing
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]

SCREENSHOTS = os.environ.get("S3FD_SCREENSHOTS")
"""A folder for pictures of the page, to be looked at; none without it."""


def film(path: Path, picture: NDArray[np.uint8]) -> Path:
    """Write a video (YUV4MPEG2) of a picture (H, W, 3) BGR with even sides, for Chromium's camera to show."""
    height, width = picture.shape[:2]
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    header = f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(header.encode() + b"FRAME\n" + planes.tobytes())
    return path


@contextmanager
def chromium(camera: Path) -> Iterator[Browser]:
    """Chromium as installed on this machine, whose camera shows a file; each page has an empty profile."""
    if CHROMIUM is None:
        missing("Chromium is not installed (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        )
        yield launched
        launched.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address; whatever the console says is an error, except what a test expects."""
    pages: list[Page] = []
    said: list[str] = []

    def opened(url: str, *, expect: str | None = None, **options: Any) -> Page:
        page = browser.new_page(**options)
        page.set_default_timeout(120_000)  # a busy machine is no failure
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        if expect is not None:
            page.on("close", lambda _: said.__setitem__(slice(None), [s for s in said if expect not in s]))
        return page

    yield opened
    for page in pages:
        page.close()
    assert said == []


def drop(page: Page, *files: Path) -> None:
    """Drop files on the page, as from a folder."""
    events = "(data) => [new DragEvent('dragover', data), new DragEvent('drop', data)]"
    _give(page, files, events, "dataTransfer")


def paste(page: Page, *files: Path) -> None:
    """Paste files into the page, as a browser does with what was copied."""
    _give(page, files, "(data) => [new ClipboardEvent('paste', data)]", "clipboardData")


def _give(page: Page, files: Sequence[Path], events: str, member: str) -> None:
    """Send the page's body events whose `member` has the files."""
    contents = [(f.name, base64.b64encode(f.read_bytes()).decode()) for f in files]
    page.evaluate(
        """([contents, member]) => {
          const data = new DataTransfer();
          for (const [name, text] of contents) {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const type = name.endsWith(".png") ? "image/png" : "image/jpeg";
            data.items.add(new File([bytes], name, { type }));
          }
          const events = EVENTS({ bubbles: true, cancelable: true, [member]: data });
          for (const event of events) document.body.dispatchEvent(event);
        }""".replace("EVENTS", f"({events})"),
        [contents, member],
    )


def boxes(page: Page) -> int:
    return page.locator("#overlay .face").count()


def wait_for_text(page: Page, selector: str, text: str) -> None:
    """Wait until an element has a text; not by a script, which the page's policy would refuse."""
    page.locator(selector, has_text=text).wait_for()


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f"#{name}").fill(str(value))


def look(page: Page, name: str) -> None:
    """Keep a picture of the page, if they are wanted."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def check_accessibility(page: Page) -> None:
    """Fail on what axe-core finds serious or critical."""
    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    # Evaluated by the driver: the page's own policy would refuse a script element.
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert found["passes"]
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious] == []
