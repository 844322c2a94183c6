"""The pages in a real browser: what a visitor clicks, and that nothing is said on the console or asked of others."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, or a reason why there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("Playwright is not installed (pip install playwright)")
    if BROWSER is None:
        _without("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


def _without(reason: str) -> None:
    if os.environ.get("PBDB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"PBDB_REQUIRE_BROWSER is 1, but {reason}")
    pytest.skip(reason)


@contextmanager
def visited(chromium: Any, client: httpx.Client, **options: Any) -> Iterator[Any]:
    """A page; in the end nothing went wrong in it, and nobody but the site was asked."""
    context = chromium.new_context(
        base_url=str(client.base_url), **{"viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(PATIENCE_MS)
    page, faults, asked = context.new_page(), [], []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        yield page
        assert faults == []
        beyond = [url for url in asked if not url.startswith((str(client.base_url), "data:", "blob:"))]
        assert beyond == []
        assert asked
    finally:
        context.close()


def drawn(page: Any) -> None:
    page.locator("html[data-charts=drawn]").wait_for(state="attached")


def test_from_a_few_letters_to_a_compound(chromium: Any, client: httpx.Client) -> None:
    with visited(chromium, client) as page:
        page.goto("/")
        page.keyboard.press("/")
        page.keyboard.type("bortez")
        page.locator("#suggestions a").first.click()
        page.wait_for_url(re.compile("/compound/GXJABQQUPOEUTA-RDJZCZTQSA-N"))
        assert page.locator("h1").inner_text() == "bortezomib"
        drawn(page)
        assert page.locator("#volcano svg path").count() > 100
        assert page.evaluate("[...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth).length") == 0


def test_enter_on_an_exact_name_goes_there(chromium: Any, client: httpx.Client) -> None:
    with visited(chromium, client) as page:
        page.goto("/")
        page.locator(".large input[type=search]").fill("HMOX1")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/gene/ENSG00000100292"))
        assert "HMOX1 goes up in" in page.locator("h1").inner_text()
        drawn(page)


def test_a_dot_names_its_gene_and_a_click_opens_it(chromium: Any, client: httpx.Client) -> None:
    with visited(chromium, client) as page:
        page.goto("/compound/bortezomib")
        drawn(page)
        dot = page.locator("#volcano [aria-roledescription=circle]").last
        dot.scroll_into_view_if_needed()
        box = dot.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tooltip = page.locator("#vg-tooltip-element")
        tooltip.wait_for(state="visible")
        gene = re.search(r"gene\s+(\S+)", tooltip.inner_text())
        assert gene is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile("/gene/ENSG"))
        assert page.locator("h1").inner_text().startswith(gene[1])
        drawn(page)


def test_an_address_opens_what_was_seen(chromium: Any, client: httpx.Client) -> None:
    with visited(chromium, client) as page:
        page.goto("/compound/bortezomib")
        page.locator("tbody tr:not(.chosen) a").nth(2).click()
        page.wait_for_url(re.compile("effect="))
        address, heading = page.url, page.locator("#effect").inner_text()
        page.goto("/")
        page.goto(address)
        assert page.locator("#effect").inner_text() == heading
        assert page.locator("tr.chosen").count() == 1
        drawn(page)


def test_a_signature_is_pasted_and_its_compound_found(chromium: Any, client: httpx.Client) -> None:
    best = "effect.json?compound_name=bortezomib&is_default=true&_sort_desc=n_up&_size=1"
    effect = client.get(f"/api/v1/{best}").json()["rows"][0]["effect_id"]
    genes = client.get(f"/api/v1/condition_effect.json?effect_id={effect}&_sort_desc=t&_size=40").json()["rows"]
    with visited(chromium, client) as page:
        page.goto("/signature")
        page.locator("[name=up]").fill("\n".join(row["gene_symbol"] for row in genes) + "\nNOT_A_GENE")
        page.locator(".signature button").first.click()
        page.wait_for_url(re.compile(r"/signature\?up="))
        assert "NOT_A_GENE" in page.locator("main strong").inner_text()
        assert page.locator(".card b").first.inner_text() == "bortezomib"


def test_a_download_holds_what_is_shown(chromium: Any, client: httpx.Client, tmp_path: Path) -> None:
    with visited(chromium, client, accept_downloads=True) as page:
        page.goto("/gene/HMOX1")
        drawn(page)
        with page.expect_download() as waiting:
            page.locator("h2:has-text('In each data set') ~ .get a", has_text="CSV").click()
        waiting.value.save_as(tmp_path / "file.csv")
        rows = list(csv.DictReader((tmp_path / "file.csv").read_text().splitlines()))
        shown = page.locator("h2:has-text('In each data set') ~ .scroll tbody tr").count()
        assert len(rows) == shown > 4
        assert waiting.value.suggested_filename.startswith("gene_counts_ENSG00000100292")
        with page.expect_download() as waiting:
            page.locator("[data-save=strip][data-as=svg]").click()
        waiting.value.save_as(tmp_path / "figure.svg")
        assert "<svg" in (tmp_path / "figure.svg").read_text()[:200]


EVERY = [
    "/",
    "/search?q=in",
    "/compound/bortezomib",
    "/gene/HMOX1",
    "/agreement",
    "/signature",
    "/structure?smiles=CCO",
    "/heatmap?compounds=bortezomib%0Avorinostat&genes=HMOX1,MYC",
    "/dataset/screen_one",
    "/context/A549",
    "/api",
]


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}], ids=str)
def test_every_page_in_the_dark_and_on_a_phone(chromium: Any, client: httpx.Client, options: dict[str, Any]) -> None:
    match = client.get("/api/v1/matched_condition.json?compound_name=bortezomib&_size=1").json()["rows"][0]["match_id"]
    with visited(chromium, client, **options) as page:
        for address in [*EVERY, f"/match/{match}"]:
            page.goto(address)
            if page.locator("script[data-for]").count():
                drawn(page)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{address} is wider than the window by {wide} pixels"
            if "color_scheme" in options:
                assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 23, 29)"
