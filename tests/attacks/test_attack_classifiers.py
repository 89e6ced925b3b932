"""Attacks that learn from known members: what each reads, who is learnt from, closed forms, ties, and refusals."""

import inspect
from math import log

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from tests.attacks.observed import leaky_logits

from vestige.attacks import CATALOGUE
from vestige.attacks._known_members import member_log_odds
from vestige.attacks.nn import nn_memguard, nn_nasr, nn_nasr_logits, nn_shokri
from vestige.attacks.white_box_gradient import white_box_gradient
from vestige.core.errors import InputError
from vestige.core.probabilities import from_logits
from vestige.evaluation.roc import roc

TRAINED = [attack for attack in CATALOGUE if "known_member" in attack.reads]
EVERY = pytest.mark.parametrize("attack", TRAINED, ids=lambda a: a.name)


class Recorder:
    """Keeps what every copy of it was given."""

    seen: tuple[list, list] = ([], [])

    def fit(self, x, y):
        self.seen[0].append((x, y))
        return self

    def predict_proba(self, x):
        self.seen[1].append(x)
        return np.full((len(x), 2), 0.5)


class Answering:
    """No estimator of scikit-learn: answers with the columns of its inputs."""

    def fit(self, x, y):
        self.fitted = True

    def predict_proba(self, x):
        return x


@pytest.fixture
def recorder():
    Recorder.seen = ([], [])
    return Recorder()


def observed(n, leak, seed, n_inputs=3):
    """All signals of records, and their side."""
    rng = np.random.default_rng(seed)
    logits, labels, member = leaky_logits(n, leak, rng)
    table = from_logits(logits)
    delta = table.p - np.eye(5)[labels]
    signals = {
        "probabilities": table.p,
        "log_probabilities": table.log_p,
        "labels": labels,
        "losses": -table.of(table.log_p, labels),
        "gradients": rng.uniform(0.5, 1.0, size=(n, n_inputs, 1)) * delta[:, None],
        "copy_distances": np.maximum(rng.normal(1 + member[:, None] * leak / 2, size=(n, 5)), 0),
        "correct": (logits[:, None] + 2 * rng.normal(size=(n, 9, 5))).argmax(axis=2) == labels[:, None],
    }
    return signals, member


def run(attack, signals, known, member, scored, **options):
    """Score some records with the membership of others known."""
    given = {name: signals[name][scored] for name in attack.reads if not name.startswith("known_")}
    given |= {f"known_{name}": signals[name][known] for name in list(given)}
    return attack.score(**given, known_member=member[known], **options)


def quick(attack):
    """A classifier that learns at once, where the attack takes one."""
    return {"classifier": GaussianNB()} if "classifier" in attack.takes else {}


# --------------------------------------------------------------------------------- what is read


@EVERY
def test_an_attack_is_handed_what_it_says_it_reads_and_of_membership_only_the_known(attack):
    required = [p.name for p in inspect.signature(attack.score).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert tuple(required) == attack.reads
    own = [name for name in attack.reads if not name.startswith("known_")]
    assert set(attack.reads) == {*own, *(f"known_{name}" for name in own), "known_member"}
    assert "members" in attack.knowledge
    assert ("label" in attack.knowledge) == ("labels" in own)


def test_each_reads_the_features_of_its_paper(recorder):
    signals, member = observed(20, 1.0, 0)
    known, scored = np.arange(10), np.arange(10, 20)
    member[:4] = [True, True, False, False]
    p, classes = signals["probabilities"], np.eye(5)[signals["labels"]]
    features = {
        "nn_nasr": np.column_stack([p, classes]),
        "nn_nasr_logits": np.column_stack([signals["log_probabilities"], classes]),
        "nn_memguard": np.sort(p, axis=1),
        "forest_memguard": np.sort(p, axis=1),
        "nn_memguard_rounded": np.sort(np.round(p, 1), axis=1),
        "white_box_gradient": np.column_stack([p, classes, signals["losses"], signals["gradients"].reshape(20, -1)]),
    }
    for attack in TRAINED:
        if attack.name in features:
            recorder.seen[0].clear()
            recorder.seen[1].clear()
            run(attack, signals, known, member, scored, classifier=recorder)
            (((x, y),), (asked,)) = recorder.seen
            np.testing.assert_array_equal(asked, features[attack.name][scored])
            expected = np.column_stack([features[attack.name][known], ~member[known]])
            np.testing.assert_array_equal(sorted(map(tuple, np.column_stack([x, y]))), sorted(map(tuple, expected)))


def test_shokri_s_has_a_classifier_per_class_and_one_of_all_classes_for_classes_without_both_sides(recorder):
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=12)
    labels = np.array([0] * 4 + [1] * 4 + [2] * 4)
    member = np.array([True, True, False, False, True, True, True, False, True, True, True, True])
    nn_shokri(p, labels, member, p, labels, classifier=recorder)
    assert [len(x) for x, _ in recorder.seen[0]] == [4, 12]
    np.testing.assert_array_equal(recorder.seen[1][0], p[:4])
    np.testing.assert_array_equal(recorder.seen[1][1], p[4:])


# ------------------------------------------------------------------------------------- the score


def test_the_score_is_the_log_odds_and_what_is_learnt_is_whether_a_record_is_a_nonmember():
    known, member = np.array([[0.0], [1.0], [4.0], [5.0], [5.5]]), np.array([False, False, True, True, True])
    asked = np.linspace(-3, 9, 7)[:, None]
    expected = -LogisticRegression().fit(known, 1 - member).decision_function(asked)
    np.testing.assert_allclose(member_log_odds(known, member, asked, LogisticRegression()), expected, rtol=1e-9)


def test_the_surest_members_keep_what_tells_them_apart():
    """1 - 1e-20 and 1 - 1e-25 are one number; their complements are not. Below 1e-30 lies the stated floor."""
    q = np.array([0.5, 1e-10, 1e-20, 1e-25, 1e-40, 0.0])
    answers = np.column_stack([1 - q, q])
    scores = member_log_odds(answers[:4], np.arange(4) < 2, answers, Answering())
    np.testing.assert_allclose(scores, [0, *(np.log([1e10, 1e20, 1e25, 1e30, 1e30]))], rtol=1e-9, atol=1e-9)
    assert member_log_odds(answers[:4], np.arange(4) < 2, answers[:1, ::-1] * 0 + [0, 1], Answering())[0] == log(1e-30)


def test_the_classifier_that_is_given_is_left_as_it_is():
    given, answers = Answering(), np.full((4, 2), 0.5)
    member_log_odds(answers, np.arange(4) < 2, answers, given)
    assert not hasattr(given, "fitted")


@EVERY
def test_a_planted_leak_is_found_by_the_default_network(attack):
    signals, member = observed(800, 2.0, 1)
    scored = np.arange(400, 800)
    scores = run(attack, signals, np.arange(400), member, scored)
    assert scores.dtype == np.float64
    assert roc(scores[member[scored]], scores[~member[scored]]).auc > 0.65
    again = run(attack, signals, np.arange(400), member, scored)
    np.testing.assert_array_equal(scores, again)


@EVERY
def test_order_changes_nothing_and_records_are_scored_one_by_one(attack):
    signals, member = observed(160, 1.0, 2)
    rng = np.random.default_rng(3)
    known, scored = np.arange(100), np.arange(100, 160)
    scores = run(attack, signals, known, member, scored)
    # A matrix product rounds by where its rows stand.
    moved = rng.permutation(scored)
    np.testing.assert_allclose(
        run(attack, signals, rng.permutation(known), member, moved), scores[moved - 100], rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(run(attack, signals, known, member, scored[:1]), scores[:1], rtol=1e-6, atol=1e-6)
    assert run(attack, signals, known, member, scored[:0]).shape == (0,)


@EVERY
def test_membership_of_what_is_scored_changes_nothing(attack):
    signals, member = observed(160, 1.0, 4)
    known, scored = np.arange(100), np.arange(100, 160)
    tampered = np.where(np.arange(160) < 100, member, ~member)
    options = quick(attack)
    np.testing.assert_array_equal(
        run(attack, signals, known, member, scored, **options), run(attack, signals, known, tampered, scored, **options)
    )


def test_float32_gradients_are_not_widened(recorder):
    signals, member = observed(8, 1.0, 5)
    signals["gradients"] = signals["gradients"].astype(np.float32)
    member[:] = np.arange(8) % 2
    names = ("probabilities", "labels", "losses", "gradients")
    p, y, losses, gradients = (signals[name] for name in names)
    white_box_gradient(p, y, losses, gradients, member, p, y, losses, gradients, classifier=recorder)
    assert recorder.seen[1][0].dtype == np.float32


# ---------------------------------------------------------------------------------------- errors


@EVERY
def test_what_nothing_can_be_learnt_from_is_refused(attack):
    signals, _ = observed(20, 1.0, 6)
    every, one = np.arange(20), np.arange(20) == 3
    options = quick(attack)
    with pytest.raises(InputError, match="at least 2 known members and 2 known nonmembers, found 1 and 19; give more"):
        run(attack, signals, every, one, every, **options)
    with pytest.raises(InputError, match="2 known nonmembers, found 19 and 1; give more"):
        run(attack, signals, every, ~one, every, **options)
    for name in set(attack.reads) & {"probabilities", "log_probabilities", "losses", "gradients"}:
        broken = {**signals, name: np.where(np.arange(20).reshape(-1, *[1] * (signals[name].ndim - 1)) == 4, np.nan, 1)}
        broken[name] = broken[name] * signals[name]
        for known, scored in ((every[:10], every[10:]), (every[10:], every[:10])):
            with pytest.raises(InputError, match="Expected finite numbers to learn from, found NaN or infinity"):
                run(attack, broken, known, np.arange(20) % 2 == 0, scored, **options)
    if "labels" in attack.reads and not attack.asks_copies:  # how many classes there are, copies do not say
        for wrong in (np.full(20, 5), np.full(20, -1)):
            with pytest.raises(InputError, match="Expected labels from 0 to 4, one class per column of the answers"):
                run(attack, {**signals, "labels": wrong}, every, np.arange(20) % 2 == 0, every, **options)


def test_lengths_and_columns_must_fit():
    features, member = np.zeros((6, 3)), np.arange(6) < 3
    with pytest.raises(InputError, match="membership of each of 6 known records, found 5; give one per record"):
        member_log_odds(features, member[:5], features, GaussianNB())
    with pytest.raises(
        InputError, match=r"same numbers of the known records and of the others, found \(3,\) and \(2,\)"
    ):
        member_log_odds(features, member, features[:, :2], GaussianNB())


def test_a_classifier_answers_with_two_probabilities_per_record():
    three, nan = np.full((6, 3), 1 / 3), np.full((6, 2), 0.5)
    with pytest.raises(InputError, match=r"Expected 2 finite probabilities for each of 6 records, found .* \(6, 3\)"):
        member_log_odds(three, np.arange(6) < 3, three, Answering())

    class Broken(Answering):
        def predict_proba(self, x):
            return x * np.nan

    with pytest.raises(InputError, match="from Broken; give a classifier whose predict_proba has a column per side"):
        member_log_odds(nan, np.arange(6) < 3, nan, Broken())


def test_they_can_be_called_by_position():
    signals, _ = observed(12, 1.0, 7)
    member = np.arange(12) % 2 == 0
    p, log_p, y = (signals[name] for name in ("probabilities", "log_probabilities", "labels"))
    options = {"classifier": GaussianNB()}
    assert nn_shokri(p, y, member, p, y, **options).shape == (12,)
    assert nn_nasr(p, y, member, p, y, **options).shape == (12,)
    assert nn_nasr_logits(log_p, y, member, log_p, y, **options).shape == (12,)
    assert nn_memguard(p, member, p, **options).shape == (12,)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_of_an_overfitted_model_nasr_s_finds_more_in_probabilities_than_in_their_logarithms():
    """The paper's network reads probabilities; standardised logarithms drown what is said of the likely classes."""
    rng = np.random.default_rng(8)
    weights, n = rng.normal(size=(60, 30)), 1_200
    x = rng.normal(size=(n, 60))
    y = (x @ weights + 4 * rng.gumbel(size=(n, 30))).argmax(axis=1)
    member = np.arange(n) < n // 2
    model = MLPClassifier((128,), max_iter=25, learning_rate_init=0.003, random_state=0).fit(x[member], y[member])
    p = model.predict_proba(x)
    log_p, known = np.log(np.maximum(p, 1e-30)), rng.permutation(n) < n // 2
    areas = []
    for attack, answers in ((nn_nasr, p), (nn_nasr_logits, log_p)):
        scores = attack(answers[known], y[known], member[known], answers[~known], y[~known])
        areas.append(roc(scores[member[~known]], scores[~member[~known]]).auc)
    assert areas[0] > 0.8
    assert areas[0] > areas[1] + 0.08
