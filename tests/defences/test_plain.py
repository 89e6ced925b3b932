"""Defences of answers without anything fitted, against plain loops, and the laws that all of them keep."""

import numpy as np
import pytest

from vestige.core.answer_defence import AnswerDefence
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.defences import LabelsOnly, Rounded, Temperature, TopK

DEFENCES: list[AnswerDefence] = [
    TopK(1),
    TopK(3),
    Rounded(1),
    Rounded(3),
    Temperature(0.5),
    Temperature(20.0),
    Temperature(1e18),
    LabelsOnly(),
]


def logits(n=200, n_classes=6, scale=4.0):
    """Logits of which some are equal to others of their row, the largest too."""
    z = np.random.default_rng(3).normal(scale=scale, size=(n, n_classes))
    z[: n // 4] = np.round(z[: n // 4])
    return z


def both_kinds():
    z = logits()
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return [Logits(z), Probabilities(e / e.sum(axis=1, keepdims=True)), Logits(z.astype(np.float32))]


def plain(defence, answers):
    """A row at a time."""
    table = answers.whole().astype(np.float64)
    for row in table:
        p = [float(v) for v in np.exp(row - row.max()) / np.exp(row - row.max()).sum()]
        p = p if isinstance(answers, Logits) else [float(v) for v in row]
        if isinstance(defence, TopK):
            told = sorted(range(len(row)), key=lambda j: (-row[j], j))[: defence.k]
            yield [p[j] if j in told else (1 - sum(p[i] for i in told)) / (len(p) - len(told)) for j in range(len(p))]
        elif isinstance(defence, Rounded):
            yield [round(v, defence.digits) for v in p]
        elif isinstance(defence, Temperature):
            powers = [v ** (1 / defence.value) for v in p]
            yield [v / sum(powers) for v in powers]


@pytest.mark.parametrize("answers", both_kinds(), ids=["logits", "probabilities", "float32"])
@pytest.mark.parametrize("defence", DEFENCES[:-1], ids=repr)
def test_a_defence_is_its_plain_form(defence, answers):
    np.testing.assert_allclose(defence(answers).whole(), list(plain(defence, answers)), atol=1e-12)


@pytest.mark.parametrize("answers", both_kinds(), ids=["logits", "probabilities", "float32"])
@pytest.mark.parametrize("defence", DEFENCES, ids=repr)
def test_laws_of_every_defence(defence, answers):
    assert isinstance(defence, AnswerDefence)
    defended, given = defence(answers), answers.whole()
    order = np.random.default_rng(0).permutation(len(given))
    moved = defence(type(answers)(given[order])).whole()
    np.testing.assert_array_equal(moved, defended.whole()[order])
    np.testing.assert_array_equal(defence(type(answers)(given[:1])).whole(), defended.whole()[:1])
    if defence.keeps_labels:
        labels = defended.whole() if isinstance(defended, PredictedLabels) else defended.whole().argmax(axis=1)
        np.testing.assert_array_equal(labels, given.argmax(axis=1))
    if isinstance(defended, Probabilities) and not isinstance(defence, Rounded):
        assert defended.whole().min() >= 0
        np.testing.assert_allclose(defended.whole().sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("answers", both_kinds(), ids=["logits", "probabilities", "float32"])
@pytest.mark.parametrize("defence", [TopK(6), TopK(7), Temperature(1.0)], ids=repr)
def test_strength_zero_is_no_defence(defence, answers):
    assert defence(answers) is answers


def test_rounded_probabilities_miss_one_by_no_more_than_rounding_does():
    defended = Rounded(2)(both_kinds()[1]).whole()
    assert np.abs(defended.sum(axis=1) - 1).max() <= 6 * 0.005 + 1e-12


def test_identities_tell_all_of_them_apart():
    assert len({repr(sorted(defence.identity().items())) for defence in DEFENCES}) == len(DEFENCES)


@pytest.mark.parametrize(
    "make", [lambda: TopK(0), lambda: Rounded(0), lambda: Temperature(0.0), lambda: Temperature(np.inf)]
)
def test_what_is_no_strength_is_refused(make):
    with pytest.raises(InputError, match="Expected"):
        make()


def test_labels_have_nothing_to_defend():
    labels = PredictedLabels(np.array([0, 2]))
    assert LabelsOnly()(labels) is labels
    for defence in DEFENCES[:-1]:
        with pytest.raises(InputError, match="predicted labels; leave the defence out"):
            defence(labels)
