"""The report in a headless Chromium: sorting, filtering, the keyboard, both themes, phones and wide screens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tests.pipeline.conftest import Measured

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium on PATH (apt-get install chromium)"
)

NAME = """<b>"it's"</b> & co"""


@pytest.fixture(scope="module")
def address(measured: Measured, emoji: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the measured world and of scored images with a name that HTML could trip over."""
    root = tmp_path_factory.mktemp("browser")
    world = measured.world.copy(root / "world")
    shutil.copytree(emoji, root / NAME)
    world.score(root / NAME, "--suite", "tiny").ok()
    world.report(root / "html", "tiny").ok()
    return (root / "html" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, in CI without fail."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "CI has to have a Chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, address: str, *, width: int = 1440, scheme: str = "light") -> Iterator[Page]:
    """The page, without a network; fails for anything that the console or the network complains of."""
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        offline=True,
    )
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert complaints == []


def column(page: Page, heading: str) -> list[str]:
    """The texts of a column in the order shown."""
    headings = page.locator("#board thead th").all_inner_texts()
    place = next(i for i, text in enumerate(headings) if text.startswith(heading))
    rows = page.locator("#board tbody tr:visible").all()
    return [row.locator("th, td").nth(place).inner_text() for row in rows]


def button(page: Page, heading: str) -> Locator:
    return page.locator("#board thead button", has_text=heading).first


def numbers(texts: list[str]) -> list[float]:
    return [float(text.partition(" ")[0]) for text in texts]


def test_headings_sort_the_best_on_top_then_the_other_way(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        for heading, best_first in (("FD (effnet-lite0) ↓", sorted), ("Precision", lambda v: sorted(v, reverse=True))):
            before = numbers(column(page, heading))
            button(page, heading).click()
            assert numbers(column(page, heading)) == best_first(before)
            button(page, heading).click()
            assert numbers(column(page, heading)) == best_first(before)[::-1]
        sorted_by = page.locator("#board thead th[aria-sort]")
        assert sorted_by.count() == 1
        assert sorted_by.get_attribute("aria-sort") == "ascending"


def test_empty_cells_are_last_whichever_way(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        button(page, "NFE").click()
        ascending = column(page, "NFE")
        button(page, "NFE").click()
        descending = column(page, "NFE")
    assert ascending[-1] == descending[-1] == "", "scored images have no cost"
    assert ascending[:-1] == descending[:-1][::-1] != []


def test_the_filter_wants_every_word(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        page.get_by_label("Filter rows").fill("ODE tiny")
        assert sorted(column(page, "run")) == ["tiny@ode2", "tiny@ode3-cfg2"]
        assert page.get_by_role("status").inner_text() == "2 of 4"
        page.get_by_label("Filter rows").fill("<b>")
        (name,) = column(page, "run")
        assert name.endswith(NAME)
        page.get_by_label("Filter rows").fill("")
        assert len(column(page, "run")) == 4


def test_the_keyboard_reaches_everything(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.tagName + '#' + document.activeElement.id"))
            if reached[-1] == "BUTTON#":
                break
        assert reached[:2] == ["A#", "INPUT#filter"]
        assert "DIV#" in reached, "the table can be scrolled by keys"
        page.keyboard.press("Enter")
        assert page.locator("#board thead th").first.get_attribute("aria-sort") == "ascending"
        assert column(page, "rank") == sorted(column(page, "rank"))
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert "FROM leaderboard" in page.locator("pre").first.inner_text()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_picture_is_there_and_nothing_is_wider_than_the_screen(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    with opened(browser, address, width=width, scheme=scheme) as page:
        pictures = page.locator("img").all()
        assert len(pictures) > 50
        assert all(picture.evaluate("image => image.complete && image.naturalWidth > 0") for picture in pictures)
        drawn = {
            Path(picture.evaluate("image => image.currentSrc")).stem for picture in page.locator(".card img").all()
        }
        assert drawn
        assert all(name.endswith(f"-{scheme}") for name in drawn)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(
            "[...document.querySelectorAll('p, li, th, td, span, summary')]"
            ".map(element => parseFloat(getComputedStyle(element).fontSize))"
        )
        assert min(sizes) >= 12
        assert {contrast > 4.5 for contrast in contrasts(page)} == {True}


def contrasts(page: Page) -> list[float]:
    """WCAG 2 contrast of every text with what is behind it."""
    found: list[float] = page.evaluate("""() => {
        const channels = colour => colour.match(/[\\d.]+/g).map(Number);
        const luminance = colour => channels(colour).slice(0, 3)
            .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = element => {
            for (let at = element; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (channels(colour)[3] !== 0) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        return [...document.querySelectorAll("h1, h2, p, li, dt, dd, th, td, a, summary, label, footer, td span")]
            .filter(element => element.textContent.trim())
            .map(element => {
                const [low, high] = [luminance(getComputedStyle(element).color), luminance(behind(element))]
                    .sort((a, b) => a - b);
                return (high + 0.05) / (low + 0.05);
            });
    }""")
    return found


def test_without_script_the_table_is_complete(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#board tbody tr").count() == 4
    assert not page.get_by_label("Filter rows").is_visible()
    context.close()
