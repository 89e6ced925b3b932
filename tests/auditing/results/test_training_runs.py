"""The interval of the mean over training runs covers the mean over trainings of all models, and the study says so."""

import json

import numpy as np
import pytest
from scipy import stats
from tests.auditing.results.training_runs_study import COVERAGE_BAR, RESULTS, Scenario, all_scenarios, scored, study

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.auditing.results.every_target import (
    ReferenceEffect,
    TargetValue,
    effects_of_references,
    spread_of,
    values_of_targets,
)
from vestige.core.options import SubjectScore
from vestige.core.progress import silent
from vestige.core.result import Spread
from vestige.evaluation.roc import roc

STORED = json.loads(RESULTS.read_text(encoding="utf-8"))


def label(row):
    return " ".join(str(row[k]) for k in ("scenario", "n_models", "attack", "metric"))


@pytest.mark.parametrize("row", STORED["rows"], ids=label)
def test_the_stored_study_covers(row):
    assert row["draws"] >= 190
    chance = 2 * np.sqrt(0.05 * 0.95 / row["draws"])
    assert row["coverage"] >= COVERAGE_BAR - chance
    shares = row["coverage"], row["interval_below"], row["interval_above"], row["without"]
    assert sum(shares) == pytest.approx(1, abs=3e-4)
    assert row["without"] <= (0.05 if row["group"] == 1 else 0.0)
    assert row["std_said"] >= 0.95 * row["std_of_one_target"]
    assert row["std_said"] <= 1.25 * row["std_of_one_target"]
    assert row["width"] <= 2.5 * row["width_of_known_variance"]


def test_the_stored_study_is_the_whole_one_and_covers_on_average():
    stored = {(r["scenario"], r["n_models"]) for r in STORED["rows"]}
    assert stored == {(s.name, s.n_models) for s in all_scenarios()}
    for n_models in {s.n_models for s in all_scenarios()}:
        rows = [r["coverage"] for r in STORED["rows"] if r["n_models"] == n_models]
        assert np.mean(rows) >= COVERAGE_BAR


def test_a_quick_look():
    """Student's interval over pairs covered .79 here: targets share the models that score them."""
    draws = 60
    for row in study(Scenario("all records leak", 8, 1.0, 1.0, 0.3), draws, seed=2):
        if row["metric"] == "auc":
            assert row["coverage"] >= COVERAGE_BAR - 3 * np.sqrt(0.07 * 0.93 / draws), row


def spreads(phi, member, groups):
    references = scored(phi, member, groups)
    values = values_of_targets(references, None, SubjectScore.MEAN, silent)
    effects = effects_of_references(references, None, SubjectScore.MEAN, values, silent)
    return spread_of(values, references.observed, effects)


def drawn(n_models=8, seed=0):
    scenario = Scenario("", n_models, 1.0)
    found = next(iter(scenario.draws(1, seed))).observed
    return found.shadow_phi[:, :, 0], found.is_in, np.arange(n_models) // 2


def test_the_variance_is_the_jackknife_over_pairs():
    """Each pair left out as targets and as references, every score played on its own."""
    phi, member, groups = drawn()

    def mean_without(pair):
        areas = []
        for target in np.flatnonzero(groups != pair):
            others = (groups != groups[target]) & (groups != pair)
            scores = empirical_bayes_online(phi[target], phi[others], member[others])
            areas.append(roc(scores[member[target]], scores[~member[target]]).auc)
        return float(np.mean(areas)), np.array(areas)

    found = spreads(phi, member, groups)
    said = next(s for s in found if (s.attack, s.metric) == ("empirical_bayes_online", "auc"))
    mean, areas = mean_without(-1)
    assert said.mean == pytest.approx(mean)
    left_out = np.array([mean_without(pair)[0] for pair in range(4)])
    variance = 3 / 4 * np.sum((left_out - left_out.mean()) ** 2)
    half = stats.t(3).ppf(0.975) * np.sqrt(variance)
    assert (said.lower, said.upper) == pytest.approx((mean - half, mean + half), abs=1e-9)
    assert said.std == pytest.approx(np.sqrt(areas.var(ddof=1) * 7 / 8 + variance), abs=1e-9)


def test_the_interval_does_not_depend_on_the_order_of_pairs_and_records():
    phi, member, groups = drawn()
    rng = np.random.default_rng(0)
    pairs, records = rng.permutation(4), rng.permutation(phi.shape[1])
    models = (2 * pairs[:, None] + np.arange(2)).ravel()
    one = spreads(phi, member, groups)
    other = spreads(phi[np.ix_(models, records)], member[np.ix_(models, records)], groups)
    for a, b in zip(one, other, strict=True):
        assert (a.mean, a.lower, a.upper, a.std) == pytest.approx((b.mean, b.lower, b.upper, b.std), abs=1e-9)


def spread_of_two(effects: tuple[ReferenceEffect, ...]) -> Spread:
    phi, member, groups = drawn(4)
    values = tuple(TargetValue(m, "loss", "auc", 0.5 + 0.01 * m) for m in range(4))
    return spread_of(values, scored(phi, member, groups).observed, effects)[0]


def test_without_a_replay_there_is_no_interval():
    said = spread_of_two((ReferenceEffect(left_out=(0, 1), n_draws=1, attack="loss", metric="auc", changes=(0.0,)),))
    assert np.isnan([said.lower, said.upper]).all()
    assert said.std == pytest.approx(np.std([0.5, 0.51, 0.52, 0.53], ddof=1))


def test_references_that_change_nothing_leave_students_interval_over_pairs():
    effects = tuple(
        ReferenceEffect(left_out=pair, n_draws=1, attack="loss", metric="auc", changes=(0.0,))
        for pair in ((0, 1), (2, 3))
    )
    said = spread_of_two(effects)
    half = 12.7062047 * np.std([0.505, 0.525], ddof=1) / np.sqrt(2)
    assert (said.lower, said.upper) == pytest.approx((0.515 - half, 0.515 + half), abs=1e-6)
