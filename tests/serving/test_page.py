"""The page in a browser: what a visitor does, and what is then there to see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route
from serving.conftest import Process, running
from serving.pages import boxes, check_accessibility, drop, look, paste, slide, wait_for_text

from s3fd.inference.runtime import open_runtime
from s3fd.serving.app import PAGE
from s3fd.serving.settings import Limits


@pytest.fixture
def crowd(example: Path, tmp_path: Path) -> Path:
    """A picture of nine faces, each smaller than the one before."""
    canvas = Image.new("RGB", (1400, 1000), "grey")
    with Image.open(example) as image:
        portrait = image.crop((100, 0, 350, 270))
    for i in range(9):
        side = 300 - 25 * i
        canvas.paste(portrait.resize((side, side)), (40 + i % 3 * 460, 20 + i // 3 * 330))
    canvas.save(tmp_path / "crowd.png")
    return tmp_path / "crowd.png"


def test_a_picture_is_dropped_and_the_sliders_act_at_once(
    service: Process, visit: Callable[..., Page], crowd: Path
) -> None:
    answer = httpx.post(
        f"{service.url}/v1/detect",
        content=crowd.read_bytes(),
        headers={"Content-Type": "image/png"},
        params={"attributes": "gender", "min_score": 0.1},
        trust_env=False,
    )
    faces = answer.json()["pictures"][0]["faces"]
    usual = [face for face in faces if face["score"] > 0.5]
    assert len(usual) >= 8
    page = visit(service.url)
    requests: list[str] = []
    drop(page, crowd)
    page.wait_for_selector("#overlay .face")
    page.on("request", lambda request: requests.append(request.url))
    assert boxes(page) == len(usual) == page.locator("#faces li").count()
    assert page.inner_text("#count") == f"{len(usual)} faces"
    middle = sorted(face["score"] for face in usual)[len(usual) // 2]
    threshold = round(middle, 2)
    slide(page, "score", threshold)
    assert boxes(page) == sum(face["score"] > threshold for face in faces) < len(usual)
    slide(page, "score", 0.1)
    assert boxes(page) == len(faces)
    slide(page, "probability", 0.99)
    opened = sum(face["gender_probability"] < 0.99 for face in faces)
    assert page.locator("#overlay .face.open").count() == opened > 0
    assert requests == []
    look(page, "crowd")


def test_a_picture_that_is_dropped_early_waits_for_what_can_be_told(
    service: Process, visit: Callable[..., Page], example: Path
) -> None:
    page = visit(service.url)
    page.route("**/v1/model", lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.reload(wait_until="commit")
    page.wait_for_load_state("domcontentloaded")
    drop(page, example)
    page.wait_for_selector("#overlay .face")
    assert page.locator("#overlay .face.open").count() == 0


def test_boxes_stay_on_the_faces_at_any_zoom(
    service: Process, visit: Callable[..., Page], example: Path
) -> None:
    page = visit(service.url)
    drop(page, example)
    page.wait_for_selector("#overlay .face")
    shares = []
    for _ in range(3):
        picture = page.locator("#picture").bounding_box()
        box = page.locator("#overlay .face .line").bounding_box()
        assert picture is not None
        assert box is not None
        centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        shares.append((centre[0] - picture["x"]) / picture["width"])
        shares.append((centre[1] - picture["y"]) / picture["height"])
        page.keyboard.press("Tab")
        page.focus("#viewport")
        page.keyboard.press("+")
    assert picture["width"] > 512
    assert shares[::2] == pytest.approx([225.5 / 512] * 3, abs=0.01)
    assert shares[1::2] == pytest.approx([118.5 / 512] * 3, abs=0.01)


def test_a_face_is_chosen_in_the_list_or_in_the_picture(
    service: Process, visit: Callable[..., Page], crowd: Path
) -> None:
    page = visit(service.url)
    drop(page, crowd)
    page.wait_for_selector("#overlay .face")
    page.select_option("#order", "place")
    page.focus("#faces button")
    page.keyboard.press("Enter")
    assert page.locator("#overlay .chosen").count() == 1
    chosen = page.locator('#faces [aria-pressed="true"]')
    assert page.evaluate("document.activeElement.ariaPressed") == "true"
    page.locator("#overlay .face:not(.chosen) .line").last.click()
    assert chosen.count() == page.locator("#overlay .chosen").count() == 1


def test_downloads_are_the_record_and_the_picture(
    service: Process, visit: Callable[..., Page], example: Path, tmp_path: Path
) -> None:
    page = visit(service.url)
    drop(page, example)
    page.wait_for_selector("#overlay .face")
    with page.expect_download() as download:
        page.click("#save-json")
    assert download.value.suggested_filename == "astronaut.json"
    download.value.save_as(tmp_path / "faces.json")
    answer = httpx.post(
        f"{service.url}/v1/detect?attributes=gender",
        files={"files": ("astronaut.jpg", example.read_bytes())},
        trust_env=False,
    )
    record = answer.json()["pictures"][0]
    assert json.loads((tmp_path / "faces.json").read_text()) == record
    with page.expect_download() as download:
        page.click("#save-picture")
    download.value.save_as(tmp_path / "faces.png")
    with Image.open(example) as before, Image.open(tmp_path / "faces.png") as after:
        assert after.size == before.size
        edge = (225, round(record["faces"][0]["box"][1]))
        assert _distance(after.convert("RGB").getpixel(edge), (232, 163, 23)) < 60
        assert _distance(after.convert("RGB").getpixel((20, 480)), before.getpixel((20, 480))) < 30


def _distance(one: Any, other: Any) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def test_pictures_are_pasted(
    service: Process, visit: Callable[..., Page], example: Path, crowd: Path, tmp_path: Path
) -> None:
    page = visit(service.url)
    paste(page, example)
    wait_for_text(page, "#count", "1 face")
    assert page.get_attribute("#picture", "alt") == "astronaut.jpg"
    paste(page, crowd, example)
    wait_for_text(page, "#strip button:nth-child(3) span", "1")
    assert page.get_attribute("#picture", "alt") == "crowd.png"
    (tmp_path / "words.txt").write_text("no picture")
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text/plain", "words");
          document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData: data }));
        }"""
    )
    assert page.locator("#strip button").count() == 3
    assert page.locator("#problem").is_hidden()  # words are for the fields of the page


def test_the_clipboard_itself_is_pasted(
    service: Process, browser: Browser, visit: Callable[..., Page]
) -> None:
    page = visit(service.url, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 64;
          canvas.getContext("2d").fillRect(0, 0, 64, 64);
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
          await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }"""
    )
    page.keyboard.press("Control+V")
    wait_for_text(page, "#count", "No faces")
    assert page.get_attribute("#picture", "alt") == "image.png"


def test_several_pictures_and_one_that_is_none(
    service: Process, visit: Callable[..., Page], example: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    page = visit(service.url, expect="415")
    drop(page, example, tmp_path / "broken.jpg")
    wait_for_text(page, "#strip button:nth-child(2) span", "!")
    page.click("#strip button:nth-child(2)")
    assert "known format" in page.inner_text("#problem")
    assert boxes(page) == 0
    page.click("#strip button:nth-child(1)")
    assert page.inner_text("#count") == "1 face"


def test_what_is_no_picture_among_pictures_is_named(
    service: Process, visit: Callable[..., Page], example: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("no picture")
    page = visit(service.url)
    page.set_input_files("#file", [example, tmp_path / "words.txt"])
    wait_for_text(page, "#count", "1 face")
    assert "words.txt" in page.inner_text("#problem")
    slide(page, "score", 0.3)
    assert page.locator("#problem").is_visible()
    page.set_input_files("#file", [example])
    page.wait_for_selector("#problem", state="hidden")


def test_the_focus_stays_on_the_picture_that_was_opened(
    service: Process, visit: Callable[..., Page], example: Path, crowd: Path
) -> None:
    page = visit(service.url)
    drop(page, example, crowd)
    page.wait_for_selector("#strip button:nth-child(2):not([aria-label*='Looking'])")
    page.focus("#strip button:nth-child(2)")
    page.keyboard.press("Enter")
    wait_for_text(page, "#status", page.inner_text("#count"))
    assert page.get_attribute("#picture", "alt") == "crowd.png"
    assert page.evaluate("document.activeElement.ariaCurrent") == "true"
    slide(page, "score", 0.3)
    label = page.get_attribute("#strip button:nth-child(2)", "aria-label")
    assert label == f"crowd.png: {page.inner_text('#count')}"


def test_any_attribute_of_the_model_is_counted_under_its_own_name(
    service: Process, visit: Callable[..., Page], example: Path
) -> None:
    page = visit(service.url)
    card = httpx.get(f"{service.url}/v1/model", trust_env=False).json()
    classes = ["none", "sun", "reading"]
    page.route("**/v1/model", lambda route: route.fulfill(json=card | {"attributes": {"glasses": classes}}))
    told = [("sun", 0.4), ("sun", 0.9), ("none", 0.6)]
    faces = [
        {"box": [50 + 150 * i, 50, 150 + 150 * i, 150], "score": 0.9, "glasses": name}
        | {"glasses_probability": probability}
        for i, (name, probability) in enumerate(told)
    ]
    answer = {"pictures": [{"path": "", "width": 512, "height": 512, "faces": faces}]}
    page.route("**/v1/detect?*attributes=glasses*", lambda route: route.fulfill(json=answer))
    page.reload()
    drop(page, example)
    wait_for_text(page, "#count", "3 faces")
    assert page.inner_text("#detail") == "1 none · 2 sun"
    assert page.get_by_role("slider", name="Minimum glasses probability").input_value() == "0.33"
    slide(page, "probability", 0.5)
    assert page.inner_text("#detail") == "1 none · 1 sun · 1 open"
    assert page.locator("#gender-note").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it(
    service: Process, visit: Callable[..., Page], example: Path, scheme: str, width: int
) -> None:
    page = visit(service.url, color_scheme=scheme, viewport={"width": width, "height": 844})
    check_accessibility(page)
    look(page, f"empty-{scheme}-{width}")
    drop(page, example, example)
    page.wait_for_selector("#overlay .face")
    wait_for_text(page, "#strip button:nth-child(2) span", "1")
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    look(page, f"face-{scheme}-{width}")


def test_the_theme_is_kept(service: Process, visit: Callable[..., Page]) -> None:
    page = visit(service.url, color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-label") == "Colours: dark"
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_a_camera_that_is_asked_for_twice_is_opened_once(
    service: Process, visit: Callable[..., Page]
) -> None:
    """A second one would stay on when the camera is stopped."""
    page = visit(service.url)
    page.evaluate("""() => {
        const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
        window.tracks = [];
        devices.getUserMedia = async (options) => {
            const stream = await open(options);
            window.tracks.push(...stream.getTracks());
            return stream;
        };
        document.getElementById("camera").click();
        document.getElementById("camera").click();
    }""")
    wait_for_text(page, "#count", "1 face")
    page.click("#camera")
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]


def test_the_camera_is_looked_at_until_it_is_stopped(service: Process, visit: Callable[..., Page]) -> None:
    page = visit(service.url)
    page.click("#camera")
    wait_for_text(page, "#count", "1 face")  # what Chromium's camera shows
    assert page.locator("#video").is_visible()
    face = page.evaluate("document.querySelector('#overlay .line').getBoundingClientRect().toJSON()")
    video = page.evaluate("document.querySelector('#video').getBoundingClientRect().toJSON()")
    assert (face["x"] + face["width"] / 2 - video["x"]) / video["width"] == pytest.approx(0.44, abs=0.02)
    page.click("#camera")
    assert page.locator("#welcome").is_visible()
    assert page.evaluate("document.getElementById('video').srcObject.active") is False


def test_an_api_key_is_asked_for_and_used(visit: Callable[..., Page], example: Path) -> None:
    key = "a-key-of-sixteen-characters"
    with running(open_runtime("slim", 1), Limits(), key=key) as url:
        page = visit(url, expect="401")
        page.fill("#key", key)
        page.press("#key", "Enter")
        page.wait_for_selector("#login", state="hidden")
        drop(page, example)
        page.wait_for_selector("#overlay .face")
        page.close()


@pytest.mark.parametrize(
    "wrong", ["not-the-key-of-the-service", "a\u2013key\u2013of\u2013sixteen\u2013characters"]
)
def test_whoever_gives_a_wrong_key_is_told_so_and_may_try_again(
    visit: Callable[..., Page], example: Path, wrong: str
) -> None:
    """Also with dashes that no header can carry, as some programs make of hyphens."""
    key = "a-key-of-sixteen-characters"
    with running(open_runtime("slim", 1), Limits(), key=key) as url:
        page = visit(url, expect="401")
        page.fill("#key", wrong)
        page.press("#key", "Enter")
        wait_for_text(page, "#problem", "This is not the service's API key.")
        assert page.evaluate("document.activeElement.id") == "key"
        drop(page, example)
        wait_for_text(page, "#count", "Not processed")
        page.reload()
        wait_for_text(page, "#problem", "This is not the service's API key.")
        page.fill("#key", f" {key}")
        page.press("#key", "Enter")
        page.wait_for_selector("#login", state="hidden")
        assert page.locator("#problem").is_hidden()
        drop(page, example)
        page.wait_for_selector("#overlay .face")
        page.close()


def test_an_answer_that_comes_after_a_later_one_is_not_shown(
    service: Process, visit: Callable[..., Page], example: Path
) -> None:
    page = visit(service.url)
    drop(page, example)
    wait_for_text(page, "#count", "1 face")
    held: list[Route] = []
    page.route("**/v1/detect?size=auto*", lambda route: held.append(route))
    page.select_option("#size", "auto")
    wait_for_text(page, "#count", "Looking for faces")
    page.select_option("#size", "vga")
    wait_for_text(page, "#count", "1 face")
    assert len(held) == 1
    with page.expect_response("**/v1/detect?size=auto*"):
        held[0].fulfill(json={"pictures": [{"path": "", "width": 512, "height": 512, "faces": []}]})
    page.wait_for_timeout(100)
    assert page.inner_text("#count") == "1 face"
    page.unroute("**/v1/detect?size=auto*")


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", ""), file.name
