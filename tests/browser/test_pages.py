"""The pages in a browser, where Debian's `chromium` is (`make browser`)."""

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vestige
from vestige.auditing.runs.index import runs_in, write_index
from vestige.core.outputs import Logits

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    draw, n = np.random.default_rng(0), 1200
    labels, member = draw.integers(3, size=n), np.arange(n) % 2 == 0
    logits = draw.normal(size=(n, 3)) + (0.5 + 2 * member)[:, None] * np.eye(3)[labels]
    target = vestige.Predictions(
        Logits(logits), labels, member, groups={HOSTILE: draw.choice([HOSTILE, "b"], n)}, classes=("a", "b", HOSTILE)
    )
    vestige.audit(target, run=folder / "run", options=vestige.Options(name=HOSTILE))
    return {"report": folder / "run" / "report.html", "index": write_index(runs_in(folder), folder)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    assert chromium, "Expected chromium, found none: apt install chromium."
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(params=[1440, 390])
def opened(browser, request, pages) -> Any:
    """Open a page at a width, and keep what it says and asks for."""

    def opening(name: str) -> Any:
        page = browser.new_page(viewport={"width": request.param, "height": 900})
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(pages[name].as_uri())
        return page

    return opening


@pytest.mark.parametrize("name", ["report", "index"])
def test_it_is_quiet_loads_nothing_and_fits(opened, name, pages):
    page = opened(name)
    assert page.asked == [pages[name].as_uri()]
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.title() != "taken"
    assert page.locator("img").count() == 0


def test_folded_lists_unfold_and_contents_lead_somewhere(opened):
    page = opened("report")
    for details in page.locator("details").all():
        assert not details.evaluate("one => one.open")
        details.locator("summary").click()
        assert details.evaluate("one => one.open")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


def test_it_prints_whole(browser, pages, tmp_path):
    page = browser.new_page()
    page.goto(pages["report"].as_uri())
    page.emulate_media(media="print")
    shown = page.evaluate(
        "[...document.querySelectorAll('details > *')].every(one => one.getBoundingClientRect().height > 0)"
    )
    assert shown  # what is folded on a screen stands on paper
    assert len(page.pdf(format="A4")) > 50_000


@pytest.mark.parametrize("name", ["report", "index"])
def test_axe_finds_nothing_serious(opened, name):
    found = import_module("axe_playwright_python.sync_playwright").Axe().run(opened(name)).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"][:80] for node in one["nodes"]]) for one in serious] == []
