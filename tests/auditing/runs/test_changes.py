"""What differs between two audits: a planted improvement is found, a null one is not, and pairs make it narrower."""

import numpy as np
import pytest

import vestige
from vestige.auditing.runs import changes as module
from vestige.auditing.runs.changes import changes
from vestige.auditing.runs.scored_units import ScoredUnits, scored_units
from vestige.core.errors import InputError
from vestige.core.outputs import Logits
from vestige.evaluation.roc import roc

N = 2000


def audited(gap, seed=1, labels_seed=0, n=N, **given):
    labels = np.random.default_rng(labels_seed).integers(3, size=n)
    member = np.arange(n) % 2 == 0
    logits = np.random.default_rng(seed).normal(size=(n, 3)) + (1 + gap * member)[:, None] * np.eye(3)[labels]
    return vestige.audit(vestige.Predictions(Logits(logits), labels, member, **given), attacks=["loss", "confidence"])


@pytest.fixture(scope="module")
def leaky():
    return audited(2.0)


def test_values_are_those_of_the_runs(leaky):
    found = changes(leaky, audited(0.5)).table.set_index(["attack", "metric"])
    table = leaky.results.query("group == 'all' and threshold == 'roc'").set_index(["attack", "metric"])
    for key in found.index:
        assert found.loc[key, "first"] == pytest.approx(table.loc[key, "value"], abs=1e-12)
    assert set(found.index.get_level_values("metric")) == {"auc", "tpr_at_fpr_0.1", "tpr_at_fpr_0.01"}


def test_an_improvement_is_found_and_turned_round_it_is_a_rise(leaky):
    tight = audited(0.5)
    assert changes(leaky, tight).sentence == "Leakage fell for confidence, loss."
    there, back = changes(leaky, tight).table, changes(tight, leaky).table
    assert np.allclose(there["difference"], -back["difference"])
    assert np.allclose(there["lower"], -back["upper"])
    assert set(back["change"]) <= {"rose", "no change shown"}


def test_a_run_does_not_differ_from_itself(leaky):
    found = changes(leaky, leaky).table
    assert (found[["difference", "lower", "upper"]].abs() < 1e-12).all(axis=None)
    assert set(found["change"]) == {"no change shown"}


def test_pairs_are_narrower_than_strangers(leaky):
    near = audited(1.9)
    stranger = audited(1.9, ids=np.arange(N) + N)
    paired, apart = (changes(leaky, other).table.query("metric == 'auc'") for other in (near, stranger))
    assert np.allclose(paired["difference"], apart["difference"])
    assert ((paired["upper"] - paired["lower"]) < 0.5 * (apart["upper"] - apart["lower"])).all()
    assert changes(leaky, stranger).n_shared == 0
    assert "share no record" in changes(leaky, stranger).warning


def test_order_of_records_does_not_matter(leaky):
    order = np.random.default_rng(3).permutation(N)
    labels, member = np.random.default_rng(0).integers(3, size=N), np.arange(N) % 2 == 0
    logits = np.random.default_rng(1).normal(size=(N, 3)) + (1 + 0.5 * member)[:, None] * np.eye(3)[labels]
    shuffled = vestige.audit(
        vestige.Predictions(Logits(logits[order]), labels[order], member[order], ids=order),
        attacks=["loss", "confidence"],
    )
    assert np.allclose(
        changes(leaky, audited(0.5)).table.iloc[:, 2:7], changes(leaky, shuffled).table.iloc[:, 2:7], atol=1e-9
    )


def test_ids_of_other_records_are_not_paired(leaky):
    found = changes(leaky, audited(1.9, labels_seed=9))
    assert "same ids have other labels" in found.warning
    assert found.n_shared == 0


def test_people_are_paired_not_records():
    subjects = np.arange(N) // 4 * 2 + np.arange(N) % 2
    first, second = (audited(gap, subjects=subjects) for gap in (2.0, 1.9))
    found = changes(first, second)
    assert found.noun == "subject"
    assert found.n_shared == np.unique(subjects).size
    table = first.results.query("group == 'all' and threshold == 'roc' and attack == 'loss' and metric == 'auc'")
    assert found.table.query("attack == 'loss' and metric == 'auc'")["first"].item() == pytest.approx(
        table["value"].item(), abs=1e-12
    )


def units(draw, n, shift):
    """Scores of two models about the same records, with what is common to both."""
    member = np.arange(n) % 2 == 0
    common = draw.normal(size=n) + shift * member
    ids = np.arange(n)
    return [ScoredUnits(noun="record", ids=ids, member=member, scores=common + draw.normal(size=n)) for _ in "ab"]


def lines_of(a, b):
    return module._lines("x", a, b, alike=True)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_intervals_of_a_null_cover(shift):
    draw, n_runs = np.random.default_rng(17), 400
    covered: dict[str, list[bool]] = {}
    for _ in range(n_runs):
        for _, metric, a, b, error in lines_of(*units(draw, 1000, shift)):
            covered.setdefault(metric, []).append(abs(b - a) <= 1.96 * error)
    shares = {metric: float(np.mean(inside)) for metric, inside in covered.items()}
    assert set(shares) >= {"auc", "tpr_at_fpr_0.1"}
    assert all(share >= 0.92 for share in shares.values()), shares


def test_the_error_of_a_paired_area_is_that_of_many_draws():
    draw = np.random.default_rng(4)
    told, differences = [], []
    for _ in range(300):
        a, b = units(draw, 600, 1.0)
        told.append(next(line[4] for line in lines_of(a, b)))
        differences.append(
            roc(b.scores[b.member], b.scores[~b.member]).auc - roc(a.scores[a.member], a.scores[~a.member]).auc
        )
    assert np.mean(told) == pytest.approx(np.std(differences), rel=0.12)


def test_runs_without_records_are_refused(leaky, tmp_path):
    leaky.save(tmp_path / "run")
    (tmp_path / "run" / "records.parquet").unlink()
    from vestige.auditing.runs.opening import open_run

    with pytest.raises(InputError, match=r"records\.parquet, found none"):
        scored_units(open_run(tmp_path / "run"), "loss")
