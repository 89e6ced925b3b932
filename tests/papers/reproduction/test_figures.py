"""A figure of a paper: its points in a table and as lines."""

import re

import pytest

from vestige.papers.reproduction.figures import picture_of, table_of
from vestige.papers.reproduction.pages import picture_place, write_pages
from vestige.papers.reproduction.row import Paper, Row, Scale
from vestige.papers.reproduction.running import result_of, stored

ROW = Row(
    paper=Paper.WATSON,
    item="figure9",
    data="mnist",
    title="a figure",
    trial=lambda records, scale, seed: {},
    published={"a @ 8": 0.5},
)


def points(*places):
    return [
        {"name": f"{name} @ {place}", "value": 0.1 * i + base} for name, base in (("a", 0.2), ("b", 0.5))
        for i, place in enumerate(places)
    ]  # fmt: skip


def test_lines_of_a_table_are_in_the_order_of_the_axis():
    shuffled = [points("16", "2", "8")[i] for i in (2, 0, 5, 4, 1, 3)]
    assert re.findall(r"\n\| (\w+) \|", table_of(shuffled)) == ["2", "8", "16"]
    assert "| 2 | 0.300 | 0.600 |" in table_of(points("16", "2", "8"))


def test_words_stay_in_the_order_of_the_trial():
    assert re.findall(r"\n\| (\w+) \|", table_of(points("none", "L2", "DP"))) == ["none", "L2", "DP"]


@pytest.mark.parametrize("places", [("1", "2", "8"), ("0", "4", "8"), ("none", "L2"), ("5",)])
def test_a_picture_has_a_mark_for_each_point(places):
    drawn = picture_of(ROW, points(*places))
    assert len(re.findall(r'aria-roledescription="point"|<path[^>]*transform="translate', drawn)) >= 2 * len(places)


def test_a_number_that_does_not_exist_is_not_drawn():
    assert "NaN" not in picture_of(ROW, [*points("1", "2"), {"name": "a @ 3", "value": float("nan")}])


def test_all_points_are_kept_although_few_are_published_and_the_page_shows_them(tmp_path):
    measured = {one["name"]: one["value"] for one in points("2", "4", "8")} | {"unnamed": 1.0}
    trials = [{"seed": seed, "seconds": 1.0, "measured": measured} for seed in range(2)]
    result = result_of(ROW, Scale.LAPTOP, "digest", trials)
    assert [one["name"] for one in result["numbers"]] == [one["name"] for one in points("2", "4", "8")]
    (tmp_path / "watson2022").mkdir()
    stored(result, tmp_path / ROW.place)
    (page,) = write_pages([Paper.WATSON], [ROW], tmp_path, tmp_path / "pages")
    assert f"]({picture_place(ROW)})" in page.read_text()
    assert (page.parent / picture_place(ROW)).read_text().startswith("<svg")


def test_many_lines_are_drawn_in_panels_by_the_end_of_their_names():
    names = [f"{what}, {model}" for what in ("risk", "share", "network") for model in ("none", "early", "late")]
    numbers = [{"name": f"{name} @ {place}", "value": 0.5} for name in names for place in (1, 2)]
    drawn = picture_of(ROW, numbers)
    for model in ("none", "early", "late"):
        assert len(re.findall(rf">{model}</text>", drawn)) == 1
    assert len(re.findall(r">risk, none</text>", drawn)) == 1  # one legend each
