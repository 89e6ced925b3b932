"""The laws of attacks: all of ours keep them, and an attack that breaks one is told which."""

import itertools

import numpy as np
import pytest

from vestige.attacks import CATALOGUE
from vestige.core.errors import InputError
from vestige.core.signal import FOR_CUSTOM as SIGNALS
from vestige.testing import AttackReport, BrokenLawError, check_attack

OURS = [attack for attack in CATALOGUE if set(attack.reads) <= set(SIGNALS)]


@pytest.mark.parametrize("attack", OURS, ids=lambda a: a.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_attack_of_ours_keeps_the_laws(attack, seed):
    report = check_attack(attack, seed=seed)
    assert isinstance(report, AttackReport)
    assert ("order of models" in report.laws) == attack.needs_references
    assert abs(report.null_auc - 0.5) < 0.03
    assert report.leak_auc > 0.6
    assert report.attack in str(report)
    alone = attack.name.startswith(("base", "calibration", "attack_r")) or not attack.needs_references
    assert len(report.notes) == (not alone)  # the likelihood ratios pool variances and priors over records


@pytest.mark.parametrize("reads", ["population_losses", "gradients", "features"])
def test_what_cannot_be_planted_is_said(reads):
    attack = next(a for a in CATALOGUE if reads in a.reads)
    with pytest.raises(InputError, match="cannot be made here"):
        check_attack(attack)


def test_the_same_seed_gives_the_same_report():
    assert check_attack(OURS[0], seed=3) == check_attack(OURS[0], seed=3)


# ------------------------------------------------------------------------------- broken on purpose

_TURN = itertools.count()
_LOUD = np.random.default_rng(0)


def too_short(losses):
    return -losses[1:]


def raises(labels, losses):
    raise KeyError("alas")


def in_words(losses):
    return ["a"] * len(losses)


def unprotected(probabilities, labels):
    with np.errstate(divide="ignore"):
        return np.log(probabilities[np.arange(len(labels)), labels])


def odds(phi, shadow_phi, is_in):
    with np.errstate(divide="ignore", invalid="ignore"):
        return (phi - shadow_phi.mean(axis=0)) / shadow_phi.std(axis=0)


def sorts(losses):
    losses.sort()
    return -losses


def clips(probabilities):
    np.clip(probabilities, 0.2, 0.8, out=probabilities)
    return probabilities.max(axis=1)


def counts_its_calls(losses):
    return -losses + next(_TURN)


def by_place(losses):
    return -np.arange(len(losses)) - 1e-3 * losses


def loss_itself(losses):
    return losses


def chance(losses):
    return np.sin(1e6 * losses)


def by_labels(labels):
    return 1.0 * labels


def every_other(losses):
    return -losses + 1e-3 * (np.arange(len(losses)) % 2)


def first_model(phi, shadow_phi, is_in):
    return phi - shadow_phi[0]


BROKEN = [
    (too_short, "one score per record", "found shape"),
    (raises, "one score per record", "KeyError: 'alas'"),
    (in_words, "one score per record", "Expected numbers"),
    (unprotected, "finite", "NaN or infinity"),
    (odds, "finite", "NaN or infinity"),
    (sorts, "inputs unchanged", "writes into losses"),
    (clips, "inputs unchanged", "writes into probabilities"),
    (counts_its_calls, "deterministic", "another score"),
    (by_place, "null", "without a leak its AUC is 1.000"),
    (loss_itself, "leak", "inverted"),
    (chance, "leak", "no better than chance"),
    (by_labels, "leak", "no better than chance"),
    (every_other, "order of records", "in another order"),
    (first_model, "order of models", "reference models in another order"),
]


@pytest.mark.parametrize(("attack", "law", "said"), BROKEN, ids=lambda v: getattr(v, "__name__", None))
def test_an_attack_that_breaks_a_law_is_told_which(attack, law, said):
    with pytest.raises(BrokenLawError, match=said) as caught:
        check_attack(attack)
    assert caught.value.law == law
    assert str(caught.value).startswith(f"{attack.__name__} breaks the law '{law}'")
    assert isinstance(caught.value, AssertionError)


def test_every_law_is_broken_above_by_some_attack():
    of_references = next(attack for attack in OURS if attack.needs_references)
    assert {law for _, law, _ in BROKEN} == set(check_attack(of_references).laws)


def ranks(losses):
    return -np.argsort(np.argsort(losses)).astype(float)


def test_an_attack_that_ranks_its_records_is_lawful_and_the_note_says_what_that_means():
    (note,) = check_attack(ranks).notes
    assert "depends on which others" in note
    assert "in blocks" in note


def test_an_attack_that_needs_several_records_is_lawful_too():
    def centred(losses):
        if len(losses) < 2:
            raise ValueError("too few")
        return losses.mean() - losses

    assert len(check_attack(centred).notes) == 1


def test_what_is_no_attack_is_refused_before_any_law():
    with pytest.raises(InputError, match="never see the membership"):
        check_attack(seer)


def seer(member):
    return member
