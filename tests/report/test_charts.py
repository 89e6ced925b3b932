import math
from dataclasses import replace

import pytest

from vestige.core.curves import RocBand
from vestige.report import charts
from vestige.report.rows import Rows

NAN = math.nan


def spec_values(chart):
    """All points that a chart's layers draw."""
    spec = chart.to_dict(validate=False)
    return [layer.get("data", {}).get("values", []) for layer in spec["layer"]]


def test_the_floor_is_where_the_bands_begin(rich, minimal):
    assert charts.resolution_floor(rich.rocs) == pytest.approx(10 / 3000, rel=0.03)
    assert charts.resolution_floor(minimal.rocs) == 1.0


def test_thinning_keeps_ends_and_never_flatters(rich):
    roc = rich.rocs[-1]
    drawn = charts._curve(roc, 0.001)
    assert len(drawn) <= charts.POINTS + 2
    assert (drawn[-1]["fpr"], drawn[-1]["tpr"]) == (1.0, 1.0)
    exact = dict(zip(roc.fpr, roc.tpr, strict=True))
    assert all(point["tpr"] == exact[point["fpr"]] for point in drawn[1:])


def test_points_left_of_the_axis_are_put_on_its_edge():
    roc = RocBand(
        attack="loss", fpr=(0.0, 1e-5, 0.5, 1.0), tpr=(0.1, 0.2, 0.6, 1.0), lower=(NAN,) * 4, upper=(NAN,) * 4
    )
    drawn = charts._curve(roc, 0.01)
    assert [(point["fpr"], point["tpr"]) for point in drawn] == [(0.01, 0.2), (0.5, 0.6), (1.0, 1.0)]


def test_the_headline_is_drawn_only_if_there_is_one(rich, minimal):
    with_dot = spec_values(charts.roc_chart(rich.rocs, ["loss"], rich.finding))
    without = spec_values(charts.roc_chart(rich.rocs, ["loss"], minimal.finding))
    assert len(with_dot) == len(without) + 2


def test_the_oracle_has_no_interval(rich):
    bounds, points = spec_values(charts.thresholds_chart(Rows(rich.results)))[1:3]
    assert {point["rule"] for point in points} - {point["rule"] for point in bounds} == {
        "Oracle, the best threshold on the target itself"
    }


def test_suppressed_groups_are_not_drawn(rich):
    rows = Rows(rich.results)
    drawn = spec_values(charts.groups_chart(rows, rows.groups, "loss"))[0]
    assert [point["group"] for point in drawn] == ["sex: f", "sex: m", "age: <30", "age: 30-60"]


def test_an_svg_is_static_and_escaped(rich):
    rows = Rows(rich.results)
    svg = charts.to_svg(charts.groups_chart(rows, rows.classes, "loss"), "class")
    assert svg.startswith("<svg ")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "cat &amp; dog" in svg


def test_hidden_parts_of_the_risk_are_gaps(rich):
    values = charts.risk_chart(rich.risk).to_dict(validate=False)["data"]["values"]
    assert values[0] == {"risk": 0.0, "share": None}
    nowhere = replace(rich.risk, cdf_members=(NAN,) * len(rich.risk.cdf_risk))
    assert charts.to_svg(charts.risk_chart(nowhere), "risk").startswith("<svg ")
