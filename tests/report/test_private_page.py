"""The private page: its numbers are those of `records`, hostile names stay text, and nothing of it is in the others."""

import html
import json
import re
import stat

import numpy as np
import pandas as pd
import pytest

import vestige
from vestige.auditing.runs.at_risk import members_at_risk
from vestige.auditing.runs.opening import open_run, write_page_anew
from vestige.auditing.runs.private import pictures_of, with_labels, write_private
from vestige.core.errors import InputError
from vestige.core.outputs import Logits
from vestige.report.comparison_page import defences_compared
from vestige.report.private_page import MOST, private_page

HOSTILE = "</script><script>document.title='taken'</script><!--"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    draw, n = np.random.default_rng(0), 600
    labels, member = draw.integers(2, size=n), np.arange(n) % 2 == 0
    logits = draw.normal(size=(n, 2)) + (0.5 + 2 * member)[:, None] * np.eye(2)[labels]
    target = vestige.Predictions(
        Logits(logits),
        labels,
        member,
        ids=np.array([f"patient-{HOSTILE}-{i}" for i in range(n)]),
        groups={"ward": draw.choice(["north", "south"], n)},
        classes=("a", HOSTILE),
    )
    vestige.audit(target, attacks=("loss", "correctness"), run=folder, options=vestige.Options(name=HOSTILE))
    return folder


@pytest.fixture(scope="module")
def page(run):
    return write_private(open_run(run), run).read_text()


def between(pattern, page):
    found = re.search(pattern, page, re.DOTALL)
    assert found is not None
    return found[1]


def data_of(page):
    return json.loads(between(r'id="data">(.*?)</script>', page))


def test_it_is_readable_by_its_owner_alone(run, page):
    assert stat.S_IMODE((run / "private.html").stat().st_mode) == 0o600
    assert "private.html" not in json.loads((run / "manifest.json").read_text())["files"]


def test_its_numbers_are_those_of_the_records_command(run, page):
    expected = members_at_risk(open_run(run))
    told = data_of(page)["members"]
    found = pd.DataFrame(told["rows"], columns=told["columns"])
    assert found["record"].tolist() == expected["record"].tolist()
    for name in expected.columns[1:]:
        assert found[name].to_numpy() == pytest.approx(expected[name].to_numpy(), rel=1e-5)


def test_another_prior_follows_from_the_numbers_at_one_half(run):
    """What the slider computes: odds of the prior times the odds at one half, for the value and for both bounds."""
    half, tenth = (members_at_risk(open_run(run), prior=prior) for prior in (0.5, 0.1))
    for name in ("precision", "precision_lower", "precision_upper"):
        with np.errstate(divide="ignore"):
            slid = 1 / (1 + 9 * (1 / half[name].to_numpy() - 1))
        assert slid == pytest.approx(tenth[name].to_numpy(), rel=1e-9)


def test_labels_and_groups_stand_with_their_records(run):
    opened = open_run(run)
    told = with_labels(members_at_risk(opened), opened.records).set_index("record")
    records = opened.records.set_index("id")
    for name in ("label", "ward"):
        assert told[name].astype(str).tolist() == records.loc[told.index, name].astype(str).tolist()


def test_hostile_names_stay_text(page):
    assert len(re.findall(r"<script", page.replace("\\u003cscript", ""))) == 3 + page.count('"<script')
    assert "<script>document.title" not in page
    before, _, _ = page.partition('<script type="application/json"')
    assert HOSTILE not in before


def test_its_policy_allows_its_own_scripts_alone(page):
    policy = html.unescape(between(r'Content-Security-Policy" content="([^"]*)"', page))
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src ('sha256-[\w+/=]{44}' ?){2};", policy)
    assert "http:" not in policy
    assert 'src="http' not in page


def test_the_pages_for_release_hold_no_record_and_no_script(run, page):
    write_page_anew(open_run(run), run)
    for name in ("report.html", "summary.html", "report.json", "results.csv"):
        text = (run / name).read_text()
        assert "patient-" not in text
        assert name.endswith((".json", ".csv")) or "<script" not in text.lower()


def test_what_was_asked_is_shown_line_by_line(run, page):
    shown = html.unescape(between(r"<pre>\n(.*?)</pre>", page)).splitlines()
    assert [line for line in shown if HOSTILE not in line] == [
        line for line in (run / "audit.toml").read_text().splitlines() if HOSTILE not in line
    ]
    assert len(shown) > 10


def test_many_records_are_cut_and_it_is_said(run):
    opened = open_run(run)
    few = members_at_risk(opened)
    many = pd.concat([few] * 10, ignore_index=True).assign(record=lambda t: np.arange(len(t)).astype(str))
    text = private_page(opened, many.sort_values("score", ascending=False, ignore_index=True))
    assert len(data_of(text)["members"]["rows"]) == MOST
    assert f"The {MOST:,} most at risk of {len(many):,} members" in text
    assert len(text) < 3_000_000


def test_members_of_equal_score_are_named_together(run):
    opened = open_run(run)
    curve = data_of(private_page(opened, members_at_risk(opened, attack="correctness")))["curve"]
    right = opened.records.query("member and correctness == 1")
    assert curve[0][0] == len(right)
    assert curve[-1][0] == opened.records.member.sum()


def test_pictures_are_those_of_a_folder_that_is_still_there(tmp_path):
    image = pytest.importorskip("PIL.Image")
    run, inside = tmp_path / "run", tmp_path / "train" / "cat"
    inside.mkdir(parents=True)
    run.mkdir()
    image.new("RGB", (200, 100), "red").save(inside / "1.png")
    (inside / "2.png").write_text("no image")
    image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    (run / "audit.toml").write_text('[data]\nmembers = "../train"\n')
    found = pictures_of(run, ["train/cat/1.png", "train/cat/2.png", "train/cat/3.png", "train/../other.png", "7"])
    assert list(found) == ["train/cat/1.png"]
    assert found["train/cat/1.png"][:2] == b"\xff\xd8"
    (run / "audit.toml").write_text('[target]\nfile = "a.csv"\n')
    assert pictures_of(run, ["train/cat/1.png"]) == {}


def test_a_table_that_is_no_comparison_is_refused(tmp_path):
    assert defences_compared(tmp_path) == []
    (tmp_path / "comparison.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="comparison of defences"):
        defences_compared(tmp_path)


def test_a_comparison_is_read_with_what_helps_first(tmp_path):
    columns = {
        "adversary": "adaptive", "attack": "lira_online", "metric": "tpr_at_fpr_0.01", "records_lower": np.nan,
        "records_upper": np.nan, "difference_records_lower": np.nan, "difference_records_upper": np.nan,
        "training_accuracy": 0.9, "n_models": 8,
    }  # fmt: skip
    rows = [
        {"defence": "none", "value": 0.07, "lower": 0.06, "upper": 0.08, "difference": 0.0, "test_accuracy": 0.83},
        {"defence": "l2", "value": 0.02, "lower": 0.01, "upper": 0.03, "difference": 0.05, "test_accuracy": 0.81},
    ]
    ends = {"difference_lower": 0.04, "difference_upper": 0.06}
    pd.DataFrame([{**columns, **row, **ends} for row in rows]).to_csv(tmp_path / "comparison.csv", index=False)
    found = defences_compared(tmp_path)
    assert [one[0] for one in found] == ["l2", "no defence"]
    assert found[0][1].startswith("2.0% [1.0%, 3.0%] of the members")
    assert found[0][2:] == ("+5.0% [+4.0%, +6.0%]", "0.810")
