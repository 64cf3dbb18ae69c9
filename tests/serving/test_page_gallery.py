"""The page of a service with a gallery: a face gets a name, is known elsewhere, and is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page
from serving.conftest import Process, running
from serving.home import THRESHOLD, Home
from serving.pages import boxes, check_accessibility, drop, look, slide, wait_for_text

from s3fd.identity.sqlite_store import open_store
from s3fd.identity.store import Calibration
from s3fd.inference.runtime import open_runtime


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def url(home: Home) -> Iterator[str]:
    """A service with an empty gallery."""
    with running(open_runtime("slim", 1), gallery=home.served()) as url:
        yield url


def enrol(page: Page, name: str) -> None:
    """Fill the form of the chosen face."""
    page.fill("#name", name)
    page.check("#consent")
    page.click("#enrol button")


def captions(page: Page) -> list[str]:
    """What stands beside the boxes."""
    return page.locator("#overlay text").all_text_contents()


def test_a_face_is_enrolled_by_a_click_and_known_in_another_picture(
    url: str, visit: Callable[..., Page], home: Home, tmp_path: Path
) -> None:
    page = visit(url)
    slide(page, "likeness", THRESHOLD)
    drop(page, home.ada)
    page.wait_for_selector("#overlay .face")
    assert page.locator("#enrol").is_hidden()
    page.locator("#overlay .face .line").click()
    assert page.locator("#faces #enrol").is_visible()
    look(page, "enrol")
    enrol(page, "Ada")
    wait_for_text(page, "#status", "Ada is enrolled, with 1 picture.")
    assert page.locator("#enrol").is_hidden()
    wait_for_text(page, "#faces li > button", "Ada")
    assert page.inner_text("#people-count") == "1"
    drop(page, home.both)
    wait_for_text(page, "#count", "2 faces")
    names = [row.split("\n")[0] for row in page.locator("#faces li > button").all_inner_texts()]
    assert sorted(name == "Ada" for name in names) == [False, True]
    (named,) = [text for text in captions(page) if text.startswith("Ada ")]
    assert float(named.split()[1]) >= THRESHOLD
    assert page.inner_text("#detail").startswith("Ada · ")
    look(page, "known")
    with page.expect_download() as download:
        page.click("#save-json")
    download.value.save_as(tmp_path / "faces.json")
    told = [face["identity"] for face in json.loads((tmp_path / "faces.json").read_text())["faces"]]
    assert sorted(one["name"] for one in told) == ["Ada", "unknown"]
    assert all(one["threshold"] == THRESHOLD for one in told)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    slide(page, "likeness", 1)  # only the very pixels that were enrolled are as alike as that
    assert [text for text in captions(page) if text.startswith("Ada")] in ([], ["Ada 1.00"])
    slide(page, "likeness", 0.2)
    assert all(text.startswith("Ada") for text in captions(page))
    slide(page, "likeness", THRESHOLD)
    assert sum(text.startswith("Ada") for text in captions(page)) == 1
    assert requests == []  # what is known decides at once


def test_somebody_is_removed_and_unknown_again(url: str, visit: Callable[..., Page], home: Home) -> None:
    page = visit(url)
    slide(page, "likeness", THRESHOLD)
    drop(page, home.ada)
    page.locator("#faces li > button").click()
    enrol(page, "Ada")
    wait_for_text(page, "#faces li > button", "Ada")
    page.click("#people summary")
    page.get_by_role("button", name="Remove Ada").click()
    assert page.get_by_role("dialog", name="Remove Ada?").is_visible()
    check_accessibility(page)
    page.keyboard.press("Escape")
    assert page.locator("#people-list li").count() == 1
    page.get_by_role("button", name="Remove Ada").click()
    look(page, "remove")
    page.get_by_role("button", name="Remove", exact=True).click()
    wait_for_text(page, "#status", "Ada is removed.")
    page.locator("#faces li > button", has_text="unknown").wait_for()
    assert page.locator("#people-list li").count() == 0
    with closing(open_store(home.gallery)) as store:
        assert store.people() == {}


def test_the_keyboard_is_enough(url: str, visit: Callable[..., Page], home: Home) -> None:
    page = visit(url)
    slide(page, "likeness", THRESHOLD)
    drop(page, home.both)
    page.locator("#faces li > button").nth(1).wait_for()
    page.focus("#faces li:nth-child(2) > button")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Grace")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_text(page, "#faces li:nth-child(2) > button", "Grace")
    assert page.evaluate("document.activeElement.closest('li') === document.querySelectorAll('#faces li')[1]")
    page.focus("#people summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "keep"  # the harmless answer comes first
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_text(page, "#status", "Grace is removed.")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_what_is_refused_is_said_where_it_was_asked(url: str, visit: Callable[..., Page], home: Home) -> None:
    page = visit(url, expect="422")
    drop(page, home.ada)
    page.locator("#faces li > button").click()
    page.fill("#name", "Ada")
    page.click("#enrol button")  # without consent
    assert page.evaluate("document.activeElement.id") == "consent"
    page.check("#consent")
    page.fill("#name", "unknown")
    page.click("#enrol button")
    wait_for_text(page, "#refused", "'unknown' is reserved: it is the answer")
    assert page.locator("#enrol").is_visible()
    check_accessibility(page)
    look(page, "refused")
    with closing(open_store(home.gallery)) as store:
        assert store.people() == {}


def test_the_page_begins_with_the_gallerys_threshold(
    url: str, visit: Callable[..., Page], home: Home
) -> None:
    page = visit(url)
    wait_for_text(page, "#alike-note", "no threshold yet")
    assert page.inner_text("#likeness-out") == "1.000"
    with closing(open_store(home.gallery)) as store:
        store.calibrate(Calibration(identify=0.41234, verify=0.4, false_accepts=0.1, faces=10, vectors=1))
    page.reload()
    wait_for_text(page, "#likeness-out", "0.413")  # no lower than it is
    assert page.locator("#alike-note").is_hidden()


def test_a_face_of_the_camera_is_kept_as_a_picture_to_enrol(
    url: str, visit: Callable[..., Page], home: Home
) -> None:
    page = visit(url)
    page.click("#camera")
    page.wait_for_selector("#overlay .face")
    page.locator("#overlay .face .line").click()
    assert page.locator("#video").is_hidden()
    assert page.get_attribute("#picture", "alt") == "camera.jpg"
    enrol(page, "Ada")
    wait_for_text(page, "#status", "Ada is enrolled, with 1 picture.")
    with closing(open_store(home.gallery)) as store:
        assert store.people() == {"Ada": 1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it(
    url: str, visit: Callable[..., Page], home: Home, scheme: str, width: int
) -> None:
    page = visit(url, color_scheme=scheme, viewport={"width": width, "height": 844})
    slide(page, "likeness", THRESHOLD)
    drop(page, home.both)
    page.locator("#faces li > button").first.click()
    check_accessibility(page)
    look(page, f"gallery-form-{scheme}-{width}")
    enrol(page, "Ada Byron, Countess of Lovelace")
    wait_for_text(page, "#faces li > button", "Ada Byron")
    page.click("#people summary")
    page.get_by_role("button", name="Remove Ada").wait_for()
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    look(page, f"gallery-{scheme}-{width}")


def test_without_a_gallery_nothing_of_it_is_offered(
    service: Process, visit: Callable[..., Page], home: Home
) -> None:
    page = visit(service.url)
    drop(page, home.ada)
    page.locator("#faces li > button").click()
    assert boxes(page) == 1
    for part in ("#enrol", "#people", "#alike"):
        assert page.locator(part).is_hidden()
