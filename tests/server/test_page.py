"""The page at `/`, in a real browser whose sound goes nowhere, at the pace of real time."""

from __future__ import annotations

import io
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.harness import PATIENCE
from tests.server.serving import Server, serving, spoken
from tts_cli.server.web_page import FILES, FOLDER

TEXT = "It rains. It pours."
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with a memory of its own, whose scripts report no error."""
    errors: list[Any] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108  Playwright marks its handlers
        yield page
        assert not errors


def number(page: Page, name: str) -> float:
    """A number that the page shows, as exact as it knows it."""
    return float(page.locator(f"#{name}").evaluate("shown => shown.value"))


def settled(page: Page, name: str) -> float:
    """A number of the page that ten reports of the player in a row have not changed."""
    handle = page.wait_for_function(
        """name => {
            const shown = document.getElementById(name), seen = (window.seen ??= {value: null, times: 0});
            seen.times = shown.value === seen.value ? seen.times + 1 : 0;
            seen.value = shown.value;
            return seen.times >= 10 && {value: shown.value};
        }""",
        arg=name,
        polling=50,
    )
    return float(handle.evaluate("found => found.value"))


def wait_for_end(page: Page) -> None:
    """Until everything was played, or the utterance was stopped."""
    expect(page.locator("#stop")).to_be_disabled()


def downloaded(page: Page, folder: Path) -> Any:
    """The samples of the file that the page offers."""
    with page.expect_download() as started:
        page.click("#download")
    started.value.save_as(folder / "speech.wav")
    return soundfile.read(folder / "speech.wav", dtype="int16")[0]


def test_every_sample_that_is_sent_is_played_and_can_be_downloaded(page: Page, builtin: Server, tmp_path: Path) -> None:
    page.goto(builtin.url)
    page.fill("#text", TEXT)
    page.fill("#chunk", "5")
    page.select_option("#voice", "heart")
    page.click("#speak")
    expect(page.locator("#sentence")).to_have_text("It rains.")
    expect(page.locator("#sentence")).to_have_text("It pours.")
    wait_for_end(page)
    expected = spoken(TEXT, chunk=5)
    assert number(page, "heard") == number(page, "received") == len(expected)
    assert 0 < number(page, "first") < 1000 * PATIENCE
    assert number(page, "rtf") > 0
    assert number(page, "buffer") == 0
    np.testing.assert_array_equal(downloaded(page, tmp_path), expected)
    drawn = page.locator("#wave").evaluate(
        "wave => wave.getContext('2d').getImageData(0, 0, wave.width, wave.height).data.some(value => value)"
    )
    assert drawn


def test_it_works_by_keyboard_alone(page: Page, tone: Server) -> None:
    page.goto(tone.url)
    expect(page.locator("#speak")).to_be_enabled()
    keys = page.keyboard
    keys.press("Control+A")  # the text has the focus
    keys.insert_text("One two three four. Five six seven eight. " * 20)  # sounds until it is stopped
    keys.press("Control+Enter")
    expect(page.locator("#pause")).to_be_enabled()
    for name in ("voice", "chunk", "speed", "speak", "pause"):
        keys.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    keys.press("Space")
    expect(page.locator("#pause")).to_have_text("Resume")
    keys.press("Enter")
    expect(page.locator("#pause")).to_have_text("Pause")
    keys.press("Escape")
    wait_for_end(page)
    expect(page.locator("#message")).to_have_text("Stopped")


def test_the_speed_is_chosen_by_keys_and_heard(page: Page, tone: Server) -> None:
    page.goto(tone.url)
    expect(page.locator("#pace")).to_have_text("1.00")
    page.fill("#text", "It rains.")
    received = []
    for pace in ("1.00", "2.00", "0.50"):
        page.focus("#speed")
        page.keyboard.press({"1.00": "Shift", "2.00": "End", "0.50": "Home"}[pace])
        expect(page.locator("#pace")).to_have_text(pace)
        page.click("#speak")
        wait_for_end(page)
        received.append(number(page, "received"))
        assert number(page, "heard") == received[-1]
    assert received == [15_600, 7_800, 31_200]


def test_sound_that_came_before_the_player_was_open_is_heard(page: Page, tone: Server) -> None:
    page.add_init_script(
        """const add = AudioWorklet.prototype.addModule;
        AudioWorklet.prototype.addModule = async function (...given) {
            await new Promise(resolve => { window.openPlayer = resolve; });
            return add.apply(this, given);
        };"""
    )
    page.goto(tone.url)
    page.fill("#text", "It rains.")
    page.click("#speak")
    expect(page.locator("#received")).to_have_text("0.65 s")
    expect(page.locator("#message")).to_have_text("")  # nothing more comes
    page.evaluate("openPlayer()")
    wait_for_end(page)
    assert number(page, "heard") == number(page, "received") == 15_600


def test_a_browser_that_cannot_play_says_so_and_ends(page: Page, tone: Server) -> None:
    page.add_init_script("delete window.AudioContext")
    page.goto(tone.url)
    page.fill("#text", "It rains.")
    page.click("#speak")
    expect(page.locator("#received")).to_have_text("0.65 s")
    wait_for_end(page)
    expect(page.locator("#message")).to_contain_text("Download works.")
    expect(page.locator("#download")).to_be_enabled()


def test_a_pause_keeps_the_place_and_a_skip_goes_to_the_next_sentence(page: Page, tone: Server) -> None:
    page.goto(tone.url)
    first, second = f"{'And so on and on, ' * 8}without an end to it.", "Bye."  # long enough to click in
    page.fill("#text", f"{first} {second}")
    page.click("#speak")
    expect(page.locator("#sentence")).to_have_text(first)
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Resume")
    place = settled(page, "heard")
    page.click("#skip")
    page.click("#pause")
    expect(page.locator("#sentence")).to_have_text(second)
    wait_for_end(page)
    assert place < number(page, "heard") < number(page, "received")
    assert number(page, "gaps") == 0


def test_a_skip_of_what_was_not_sent_is_the_servers(page: Page, slow: Server) -> None:
    page.goto(slow.url)
    page.fill("#text", "And so on and on, and no end to it. " * 2)
    page.click("#speak")
    expect(page.locator("#heard")).not_to_have_text(re.compile("–|^0.00"))
    page.click("#skip")
    slow.wait_for_log(r"70 characters, sent 2\.")  # of two sentences of more than 2 s
    wait_for_end(page)


def test_gaps_are_counted(page: Page) -> None:
    with serving(engine="tests.sample_engines:StallingEngine") as server:
        page.goto(server.url)
        page.fill("#text", "It rains, and it pours, and so on and on.")
        page.click("#speak")
        wait_for_end(page)
        assert number(page, "gaps") >= 1
        assert number(page, "heard") == number(page, "received")


def test_an_error_is_told(page: Page, tone: Server) -> None:
    page.goto(tone.url)
    for text, words in (("This is bad.", "was bad"), ("...", "nothing to speak")):
        page.fill("#text", text)
        page.click("#speak")
        expect(page.locator("#message")).to_contain_text(words)


def test_it_asks_once_for_the_token(page: Page) -> None:
    with serving("--host", "0.0.0.0", TTS_SERVER_KEY="correct/horse?") as server:
        page.goto(server.url)
        for given in ("wrong", "correct/horse?"):
            expect(page.locator("#ask")).to_be_visible()
            page.fill("#token", given)
            page.keyboard.press("Enter")
        expect(page.locator("#speak")).to_be_enabled()
        page.reload()
        expect(page.locator("#speak")).to_be_enabled()
        page.click("#speak")
        expect(page.locator("#heard")).not_to_have_text("–")
        assert "horse" not in server.log.read_text()


def test_its_files_name_no_other_host_and_no_script_within(tone: Server) -> None:
    assert {name for name, _ in FILES.values()} == {path.name for path in FOLDER.iterdir()}
    for path in FILES:
        with urllib.request.urlopen(f"{tone.url}{path}", timeout=PATIENCE) as response:
            policy = response.headers["content-security-policy"]
            text = io.TextIOWrapper(response).read()
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert not re.search(r"https?://|style=|\son\w+=|<script>", text)
