import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from vestige.core.result import Check, FindingState, Preflight, Validity
from vestige.report.page import render_page, write_page
from vestige.report.rows import Rows
from vestige.report.wording import AFTER_LEAK

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """The page as a reader gets it: its tags, its text, and the text of each table cell."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.open, self.problems = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attr) for attr in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attr) for attr in attrs]

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def html(rich):
    return render_page(rich)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def minimal_page(minimal):
    return Page(render_page(minimal))


def row(html, name):
    """The first table row with this heading."""
    return next(text for text in re.findall(r"<tr.*?</tr>", html, re.S) if f'scope="row">{name}' in text)


def test_it_is_one_well_formed_page(html, page):
    assert html.startswith("<!doctype html>")
    assert page.open == page.problems == []
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == 8
    assert len(html.encode()) < 1_000_000


def test_it_loads_nothing_and_runs_nothing(html, page, minimal_page):
    for read in (page, minimal_page):
        assert not {"script", "link", "img", "iframe", "object", "embed", "image", "use", "base"} & set(read.tags)
        references = [value for _, name, value in read.attributes if name in ("href", "src", "xlink:href", "action")]
        assert all(value.startswith("#") for value in references)
        assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert "http:" not in without_names
    assert "https:" not in without_names
    assert "@import" not in html
    assert "data:" not in html
    assert all(reference.startswith("#") for reference in re.findall(r"url\(([^)]*)\)", html))


def test_references_inside_the_charts_are_kept_apart(html):
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)


def test_names_are_escaped(html, page):
    assert "<script" not in html.lower()
    assert "<script>alert(1)</script>" in page.text
    assert "cat & dog" in page.text


def test_the_three_answers_are_on_top_and_apart(html, rich):
    cards = re.findall(r'<article class="card.*?</article>', html, re.S)
    assert len(cards) == 3
    assert html.index("</article>") < html.index("<table")
    validity, adversary, finding = cards
    assert "LIMITED" in validity
    assert rich.preflight.checks[3].remedy in validity
    assert rich.adversary.sentence in adversary
    assert "LEAK SHOWN" in finding
    assert rich.finding.sentence in finding
    assert "7.0%" in finding
    assert "5.1–8.9%" in finding


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (FindingState.NO_LEAK_SHOWN, "NO LEAK SHOWN ABOVE 8.9%"),
        (FindingState.UNDECIDED, "UNDECIDED"),
        (FindingState.LEAK_SHOWN, "LEAK SHOWN"),
    ],
)
def test_every_finding_is_named(minimal, rich, state, answer):
    text = Page(render_page(replace(minimal, finding=replace(rich.finding, state=state)))).text
    assert f"what did the tested attacks show? {answer} " in text
    assert (AFTER_LEAK in text) == (state is FindingState.LEAK_SHOWN)


@pytest.mark.parametrize("validity", list(Validity))
def test_every_validity_is_named(minimal, validity):
    check = Check("sizes", validity, "It is so.", "" if validity is Validity.VALID else "Do that.")
    text = Page(render_page(replace(minimal, preflight=Preflight((check,))))).text
    assert f"can this test say anything? {validity} " in text
    assert ("Remedy: Do that." in text) == (validity is not Validity.VALID)


def test_nothing_is_called_safe(page, minimal_page, html):
    for text in (page.text, minimal_page.text, html):
        assert not re.search(r"\bsafe\b", text, re.IGNORECASE)


def test_grey_rows_carry_the_n_they_need(rich):
    results = rich.results.copy()
    one = (results["attack"] == "loss") & (results["metric"] == "tpr_at_fpr_0.001") & (results["group"] == "all")
    assert one.sum() == 1
    results.loc[one, "status"] = "ok"  # as if it had scored more nonmembers than the others
    html = render_page(replace(rich, results=results))
    cell = re.search(r'<td class="num grey"[^>]*>.*?needs 10,000.*?</td>', row(html, "Modified entropy"), re.S)
    assert cell
    assert "10 expected false positives need 10,000 nonmembers" in html
    assert "Not shown: 0.01%," in html


def test_rates_that_no_attack_resolves_are_left_out_and_named(html):
    assert "Not shown: 0.1% and 0.01%, where no attack is expected to have 10 false positives" in html
    assert "needs 10,000" not in row(html, "Modified entropy")


def test_the_worst_row_is_marked(html):
    worst = row(html, "Worst of all attacks")
    assert '<tr class="worst">' in worst
    assert "simultaneous" in worst


def test_numbers_are_those_of_the_result(rich, html):
    def value(metric, attack="loss", threshold="roc"):
        found = rich.results.query("attack == @attack and threshold == @threshold and metric == @metric")
        return found[found["group"] == "all"].iloc[0]

    loss = row(html, "Loss")
    area = value("auc")
    assert f"{area['value']:.3f}" in loss
    assert f"{area['lower']:.3f}–{area['upper']:.3f}" in loss
    tpr = value("tpr_at_fpr_0.01")
    assert f">{tpr['value']:.1%}<" in loss
    assert f"{100 * tpr['lower']:.1f}–{tpr['upper']:.1%} · 30 FP" in loss
    rates = value("precision_at_prior_0.01", "entropy", "shadow_per_class")
    assert f">{rates['value']:.1%}<" in html
    assert f"{rich.risk.rmse:.3f}" in html
    assert "12 records of 4 subjects" in html


def test_optimism_is_the_difference_of_the_numbers_beside_it(html, rich):
    table = html[html.index("Optimism of the oracle</h3>") :]
    honest, oracle = re.findall(r'main">([\d.]+)%', row(table, "Loss"))
    (points,) = re.findall(r'main">\+([\d.]+) points', row(table, "Loss"))
    assert math.isclose(float(oracle) - float(honest), float(points), abs_tol=1e-9)


def test_small_cells_are_not_shown(html):
    small = row(html[html.index('id="groups"') :], "age: &gt;90")
    assert "hidden" in small
    assert "fewer than 10" in small
    assert not re.search(r">\d", small)


def test_a_suppressed_row_is_hidden_even_with_a_value(rich):
    small = rich.results["status"] == "suppressed"
    leaking = rich.results.assign(
        value=rich.results["value"].mask(small, 0.9876),
        n_members=rich.results["n_members"].mask(small, 7),
    )
    html = render_page(replace(rich, results=leaking))
    assert "0.988" not in html
    assert re.search(r">\d", row(html[html.index('id="groups"') :], "age: &gt;90")) is None


def test_all_checks_and_gaps_are_told(page, rich):
    for check in rich.preflight.checks:
        assert check.message in page.text
    for left in rich.not_run:
        assert f"needs {left.needs}." in page.text
    for text in rich.provenance.definitions.values():
        assert text in page.text


def test_digests_are_short_with_the_whole_in_a_title(html, page):
    assert f'title="{"ab" * 32}"' in html
    assert "ab" * 32 not in page.text
    assert "abababababab…" in page.text


def test_no_record_is_in_it(html):
    for secret in ("secret-id", "patient-7"):
        assert secret not in html


def test_every_chart_has_words(html):
    charts = re.findall(r'<div role="img" aria-label="([^"]+)">', html)
    assert len(charts) == 8
    assert all(len(words) > 40 for words in charts)


def test_the_least_audit_has_a_page(minimal_page):
    text = minimal_page.text
    assert "UNDECIDED" in text
    assert "Privacy risk score" not in text
    assert "Classes and groups" not in text
    assert "Needed to decide 1,000" in text
    assert "nan" not in text.split()


def test_many_classes_are_thinned(many_classes):
    html = render_page(many_classes)
    text = Page(html).text
    assert "The 12 with the largest AUC of 100 are shown; all are in results.csv." in text
    assert len(html.encode()) < 1_000_000


def test_only_what_an_empty_table_allows(rich):
    text = Page(render_page(replace(rich, results=rich.results.iloc[:0], rocs=(), not_run=()))).text
    assert "LEAK SHOWN" in text


def test_it_is_written(minimal, tmp_path):
    write_page(minimal, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_page(minimal)


def test_the_model_is_named_in_title_and_heading(rich):
    named = replace(rich, results=rich.results.assign(target="ward <b>7"))
    html = render_page(named)
    assert (
        f"<title>ward &lt;b&gt;7: {rich.validity}, {rich.finding.answer} - membership-inference audit</title>" in html
    )
    assert "<h1>Membership-inference audit: ward &lt;b&gt;7</h1>" in html
    unnamed = render_page(replace(rich, results=rich.results.assign(target="target")))
    assert f"<title>{rich.validity}, " in unnamed


def test_contents_name_every_section(html):
    listed = re.findall(r'<li><a href="#([a-z-]+)">', html)
    assert listed == re.findall(r'<h2 id="([a-z-]+)">', html)
    assert len(listed) > 5


def test_area_and_balanced_accuracy_stand_with_the_finding(html, rich):
    card = html[html.index('id="finding"') : html.index("</section>")]
    assert ">AUC</dt>" in card
    worst = rich.results.query("attack == 'worst' and metric == 'auc' and group == 'all'")["value"].item()
    assert f">{worst:.3f}</span>" in card


def test_accuracy_on_both_sides_is_that_of_the_attack_by_correctness():
    import numpy as np

    import vestige
    from vestige.core.outputs import Logits

    draw = np.random.default_rng(0)
    labels, member = draw.integers(3, size=400), np.arange(400) < 200
    logits = draw.normal(size=(400, 3)) + (0.5 + member)[:, None] * np.eye(3)[labels]
    html = render_page(vestige.audit(vestige.Predictions(Logits(logits), labels, member)))
    right = logits.argmax(axis=1) == labels
    for side, rows in (("members", member), ("nonmembers", ~member)):
        assert f"<dt>Accuracy on {side}</dt><dd>{100 * right[rows].mean():.1f}%</dd>" in html


def test_one_attack_of_each_access_is_in_colour_and_the_others_are_counted(rich):
    from vestige.report.page import best_of_each_access
    from vestige.report.rows import Rows

    named = best_of_each_access(rich, Rows(rich.results))
    played = {roc.attack for roc in rich.rocs}
    assert 0 < len(named) < len(played)
    assert set(named) <= played
    interfaces = [threat.interface for threat in rich.threat_models if threat.attack in named]
    assert len(interfaces) == len(set(interfaces))
    assert f"Thin grey: {len(played) - len(named)} more attack" in render_page(rich)


def test_a_group_is_set_against_all_others_with_its_interval(rich):
    leader = Rows(rich.results).leading(rich.finding)
    group = next(name for name in Rows(rich.results).groups)
    row = rich.results[(rich.results.attack == leader) & (rich.results.metric == "auc")].iloc[[0]]
    same = {"group": group, "status": "ok", "unit": rich.results.unit.iloc[-1]}
    rows = [
        row.assign(**same, metric=f"difference_{metric}", value=value, lower=value - 0.02, upper=value + 0.02)
        for metric, value in (("auc", 0.05), ("tpr_at_fpr_0.01", -0.0123))
    ]
    html = render_page(replace(rich, results=pd.concat([rich.results, *rows], ignore_index=True)))
    assert "Differences from all others" in html
    assert "+0.050" in html
    assert "+0.030 to +0.070" in html
    assert "−1.2 points" in html
    assert "easier to find" in html
    assert "Differences from all others" not in render_page(rich)


def test_the_finding_of_a_confounded_test_is_no_finding(minimal, rich):
    check = Check("blind_labels", Validity.CONFOUNDED, "Labels tell.", "Draw anew.")
    finding = replace(rich.finding, state=FindingState.NO_LEAK_SHOWN)
    html = render_page(replace(minimal, finding=finding, preflight=Preflight((check,))))
    text = Page(html).text
    assert "CONFOUNDED, no finding" in text.partition("Membership-inference audit")[0]
    assert "what did the tested attacks show? No finding: the test is CONFOUNDED" in text
    assert "no reason for a release and none against it" in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (FindingState.LEAK_SHOWN, "o not release it as it is"),
        (FindingState.NO_LEAK_SHOWN, "not a clearance"),
        (FindingState.UNDECIDED, "Repeat the audit with"),
    ],
)
def test_it_says_what_the_finding_means_for_a_release_and_what_now(rich, state, words):
    text = Page(render_page(replace(rich, finding=replace(rich.finding, state=state, n_needed=900)))).text
    assert words in text
    assert text.index(str(state)) < text.index("1. Validity")  # the verdict comes first
    assert "What now" in text


def test_it_says_what_was_not_checked_because_it_was_not_given(minimal):
    checks = [Check("sizes", Validity.VALID, "Enough.", "")]
    assert "Not checked: whether the inputs of" in Page(render_page(minimal)).text
    given = [
        Check("blind_inputs", Validity.VALID, "None.", ""),
        Check("blind_order: visit", Validity.VALID, "None.", ""),
    ]
    html = render_page(replace(minimal, preflight=Preflight((*checks, *given))))
    assert "Not checked" not in html


def test_no_number_of_a_confounded_test_stands_with_the_answers(rich):
    html = render_page(rich)
    assert "Members identified" in html.partition('<h2 id="attacks"')[0]
    check = Check("blind_labels", Validity.CONFOUNDED, "Labels tell.", "Draw anew.")
    answers = render_page(replace(rich, preflight=Preflight((check,)))).partition('<h2 id="attacks"')[0]
    assert "Members identified</dt>" not in answers
    assert "p-value</dt>" not in answers
    assert str(rich.finding.state) not in answers.partition("<body>")[2]
    assert "no number from here on says anything about the model" in answers


def test_purpose_and_author_stand_in_the_head_and_cannot_leave_the_style_sheet(minimal):
    hostile = 'A "}</style><script>alert(1)</script>'
    options = {**minimal.provenance.options, "author": hostile, "purpose": "Release to partners"}
    html = render_page(replace(minimal, provenance=replace(minimal.provenance, options=options)))
    assert "Purpose: Release to partners" in Page(html).text.replace(" :", ":")
    assert "<script" not in html
    assert html.count("</style>") == 1
    assert "A \\22 \\7d " in html
