"""The studio's page in a real browser: open, drag, draw, play, scrub, export."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from synth.images import load_image

for package in ("fastapi", "uvicorn"):
    pytest.importorskip(package, reason="needs the extra studio")
api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def home():
    """Address of a studio in a process of its own."""
    command = [sys.executable, "-m", "synth.cli", "studio", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        line = process.stderr.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+", line)[0]
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, home):
    """Opens pages; afterwards none of them may have complained or asked elsewhere."""
    contexts, complaints, asked = [], [], []

    def opener(width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(home)
        page.wait_for_selector("body[data-ready]")
        return page

    opener.complaints = complaints
    yield opener
    for context in contexts:
        context.close()
    assert asked and not [url for url in asked if not url.startswith((home, "blob:" + home))]
    assert complaints == []


# ------------------------------------------------------------------------------ helpers
def count(page) -> int:
    return int(page.locator("#picture").get_attribute("data-shown") or 0)


def settled(page, before: int) -> str:
    """The picture shown after a change, when no newer one is on its way."""
    page.wait_for_selector("#picture[data-shown]")
    for _ in range(200):
        now = count(page)
        page.wait_for_timeout(80)
        if now > before and count(page) == now:
            break
    return pixels(page)


def pixels(page) -> str:
    return page.evaluate("() => document.querySelector('#picture').toDataURL()")


def open_sample(page, number=0) -> str:
    before = count(page)
    page.locator("#samples button").nth(number).click()
    return settled(page, before)


def place(page, valence: float, arousal: float) -> tuple[float, float]:
    box = page.locator("#pad svg").bounding_box()
    unit = box["width"] / 2.4
    return box["x"] + box["width"] / 2 + valence * unit, box["y"] + box[
        "height"
    ] / 2 - arousal * unit


def drag(page, points, pause=0) -> None:
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point))
        if pause:
            page.wait_for_timeout(pause)
    page.mouse.up()


def draw_path(page) -> None:
    page.get_by_role("radio", name="Path").check()
    page.locator("#fps").select_option("24")
    turn = [2 * math.pi * i / 16 for i in range(17)]
    drag(page, [(0.25 * math.sin(t), 0.25 - 0.25 * math.cos(t)) for t in turn], pause=20)
    expect(page.locator("#play")).to_be_enabled()


def values(page) -> tuple[float, float]:
    return tuple(float(page.locator(f"#{name}").input_value()) for name in ("valence", "arousal"))


def command(page) -> str:
    return page.locator("#command").inner_text()


def download(page, kind: str) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.locator(f"[data-export={kind}]").click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


# -------------------------------------------------------------------------------- tests
def test_the_face_follows_the_dot(visit):
    page = visit()
    neutral = open_sample(page)
    before = count(page)
    drag(page, [(0, 0), (0.4, 0.1), (0.8, 0.2)])
    smile = settled(page, before)
    assert smile != neutral
    assert values(page) == pytest.approx((0.8, 0.2), abs=0.011)
    assert "ms" in page.locator("#latency").inner_text()
    v, a = values(page)
    assert f"--va {v:g},{a:g} " in command(page)
    # Outside the disc the dot stops at its rim.
    drag(page, [(0.8, 0.2), (1.15, 1.15)])
    assert math.hypot(*values(page)) == pytest.approx(1, abs=0.02)
    assert math.hypot(*values(page)) <= 1


def test_keys_move_the_dot(visit):
    page = visit()
    neutral = open_sample(page, 1)
    pad = page.locator("#pad svg")
    pad.focus()
    before = count(page)
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert values(page) == pytest.approx((0.1, 0.06))
    assert pad.get_attribute("aria-valuetext").startswith("valence 0.10, arousal 0.06")
    assert settled(page, before) != neutral
    before = count(page)
    page.keyboard.press("Home")
    assert values(page) == (0, 0)
    assert settled(page, before) == neutral
    before = count(page)
    page.locator("#valence").fill("-0.7")
    page.keyboard.press("Enter")
    assert settled(page, before) != neutral
    assert values(page) == (-0.7, 0)


def test_uploads_good_and_bad(visit, samples):
    page = visit()
    with page.expect_file_chooser() as chooser:
        page.locator("#open").click()
    chooser.value.set_files(samples / "sample_3.jpg")
    first = settled(page, 0)
    assert "--input sample_3.jpg" in command(page)
    # A text with the name of a photo: said, and nothing changes.
    page.set_input_files(
        "#file", {"name": "note.jpg", "mimeType": "image/jpeg", "buffer": b"not a photo"}
    )
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("note.jpg: expected a whole JPEG")
    assert pixels(page) == first
    assert [text for text in visit.complaints if "422" not in text] == []
    visit.complaints.clear()
    # Too large: said without sending it.
    page.evaluate(
        """() => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(31e6)], 'large.jpg', {type: 'image/jpeg'}));
        dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }"""
    )
    expect(alert).to_contain_text("expected at most 30 MB, got 31 MB")
    assert pixels(page) == first
    # Another photo, dropped.
    before = count(page)
    page.evaluate(
        """async () => { const data = new DataTransfer();
        const blob = await (await fetch('/api/samples/sample_5.jpg')).blob();
        data.items.add(new File([blob], 'dropped.jpg', {type: 'image/jpeg'}));
        dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }"""
    )
    assert settled(page, before) != first
    assert "--input dropped.jpg" in command(page)


def test_expressions_styles_mesh_and_picture(visit, tmp_path):
    page = visit()
    neutral = open_sample(page, 4)
    before = count(page)
    page.get_by_role("button", name="surprise").click()
    surprise = settled(page, before)
    assert surprise != neutral
    assert "--expression surprise --intensity 1 " in command(page)
    before = count(page)
    page.locator("#intensity").fill("0.4")
    weaker = settled(page, before)
    assert weaker not in (surprise, neutral)
    before = count(page)
    page.locator("#style").fill("12")
    page.keyboard.press("Enter")
    person = settled(page, before)
    assert person != weaker
    assert "--intensity 0.4 --style 12 " in command(page)
    name, content = download(page, "picture")
    assert name == "sample_5_v+0.12_a+0.34_surprise_style12.png"
    assert load_image(content).pixels.shape == (768, 768, 3)
    page.locator("#original").click()
    assert settled(page, count(page) - 1) == neutral
    page.locator("#original").click()
    before = count(page)
    page.locator("#mean").click()
    assert settled(page, before) == weaker

    painted = """() => { const canvas = document.querySelector('#mesh');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let sum = 0; for (let i = 3; i < data.length; i += 4) sum += data[i] > 0; return sum; }"""
    assert page.evaluate(painted) == 0
    before = count(page)
    page.locator("#mesh-toggle").click()
    settled(page, before)
    assert page.evaluate(painted) > 5000
    page.locator("#mesh-toggle").click()
    assert page.evaluate(painted) == 0


def test_a_path_is_drawn_played_and_exported(visit):
    import av

    page = visit()
    neutral = open_sample(page, 2)
    draw_path(page)
    play, clock = page.locator("#play"), page.locator("#clock")
    expect(play).to_have_attribute("aria-label", "Pause")  # it plays by itself
    seen = set()
    for _ in range(6):
        seen.add(pixels(page))
        page.wait_for_timeout(150)
    assert len(seen) >= 3
    play.click()
    expect(play).to_have_attribute("aria-label", "Play")
    # Scrubbing shows each frame; the first is the photo, the path began at neutral.
    frames = int(page.locator("#scrub").get_attribute("max")) + 1
    expect(page.locator("#buffered")).to_have_attribute("style", "width: 100%;")
    shown = []
    for index in (0, frames // 2, frames - 1):
        before = count(page)
        page.locator("#scrub").fill(str(index))
        shown.append(settled(page, before))
        assert clock.inner_text().startswith(f"{index / 24:.2f} /")
    assert shown[0] == neutral and shown[1] != neutral
    # At the end it starts anew, and without Loop stops there.
    page.locator("#loop").click()
    play.click()
    expect(play).to_have_attribute("aria-label", "Pause")
    expect(play).to_have_attribute("aria-label", "Play", timeout=15_000)
    assert int(page.locator("#scrub").input_value()) == frames - 1

    line = command(page)
    assert "synth sequence" in line and "--path waypoints.csv" in line
    name, text = download(page, "waypoints")
    assert name == "waypoints.csv"
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert list(rows[0]) == ["t", "valence", "arousal"] and float(rows[0]["t"]) == 0
    assert max(float(row["arousal"]) for row in rows) == pytest.approx(0.5, abs=0.03)
    name, content = download(page, "video")
    assert name == "sample_3_waypoints.mp4"
    with av.open(io.BytesIO(content)) as video:
        assert sum(1 for _ in video.decode(video=0)) == frames
        assert video.streams.video[0].codec_context.pix_fmt == "yuv420p"
    name, content = download(page, "frames")
    assert name == "sample_3_waypoints.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        pictures = sorted(n for n in archive.namelist() if n.endswith(".png"))
        assert len(pictures) == frames
        assert archive.read("waypoints.csv") == text
        assert archive.read("command.txt").decode().strip() == line
        table = list(csv.DictReader(io.StringIO(archive.read("metadata.csv").decode())))
        assert [row["file_name"] for row in table] == pictures


def test_named_paths_and_their_timing(visit):
    page = visit()
    open_sample(page, 5)
    page.get_by_role("radio", name="Path").check()
    page.get_by_role("button", name="Circle").click()
    expect(page.get_by_text("Move the dot away from neutral first")).to_be_visible()
    page.locator("#pad svg").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="To dot and back").click()
    expect(page.locator("#command")).to_contain_text("--path onset-apex-offset:0.4,0 ")
    page.get_by_role("button", name="Circle").click()
    expect(page.locator("#command")).to_contain_text("--path circle:0.4 --fps 30 --video")
    page.locator("#timing").select_option("stretch")
    page.locator("#seconds").fill("6")
    page.keyboard.press("Enter")
    expect(page.locator("#command")).to_contain_text("--seconds 6")
    page.locator("#blinks").check()
    expect(page.locator("#command")).to_contain_text("--blinks")
    expect(page.locator("#path-hint")).to_contain_text("6.0 s")
    page.get_by_role("button", name="happiness").click()
    expect(page.locator("#command")).to_contain_text("--path happiness:1 ")
    page.get_by_role("radio", name="Point").check()
    expect(page.locator("#command")).to_contain_text("synth generate")


def test_a_phone_has_all_of_it(visit):
    page = visit(390, 844, has_touch=True, is_mobile=True)
    neutral = open_sample(page)
    before = count(page)
    page.touchscreen.tap(*place(page, 0.6, 0.3))
    assert settled(page, before) != neutral
    assert values(page) == pytest.approx((0.6, 0.3), abs=0.02)
    page.get_by_role("radio", name="Path").check()
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 390
    assert page.evaluate("() => getComputedStyle(document.querySelector('#pad svg')).touchAction") \
        == "none"  # fmt: skip
    for name in ("#play", "#original", "#open", "#expressions button"):
        box = page.locator(name).first.bounding_box()
        assert box["height"] >= 40, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_laptop_shows_it_without_scrolling(visit, scheme):
    page = visit(1280, 800, color_scheme=scheme)
    open_sample(page)
    for mode in ("Point", "Path"):
        page.get_by_role("radio", name=mode).check()
        size = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
        assert size[0] <= 1280 and size[1] <= 800, mode
    for button in page.locator("button:visible, input:visible, select:visible").all():
        name = button.evaluate(
            "e => e.getAttribute('aria-label') || e.innerText || e.closest('label')?.innerText"
        )
        assert name and name.strip(), button
