"""The page in a real browser: what a reader sees, clicks, types and reaches by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.browser

_QUIET = (
    "--no-sandbox",  # test containers run as root, where the sandbox cannot start
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def view(browser: Browser, page: Path, troubles: list[str]) -> Iterator[Page]:
    """The page opened from its file; any console message, error or request to elsewhere fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: troubles.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    opened.on("request", lambda request: _own(request.url, page, troubles))
    opened.goto(page.as_uri())
    yield opened
    context.close()
    assert troubles == []


def _own(url: str, page: Path, troubles: list[str]) -> None:
    if not (url.startswith(("data:", page.as_uri()))):
        troubles.append(f"request: {url}")


def column(view: Page, number: int) -> list[str]:
    rows = view.locator(".board[data-kind=generation] tbody[data-family='vanilla AR'] tr:not(.group):visible")
    return rows.locator(f"td:nth-child({number})").all_inner_texts()


def test_the_page_opens_without_complaint_and_every_section_is_there(view: Page) -> None:
    titles = view.locator("h2:visible").all_inner_texts()
    assert titles == [
        "Leaderboard",
        "Scores against guidance",
        "Scores against the number of tokens",
        "Trade-offs",
        "Quality and cost",
        "Solvers",
        "Samples",
        "Training",
        "Left out",
    ]
    assert view.locator("svg .mark:visible").count() > 40
    assert view.locator("svg .band").count() > 4
    assert view.evaluate("document.querySelector('.picture img').naturalWidth") == 40


def test_columns_sort_in_both_directions_with_empty_cells_last(view: Page) -> None:
    header = view.locator(".board[data-kind=generation] thead th", has_text="FD").first
    place = 1 + header.evaluate("(cell) => [...cell.parentNode.children].indexOf(cell)")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    rising = [float(text.split()[0]) for text in column(view, place) if text]
    assert rising == sorted(rising)
    assert column(view, place)[-1] == "", "the reported row has no such score"
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in column(view, place) if text] == rising[::-1]
    assert column(view, place)[-1] == ""


def test_a_score_where_more_is_better_sorts_its_best_first(view: Page) -> None:
    header = view.locator(".board[data-kind=generation] thead th", has_text="precision")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"


def test_filters_leave_what_was_asked_for_and_count_it(view: Page) -> None:
    shown = view.locator("#shown")
    expect(shown).to_have_text("18 records")
    view.get_by_label("Search").fill("dar-tiny cfg 2.5")
    expect(shown).to_have_text("4 of 18 records")
    view.get_by_label("Search").fill("")
    view.get_by_label("Origin").select_option("reported")
    expect(shown).to_have_text("2 of 18 records")
    view.get_by_label("Group").select_option("diffusion")
    expect(shown).to_have_text("1 of 18 records")
    assert view.locator(".board tbody:visible").count() == 1


def test_a_click_on_a_model_shows_where_the_number_comes_from(view: Page) -> None:
    view.get_by_role("button", name="dar-tiny", exact=True).first.click()
    dialog = view.get_by_role("dialog")
    expect(dialog).to_be_visible()
    text = dialog.inner_text()
    for part in ("dar-tiny: generation, measured", "emoji64:train", "ab" * 32, "dar-bench eval gfid"):
        assert part in text
    view.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_points_are_reached_and_opened_by_keyboard(view: Page) -> None:
    point = view.locator("#guidance .mark[data-key]").first
    point.focus()
    assert "FD[efficientnet-lite0]" in (point.get_attribute("aria-label") or "")
    view.keyboard.press("Enter")
    expect(view.get_by_role("dialog")).to_be_visible()
    key = point.get_attribute("data-key")
    assert view.url.endswith(f"#record={key}")


def test_a_link_to_a_record_opens_it(view: Page, page: Path) -> None:
    key = view.locator(".board [data-key]").first.get_attribute("data-key")
    view.goto("about:blank")
    view.goto(f"{page.as_uri()}#record={key}")
    expect(view.get_by_role("dialog")).to_be_visible()


def test_texts_of_records_stay_texts(view: Page) -> None:
    view.get_by_role("button", name="A <system> & co", exact=True).click()
    expect(view.get_by_role("dialog")).to_contain_text("A <system> & co")
    assert view.locator("system").count() == 0


def test_narrow_screens_scroll_the_table_and_not_the_page(browser: Browser, page: Path) -> None:
    narrow = browser.new_page(viewport={"width": 390, "height": 800})
    narrow.goto(page.as_uri())
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    narrow.close()
