"""A plain function as an attack: what follows from its parameters, what is refused, what its scores must be."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from vestige import Attack
from vestige.attacks import CATALOGUE, KNOWLEDGE
from vestige.core.custom_attacks import attack_of, checked_scores, guarded
from vestige.core.errors import InputError
from vestige.core.probabilities import from_logits
from vestige.core.signal import FOR_CUSTOM as SIGNALS

LOGITS = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]])


def with_parameters(text: str, body: str = "None", name: str = "f"):
    """A function of these parameters."""
    scope: dict = {}
    exec(f"def {name}({text}): return {body}", {"np": np}, scope)
    return scope[name]


# ----------------------------------------------------------------------- what follows from a signature


OURS = [a for a in CATALOGUE if set(a.reads) <= set(SIGNALS)]


@pytest.mark.parametrize("attack", OURS, ids=lambda a: a.name)
def test_a_function_that_reads_what_one_of_ours_reads_sees_and_knows_the_same(attack):
    own = attack_of(with_parameters(", ".join(attack.reads)))
    assert (own.reads, own.access, own.knowledge) == (attack.reads, attack.access, attack.knowledge)
    assert own.needs_references == attack.needs_references
    if not attack.needs_references:  # of them some need models on one side only
        assert own.needs == attack.needs


def test_access_is_the_weakest_that_gives_all_signals():
    found = {
        text: attack_of(with_parameters(text)) for text in ("predicted", "phi, predicted", "losses, probabilities")
    }
    assert [a.access for a in found.values()] == ["label", "loss", "confidence"]
    both = attack_of(with_parameters("probabilities, gradient_norms"))
    assert (both.access, both.knowledge) == ("gradients", ("label", "model"))
    assert set(both.knowledge) <= set(KNOWLEDGE)


def test_name_definition_and_options_come_from_the_function():
    def sureness(p_true, power=2.0, *, shift=1.0):
        """How sure it is.

        More words.
        """
        return p_true**power + shift

    own = attack_of(sureness)
    assert (own.name, own.definition, own.source, own.reads) == ("sureness", "How sure it is.", "custom", ("p_true",))
    np.testing.assert_array_equal(own.score(np.array([0.5])), [1.25])
    halved = attack_of(functools.partial(sureness, power=1.0))
    assert (halved.name, halved.definition) == ("sureness", "How sure it is.")
    np.testing.assert_array_equal(halved.score(np.array([0.5])), [1.5])


def test_probabilities_are_a_plain_array_of_records_and_classes():
    own = attack_of(with_parameters("labels, probabilities", "probabilities[np.arange(2), labels]"))
    table = from_logits(LOGITS)
    np.testing.assert_array_equal(own.score(np.array([0, 2]), table), table.p[[0, 1], [0, 2]])


# ------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (with_parameters("losses, member"), "attacks never see the membership"),
        (with_parameters("loses"), "found loses; you may mean losses"),
        (with_parameters("zzz"), "there are labels, predicted"),
        (with_parameters("*losses"), r"found \*losses; name them"),
        (with_parameters("losses, **options"), r"found \*\*options"),
        (with_parameters("losses, *, power"), "a default for the option power"),
        (with_parameters("losses=None"), "no parameter without a default"),
        (with_parameters("phi, shadow_phi, labels"), "found labels as well"),
        (with_parameters("losses, is_in"), "found losses as well"),
        (with_parameters("losses", name="risk"), "another name than risk"),
        (with_parameters("losses", name="worst"), "another name than worst"),
        (lambda losses: losses, "found <lambda>; write a function with def"),
        (dict, "found dict"),
        (np.add, "to show its parameters|found|signals"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_attack_is_refused_with_the_reason(function, said):
    with pytest.raises(InputError, match=said):
        attack_of(function)


# ------------------------------------------------------------------------------------------- scores


def losses_of(body: str) -> Attack:
    return guarded(attack_of(with_parameters("losses", body, name="mine")))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("losses[1:]", r"shape \(3,\), found shape \(2,\)"),
        ("losses[:, None]", r"found shape \(3, 1\)"),
        ("0.5", r"found shape \(\)"),
        ("np.where(losses > 1, np.nan, losses)", "NaN or infinity for 2 of 3 records"),
        ("losses / 0 if False else losses * np.inf", "NaN or infinity for 3 of 3"),
        ("['a', 'b', 'c']", "Expected numbers as scores of the attack mine"),
        ("None + losses", "the attack mine, found that it fails with TypeError"),
        ("losses.sort()", "fails with ValueError: .*read-only"),
    ],
)
def test_scores_that_are_none_are_refused_by_the_name_of_the_attack(body, said):
    with pytest.raises(InputError, match=said) as caught:
        losses_of(body).score(np.array([1.0, 2.0, 3.0]))
    assert "mine" in str(caught.value)


def test_scores_of_any_kind_of_number_become_float64_and_inputs_stay():
    losses = np.array([1.0, 2.0])
    for body in ("losses > 1", "(10 * losses).astype('int8')", "losses.astype('float32')", "list(losses)"):
        assert losses_of(body).score(losses).dtype == np.float64
    assert losses.flags.writeable
    np.testing.assert_array_equal(checked_scores("f", [1, 2], 2), [1.0, 2.0])


def test_nothing_of_a_table_of_probabilities_can_be_written_to():
    def greedy(probabilities):
        probabilities.p[0, 0] = 1
        return probabilities.p[:, 0]

    attack = replace(attack_of(with_parameters("probabilities")), score=greedy)
    with pytest.raises(InputError, match="read-only"):
        guarded(attack).score(from_logits(LOGITS))
