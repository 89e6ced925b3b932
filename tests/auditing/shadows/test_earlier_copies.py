"""Intermediate models: copies of the target from its training, read beside it as queries about every record."""

from typing import Any

import numpy as np
import pytest
from tests.auditing.small_models import plan_of, table, torch_recipe

from vestige import LikelihoodRatio, Querying, ShadowTraining, audit
from vestige.attacks.lira import lira_online
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.references.phi import reference_phi
from vestige.auditing.shadows.answers import with_earlier_copies
from vestige.auditing.shadows.training import train_shadows
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Variance
from vestige.core.outputs import Logits
from vestige.core.predictions import Predictions
from vestige.core.records import Records, joined
from vestige.defences import TopK
from vestige.signals.phi import phi_of
from vestige.targets.opening import open_target
from vestige.training.bank import Bank

RECIPE = torch_recipe(epochs=4)
EPOCHS = (1, 3)


def sides() -> tuple[Records, Records]:
    return tuple(table(40, seed=seed, ids=np.arange(40) + 100 * seed) for seed in (1, 2))  # type: ignore[return-value]


def training(tmp_path: Any, **options: Any) -> ShadowTraining:
    return ShadowTraining(RECIPE, n_models=8, bank=tmp_path / "bank", checkpoints=EPOCHS, **options)


def phi(classifier: Any, records: Records) -> np.ndarray:
    answers = open_target(classifier, records.n_classes).answers(records.inputs)
    return np.asarray(phi_of(Logits, answers.whole(), records.labels))


def test_attacks_read_phi_of_the_end_and_of_every_checkpoint_as_queries(tmp_path):
    """Against the plain form: models trained one by one for so many epochs, and the mean of LiRA over them."""
    members, nonmembers = sides()
    target, both = RECIPE.fit(members, seed=3, checkpoints=EPOCHS), joined(*sides())
    found = audit(
        target.classifier, members, nonmembers, attacks=["lira_online"],
        adversary=training(tmp_path, earlier=target.checkpoints),
        likelihood=LikelihoodRatio(variance="per_record"),
    )  # fmt: skip
    plan = plan_of(RECIPE, 8, records=both)
    theirs = np.empty((8, 80, 3))
    for model in range(8):
        shadow = RECIPE.fit(both.take(plan.member[model]), seed=plan.seed_of(model), checkpoints=EPOCHS)
        copies = (shadow, *shadow.checkpoints)
        theirs[model] = np.stack([phi(copy.classifier, both) for copy in copies], axis=1)
    ours = np.stack([phi(copy.classifier, both) for copy in (target, *target.checkpoints)], axis=1)
    expected = lira_online(ours, theirs, plan.member, variance=Variance.PER_RECORD)
    np.testing.assert_allclose(found.records["lira_online"], expected, rtol=2e-3, atol=1e-3)
    said = {check.name: check.message for check in found.preflight.checks}
    assert said["earlier_copies"].startswith("The adversary has copies of the target after epochs 1, 3 too")
    assert "3 queries a record" in str(found.provenance.definitions)


def test_models_and_what_answers_are_taken_alike_and_read_model_by_model(tmp_path):
    both, plan = joined(*sides()), plan_of(RECIPE, 4, records=joined(*sides()), checkpoints=EPOCHS)
    target = RECIPE.fit(sides()[0], seed=3, checkpoints=EPOCHS)
    shadows = train_shadows(plan, tmp_path / "run", Bank(tmp_path / "bank"))
    answers = Logits(open_target(target.classifier, 3).answers(both.inputs).whole())
    told = Predictions(answers, both.labels, np.arange(80) < 40, ids=both.ids)
    one, other = (
        with_earlier_copies(shadows, told, copies)
        for copies in (target.checkpoints, [copy.classifier for copy in target.checkpoints])
    )
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(np.concatenate(list(one.answers.blocks(3))), np.stack(list(other.models())))
    observed = reference_phi(one, told)
    assert observed.shadow_phi.shape == (4, 80, 3)
    end = shadows.store.read(shadows.kind, rows=[plan.rows_of(2)[-1]])[0]
    np.testing.assert_allclose(observed.shadow_phi[2, :, 0], phi_of(Logits, end, both.labels), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"earlier": [None]}, "for each of the 2 checkpoints.*found 1"),
        ({"earlier": [None, None], "epoch": 3}, "all of which are read"),
        ({"earlier": [None, None], "n_sources": 8, "records": table(seed=5)}, "no records of source models"),
    ],
)
def test_other_numbers_of_copies_are_refused(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        training(tmp_path, **options)


def test_copies_beside_views_or_that_answer_otherwise_are_refused(tmp_path):
    members, nonmembers = sides()
    target = RECIPE.fit(members, seed=3, checkpoints=EPOCHS)

    def probabilities(inputs: np.ndarray) -> np.ndarray:
        return np.full((len(inputs), 3), 1 / 3)

    mine = training(tmp_path, earlier=[probabilities, target.checkpoints[1]])
    with pytest.raises(InputError, match="found Logits, Probabilities beside Logits"):
        audit(target.classifier, members, nonmembers, adversary=mine)
    hidden = Querying(defence=Defended(defence=TopK(2), known=KnowsDefence.ADAPTIVE))
    with pytest.raises(InputError, match="no views, no defence and more than labels beside earlier copies"):
        audit(target.classifier, members, nonmembers, adversary=mine, querying=hidden)
