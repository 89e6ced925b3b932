"""The pictures of risk and its causes: what is drawn of what is known."""

import numpy as np
import pandas as pd

from vestige.report.risk_causes_page import class_chart, plane_chart, risk_causes_page, sensitivity_chart


def classes() -> pd.DataFrame:
    table = pd.DataFrame({"class": ["a", "b", "c"], "n_members": [30, 1200, 0], "n_nonmembers": [30, 20, 9]})
    return table.assign(
        training_accuracy=[1, 0.9, np.nan], test_accuracy=[0.5, 0.8, 0.4],
        generalisation_error=[0.5, 0.1, np.nan], mean_risk=[0.8, 0.6, np.nan],
    )  # fmt: skip


def values(chart) -> list[list[dict]]:
    spec = chart.to_dict(validate=False)
    parts = spec.get("layer") or spec.get("hconcat") or [spec]
    return [part["data"]["values"] for part in parts]


def test_a_class_without_a_side_is_in_the_table_alone():
    [points] = values(class_chart(classes()))
    assert points == [{"error": 0.5, "risk": 0.8, "n": 30}, {"error": 0.1, "risk": 0.6, "n": 1200}]
    page = risk_causes_page(["One <b>sentence</b>."], {"classes": classes()}, whole=False)
    assert "One &lt;b&gt;sentence&lt;/b&gt;." in page
    assert "<td>1,200</td>" in page
    assert "<td>0.500</td>" in page
    assert '<tr><th scope="row">c</th><td>0</td><td>9</td><td></td><td>0.400</td><td></td><td></td></tr>' in page


def test_quartiles_are_of_tenths_with_enough_records():
    risk = np.array([0.11, 0.12, 0.13, 0.14, 0.95, 1.0, 1.0, 1.0, 0.5])
    table = pd.DataFrame({"risk": risk, "sensitivity": [0.0, 1, 2, 3, 4, 4, 4, 8, 9]})
    every, quartiles, mean, _ = values(sensitivity_chart(table))
    assert len(every) == 9
    assert [point["mean"] for point in quartiles] == [1.5, 5.0]
    assert (quartiles[0]["low"], quartiles[0]["high"]) == (0.75, 2.25)
    assert mean == quartiles


def test_training_and_test_records_stand_beside_each_other_on_one_scale():
    table = pd.DataFrame(
        {
            "class": ["b", "b", "a", "a"],
            "at": ["lowest", "lowest", "highest", "highest"],
            "member": [True, False] * 2,
            "x": [0.0, 1.0, 2.0, 3.0],
            "y": [0.0, 1.0, 2.0, 3.0],
        }
    )
    chart = plane_chart(table)
    assert [[point["x"] for point in panel] for panel in values(chart)] == [[0.0, 2.0], [1.0, 3.0]]
    panels = chart.to_dict(validate=False)["hconcat"]
    assert panels[0]["encoding"]["x"]["scale"] == panels[1]["encoding"]["x"]["scale"]
    assert panels[0]["encoding"]["color"]["scale"]["domain"] == ["b (lowest)", "a (highest)"]
