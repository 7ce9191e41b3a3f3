"""The explorer in a real browser."""

import shutil
import threading

import polars as pl
import pytest
from tests.report.conftest import TITLES
from tests.serve.conftest import source_of
from tests.serve.shop import write_shop

from sidkit.serve.http import ServerSettings, create_app

pytest.importorskip("playwright")
pytest.importorskip("uvicorn")

import uvicorn
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def address(shop, tmp_path_factory):
    """A running server whose items have hostile titles, with another model."""
    other = write_shop(tmp_path_factory.mktemp("other"), seed=7) / "model"
    path = tmp_path_factory.mktemp("hostile") / "items.parquet"
    items = pl.read_parquet(shop / "items.parquet")
    titles = [*TITLES, *(f"item number {n}" for n in range(len(items)))][: len(items)]
    items.with_columns(title=pl.Series(titles, dtype=pl.String)).write_parquet(path)
    app = create_app(ServerSettings(source=source_of(shop, items=path, compare=other), access_log=False))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    started = threading.Event()
    startup = server.startup

    async def signalled(*arguments, **options):
        await startup(*arguments, **options)
        started.set()

    server.startup = signalled
    thread.start()
    started.wait()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A page that has loaded; the test fails if it logs, fails, or asks another server."""
    wrong = []
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(120_000)
    # Chromium itself reports answers to invalid requests.
    page.on("console", lambda message: "status of 422" in message.text or wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    ours = (address, "data:")
    page.on("request", lambda request: request.url.startswith(ours) or wrong.append(request.url))
    page.goto(address)
    expect(page.locator("#results li")).to_have_count(10)
    expect(page.locator("#list li")).to_have_count(10)
    yield page
    assert not page.evaluate("window.hacked || document.querySelector('main script, main img, main svg')")
    context.close()
    assert not wrong


expect.set_options(timeout=120_000)


def test_search_and_pages(page):
    expect(page.locator("#found")).to_have_text("24 items")
    page.click("#result-pages button:has-text('Next')")
    expect(page.locator("#result-pages")).to_contain_text("11–20 of 24")
    page.keyboard.press("/")
    page.keyboard.type("NUMBER 1")
    expect(page.locator("#found")).to_have_text("5 items")


def test_titles_are_text(page):
    for place, title in enumerate((TITLES[1], TITLES[3], TITLES[6])):
        page.fill("#query", title)
        expect(page.locator("#results li button.link")).to_have_text([title])
        page.click("#results li button.link")
        expect(page.locator("#item-title")).to_have_text(title)
        page.click("#item > button")
        expect(page.locator("#history li button.link").nth(place)).to_have_text(title)


def test_the_page_fits_a_small_screen(page):
    page.click("#results li button.link")
    expect(page.locator("#item table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(17, 20, 24)"


def test_the_tree_is_walked_to_an_item(page, client):
    expect(page.locator("#children li")).to_have_count(min(10, client.get("/prefixes").json()["children"]))
    for level in range(3):
        page.locator("#children li button.link").first.click()
        expect(page.locator("#path button")).to_have_count(level + 2)
    expect(page.locator("#path button[aria-current=true]")).to_have_count(1)
    page.locator("#children li button.link").first.click()
    expect(page.locator("#item table")).to_be_visible()
    page.click("#path button:has-text('all')")
    expect(page.locator("#path")).to_contain_text("24 items")


def test_a_history_by_keyboard(page, client):
    page.focus("#results li:nth-child(4) button[aria-label]")
    page.keyboard.press("Enter")
    expect(page.locator("#history li")).to_have_count(1)
    expected = client.post("/recommend", json={"histories": [[103]]}).json()["results"][0]["items"]
    lists = page.locator("#list li .score")
    expect(lists).to_have_count(len(expected))
    expect(page.locator("#list li").first).to_contain_text(f"score {expected[0]['score']:.3f}")
    expect(page.locator("#list li .detail").nth(1)).to_contain_text("similar to")
    page.keyboard.press("Tab")
    page.focus("#history li button[aria-label]")
    page.keyboard.press("Enter")
    expect(page.locator("#history li")).to_have_count(0)
    expect(page.locator("#effect")).to_have_text("The most popular items:")


def test_the_effect_of_a_rule(page):
    page.fill("#where", "price < 9")
    expect(page.locator("#effect")).to_contain_text("The rule replaces")
    expect(page.locator("#list li")).to_have_count(6)
    page.fill("#where", "prise < 9")
    expect(page.locator("#error")).to_contain_text("unknown column")
    page.fill("#where", "")
    expect(page.locator("#error")).to_be_hidden()
    page.select_option("#rule", "attribute_cap")
    page.select_option("#column", "brand")
    expect(page.locator("#effect")).to_contain_text("The rule replaces")


def test_two_models(page, client):
    page.focus("#results li:nth-child(4) button[aria-label]")
    page.keyboard.press("Enter")
    expect(page.locator("#history li")).to_have_count(1)
    page.select_option("#scoring", "exact")
    page.select_option("#compare", "exact")
    expect(page.locator("#effect")).to_contain_text("The other model has")
    first = client.post("/recommend", json={"histories": [[103]], "scoring": "exact"}).json()["results"][0][
        "items"
    ][0]
    expect(page.locator("#list li").first).to_contain_text(f"score {first['score']:.3f}")
    page.select_option("#compare", "")
    expect(page.locator("#effect")).to_have_text("")
