"""The pages in a browser, where Debian's `chromium` is (`make browser`)."""

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vestige
from vestige.auditing.runs.at_risk import members_at_risk
from vestige.auditing.runs.index import runs_in, write_index
from vestige.auditing.runs.opening import open_run
from vestige.auditing.runs.private import write_private
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
        Logits(logits),
        labels,
        member,
        groups={HOSTILE: draw.choice([HOSTILE, "b"], n)},
        classes=("a", "b", HOSTILE),
        ids=np.array([f"{HOSTILE}{i}" for i in range(n)]),
    )
    run = folder / "run"
    vestige.audit(
        target, run=run, options=vestige.Options(name=HOSTILE, purpose=HOSTILE, author='"}</style>' + HOSTILE)
    )
    return {
        "report": run / "report.html",
        "summary": run / "summary.html",
        "private": write_private(open_run(run), run),
        "index": write_index(runs_in(folder), folder),
    }


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
        scheme = "light" if request.param == 1440 else "dark"
        page = browser.new_page(viewport={"width": request.param, "height": 900}, color_scheme=scheme)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(pages[name].as_uri(), timeout=120_000)
        if name == "private":
            page.locator(".chart:not([data-drawn])").first.wait_for(state="detached", timeout=120_000)
        return page

    return opening


PAGES = ["report", "summary", "private", "index"]


@pytest.mark.parametrize("name", PAGES)
def test_it_is_quiet_loads_nothing_and_fits(opened, name, pages):
    page = opened(name)
    assert page.asked == [pages[name].as_uri()]
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.title() != "taken"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("name", ["report", "private"])
def test_folded_lists_unfold_and_contents_lead_somewhere(opened, name):
    page = opened(name)
    for details in page.locator("details").all():
        assert not details.evaluate("one => one.open")
        details.locator("summary").click()
        assert details.evaluate("one => one.open")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


@pytest.mark.parametrize("name", ["report", "private"])
def test_it_prints_whole(browser, pages, name):
    page = browser.new_page()
    page.goto(pages[name].as_uri(), timeout=120_000)
    page.emulate_media(media="print")
    shown = page.evaluate(
        "[...document.querySelectorAll('details > *')].every(one => one.getBoundingClientRect().height > 0)"
    )
    assert shown  # what is folded on a screen stands on paper
    assert len(page.pdf(format="A4")) > 50_000


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(opened, name):
    found = import_module("axe_playwright_python.sync_playwright").Axe().run(opened(name)).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"][:80] for node in one["nodes"]]) for one in serious] == []


def test_the_summary_prints_on_one_page(browser, pages):
    page = browser.new_page()
    page.goto(pages["summary"].as_uri())
    assert page.pdf(format="A4", prefer_css_page_size=True).count(b"/Type /Page\n") == 1


# ------------------------------------------------------------------------------------------------ the private page


def first_cells(page, column):
    return page.locator(f"#records tbody tr > :nth-child({column})").all_inner_texts()


def test_records_are_sorted_by_a_click(opened):
    page = opened("private")
    heads = page.locator("#records thead button").all_inner_texts()
    place = heads.index("Score") + 1
    button = page.locator(f"#records thead th:nth-child({place}) button")
    button.click()
    falling = [float(text) for text in first_cells(page, place)]
    assert falling == sorted(falling, reverse=True)
    button.click()
    rising = [float(text) for text in first_cells(page, place)]
    assert rising == sorted(rising)
    assert rising[0] < falling[-1]
    assert page.locator(f"#records thead th:nth-child({place})").get_attribute("aria-sort") == "ascending"


def test_a_table_of_groups_is_sorted_by_a_click(opened):
    page = opened("private")
    button = page.locator("#table-attacks thead th:nth-child(2) button")
    areas = "#table-attacks tbody td:nth-child(2)"
    button.click()
    falling = page.locator(areas).evaluate_all("cells => cells.map(cell => Number(cell.dataset.value))")
    assert falling == sorted(falling, reverse=True)


def test_records_are_filtered_and_more_are_shown(opened):
    page = opened("private")
    assert page.locator("#records tbody tr").count() == 20
    page.locator("#more").click()
    assert page.locator("#records tbody tr").count() == 220
    page.locator("#filter").fill(">1044")
    assert page.locator("#records tbody tr").count() == 1
    assert page.locator("#records tbody th").inner_text() == f"{HOSTILE}1044"
    assert "1 of 1 records" in page.locator("#count").inner_text()
    page.locator("#filter").fill("nobody has this id")
    assert page.locator("#records tbody tr").count() == 0


def test_the_slider_says_what_the_records_command_says_at_that_prior(opened, pages):
    page = opened("private")
    heads = page.locator("#records thead button").all_inner_texts()
    place = heads.index("Probability that it is right") + 1
    page.locator("#filter").fill(">1044")
    for power, prior in ((0, 0.5), (-2, 1 / 101)):
        page.locator("#prior").fill(str(power))
        line = members_at_risk(open_run(pages["private"].parent), prior=prior).set_index("record").loc[f"{HOSTILE}1044"]
        shown = [float(number) for number in first_cells(page, place)[0].replace("to", "").replace("%", "").split()]
        wanted = [100 * line[f"precision{end}"] for end in ("", "_lower", "_upper")]
        assert shown == pytest.approx(wanted, rel=0.06, abs=0.06)
    assert page.locator("#share").inner_text() == "0.99%"


def test_dark_and_light_change_by_a_click_and_back(opened):
    page = opened("private")

    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    before = paper()
    page.locator("#theme").click()
    assert paper() != before
    page.locator("#theme").click()
    assert paper() == before


def test_plots_and_data_are_downloaded(opened):
    page = opened("private")
    for selector, start in (
        ("[data-save=roc][data-kind=svg]", b"<svg"),
        ("[data-save=roc][data-kind=png]", b"\x89PNG"),
        ("#csv", b"record,label,"),
        ("[data-csv=table-attacks]", b"Attack,AUC"),
    ):
        with page.expect_download() as found:
            page.locator(selector).click()
        assert Path(found.value.path()).read_bytes().startswith(start)
    assert page.said == []


def test_a_mark_tells_its_numbers_under_the_pointer(opened):
    page = opened("private")
    mark = page.locator("#chart-class .mark-rect path").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    page.locator("#vg-tooltip-element.visible").wait_for(timeout=30_000)
