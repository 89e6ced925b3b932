"""A result shows, saves and draws itself, and no record is in what it shows."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import vestige
from vestige import Predictions, Shadow, audit
from vestige.core.outputs import Logits

N = 4_000


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    member = np.arange(N) < N // 2
    z = rng.normal(size=(N, 3))
    labels = rng.integers(3, size=N)
    z[np.arange(N), labels] += 1 + 0.5 * member
    ids = [f"patient-{i}" for i in range(N)]
    given = Predictions(Logits(z), labels, member, ids=ids)
    return audit(given, adversary=Shadow(given), attacks=["loss", "entropy", "correctness"])


def test_its_short_form_says_the_answers_and_no_record(result):
    assert repr(result) == "<FinishedAudit: LEAK SHOWN, LIMITED, 3 attacks on 4,000 records>"
    assert len(repr([result])) < 100


def test_the_summary_is_the_result_table_in_short(result):
    found = result.summary()
    assert list(found.columns) == [
        "auc", "auc_lower", "auc_upper", "fpr", "tpr", "tpr_lower", "tpr_upper",
    ]  # fmt: skip
    assert set(found.index) == {"loss", "entropy", "correctness"}
    assert (found["fpr"] == 0.01).all()
    row = result.results.query(
        "attack == 'loss' and metric == 'tpr_at_fpr_0.01' and group == 'all' and threshold == 'roc'"
    )
    assert (
        found.loc["loss", ["tpr", "tpr_lower", "tpr_upper"]].tolist()
        == row[["value", "lower", "upper"]].iloc[0].tolist()
    )
    assert found["tpr"].is_monotonic_decreasing


def test_a_notebook_shows_answers_table_and_curves_and_no_record(result):
    html = result._repr_html_()
    assert "LEAK SHOWN" in html
    assert "patient-" not in html
    svg = re.search(r"<svg.*</svg>", html)
    assert svg
    assert len(ElementTree.fromstring(svg.group()).findall("polyline")) == 3
    assert len(html) < 30_000


def test_it_saves_the_run_that_an_audit_would_have_written(result, tmp_path):
    result.save(tmp_path / "run")
    stored = pd.read_parquet(tmp_path / "run" / "results.parquet")
    pd.testing.assert_frame_equal(stored, result.results, check_dtype=False)


def test_curves_are_drawn_on_given_axes(result):
    ax = Figure().add_subplot()
    assert result.plot_roc(ax) is ax
    assert {line.get_label() for line in ax.get_lines()} >= {"loss", "entropy", "correctness"}
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_the_package_tells_its_version():
    assert re.match(r"\d+\.\d+", vestige.__version__)
