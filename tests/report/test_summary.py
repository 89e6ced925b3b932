"""The one-page summary: plain words, natural frequencies, nothing of records, and all of it on one page."""

import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from vestige.core.result import Check, FindingState, Preflight, Validity
from vestige.report import wording
from vestige.report.rows import Rows
from vestige.report.summary import _drawn, _wrapped, summary_of, write_pdf, write_summary

HOSTILE = "<img src=x onerror=alert(1)>"


def words_of(result, defences=()):
    return {section.title: " ".join(section.words) for section in summary_of(result, defences)}


def with_finding(result, **changes):
    return replace(result, finding=replace(result.finding, **changes))


def valid(result):
    return replace(result, preflight=Preflight((Check("sizes", Validity.VALID, "Enough."),)))


def test_a_leak_is_told_in_people_of_a_hundred_beside_guessing(rich):
    leak = {"state": FindingState.LEAK_SHOWN, "fpr": 0.01, "tpr": 0.08, "tpr_lb": 0.078, "tpr_ub": 0.11}
    said = words_of(valid(with_finding(rich, **leak)))["May it be released?"]
    assert "Of 100 people whose data trained the model, the strongest attack finds about 8 (between 8 and 11)" in said
    assert "wrongly naming at most 1 of 100 others. Somebody who guesses finds 1 of 100." in said
    assert "Do not release it as it is" in said


def test_lower_rates_are_told_of_a_larger_crowd(rich):
    said = words_of(valid(with_finding(rich, fpr=0.001, tpr=0.02, tpr_lb=0.01, tpr_ub=0.03)))["May it be released?"]
    assert "Of 1,000 people" in said
    assert "about 20 (between 10 and 30)" in said


def test_a_leak_without_a_rate_is_told_in_pairs(rich):
    said = words_of(valid(with_finding(rich, fpr=math.nan, tpr=math.nan, tpr_lb=math.nan, tpr_ub=math.nan)))
    assert "Shown one person whose data trained the model" in said["May it be released?"]
    assert "Somebody who guesses is right in 50 of 100." in said["May it be released?"]


def test_no_leak_is_an_upper_bound_and_no_clearance(rich):
    found = {"state": FindingState.NO_LEAK_SHOWN, "fpr": 0.01, "tpr": 0.012, "tpr_lb": 0.002, "tpr_ub": 0.028}
    said = words_of(valid(with_finding(rich, **found)))["May it be released?"]
    assert "at most about 3, wrongly naming at most 1 of 100" in said
    assert "not a clearance" in said


def test_undecided_says_how_many_records_would_decide(rich):
    said = words_of(valid(with_finding(rich, state=FindingState.UNDECIDED, n_needed=4200)))
    assert "no reason for a release and none against it" in said["May it be released?"]
    assert "4,200 members and as many nonmembers" in said["What to do now"]


def test_a_confounded_test_gives_no_number_and_its_cure(rich):
    check = Check("blind_labels", Validity.CONFOUNDED, "Labels alone tell.", "Draw both sides alike.")
    said = words_of(replace(rich, preflight=Preflight((check,))))
    assert "Labels alone tell." in said["May it be released?"]
    assert "Of 100" not in said["May it be released?"]
    assert said["What to do now"] == "Draw both sides alike."


def test_a_limited_test_limits_what_it_says_of_a_release(rich):
    check = Check("blind_labels", Validity.LIMITED, "Labels tell a little.", "Draw both sides alike.")
    said = words_of(replace(rich, preflight=Preflight((check,))))
    assert "As far as this limited test goes, do not release it as it is" in said["May it be released?"]
    assert said["What to do now"].startswith("Draw both sides alike.")


def test_a_compared_defence_is_named_with_its_price(rich):
    defences = [
        ("l2", "2.0% [1.0%, 3.0%] of the members at 1% false positives", "+5.0%", "0.810"),
        ("no defence", "7.0% [6.0%, 8.0%] of the members at 1% false positives", "–", "0.830"),
    ]
    leak = valid(with_finding(rich, state=FindingState.LEAK_SHOWN))
    said = words_of(leak, defences)["What to do now"]
    assert "l2: 2.0% [1.0%, 3.0%]" in said
    assert "test accuracy 0.810" in said
    assert "no defence: 7.0%" in said
    assert "vestige compare-defences" in words_of(leak)["What to do now"]


def test_groups_that_are_easier_to_find_are_named(rich):
    rows = Rows(rich.results)
    leader, group = rows.leading(rich.finding), rows.groups[0]
    same = {"group": group, "status": "ok", "unit": rich.results.unit.iloc[-1], "metric": "difference_auc"}
    line = rich.results[rich.results.attack == leader].iloc[[0]].assign(**same, value=0.1, upper=0.2)
    for lower, words in ((0.05, wording.group(group)), (-0.05, "No group or class, of 1 that were looked at")):
        more = replace(rich, results=pd.concat([rich.results, line.assign(lower=lower)], ignore_index=True))
        assert words in words_of(valid(more))["For whom is it worse?"]
    assert "not looked at" in words_of(valid(rich))["For whom is it worse?"]


def test_purpose_and_author_are_said_and_stay_text(rich, tmp_path):
    options = {**rich.provenance.options, "purpose": HOSTILE, "author": "A. Author", "name": HOSTILE}
    named = replace(
        rich, provenance=replace(rich.provenance, options=options), results=rich.results.assign(target=HOSTILE)
    )
    write_summary(named, tmp_path)
    text = (tmp_path / "summary.html").read_text()
    assert "A. Author" in text
    assert HOSTILE not in text
    assert "&lt;img" in text
    assert "<script" not in text


def test_no_record_is_in_it(rich, tmp_path):
    write_summary(rich, tmp_path)
    text = (tmp_path / "summary.html").read_text()
    assert not any(str(one) in text for one in rich.records.get("id", ()))
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("words", ["short", "a " * 900, "W" * 900, "漢" * 300, "", "x" * 40 + " y " * 40])
def test_lines_are_as_wide_as_the_page_at_most_and_lose_nothing(words):
    lines = _wrapped(words, 44.0)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert all(len(line) <= 140 for line in lines)


def test_the_longest_summary_fits_on_the_page(rich):
    checks = tuple(Check(f"c{i}", Validity.LIMITED, "because " * 90, f"{i} do this " * 60) for i in range(5))
    long = replace(rich, preflight=Preflight(checks))
    svg = _drawn("t" * 160, "answer", summary_of(long))
    assert max(float(part.partition('"')[0]) for part in svg.split(' y="')[1:]) <= 842 - 56


def test_the_pdf_is_one_page_with_text(rich, tmp_path):
    assert write_pdf(rich, tmp_path)
    content = (tmp_path / "summary.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", content)) == 1
    assert b"/ToUnicode" in content  # its words can be searched and read aloud
