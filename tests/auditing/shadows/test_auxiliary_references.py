"""Reference models that never saw an audited record: from new weights, or by forgetting."""

import functools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from tests.auditing.planted import row

from vestige import Querying, Records, SklearnRecipe, TorchRecipe, audit
from vestige.auditing.label_only import BoundarySearch
from vestige.auditing.shadows.auxiliary_references import references_by_forgetting, references_from_scratch
from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.core.records import joined
from vestige.signals.boundary import Starts, surfree
from vestige.training.stopping import ValidationPeak

N = 80


def some(first: int, n: int = N, **columns) -> Records:
    """Records with noisy labels, which a network learns by heart."""
    rng = np.random.default_rng(first)
    inputs = rng.normal(size=(n, 6)).astype(np.float32)
    labels = (inputs[:, 0] + 1.5 * rng.normal(size=n) > 0).astype(int)
    return Records(inputs, labels, ids=np.arange(first, first + n), classes=2, **columns)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))


RECIPE = TorchRecipe(
    network, epochs=80, batch_size=16, optimiser=functools.partial(torch.optim.SGD, lr=0.2, momentum=0.9)
)
FURTHER = replace(RECIPE, epochs=15)
MEMBERS, NONMEMBERS, AUXILIARY = some(0), some(1_000), some(2_000)


@functools.cache
def target() -> torch.nn.Module:
    model: torch.nn.Module = RECIPE.fit(MEMBERS, seed=0).classifier
    return model


def forgotten(**options):
    return references_by_forgetting(target(), FURTHER, AUXILIARY, MEMBERS, NONMEMBERS, **options)


def auc(result, attack: str) -> float:
    return float(row(result, attack=attack, metric="auc", group="all").value)


def test_forgetting_begins_at_the_targets_weights_and_leaves_them_as_they_are():
    before = [w.clone() for w in target().parameters()]
    still = references_by_forgetting(
        target(), replace(FURTHER, epochs=1, optimiser=functools.partial(torch.optim.SGD, lr=0.0)),
        AUXILIARY, MEMBERS, NONMEMBERS,
    )  # fmt: skip
    pool = torch.from_numpy(np.concatenate([MEMBERS.inputs, NONMEMBERS.inputs]))
    with torch.no_grad():
        np.testing.assert_allclose(next(still.models()), target()(pool).numpy(), rtol=1e-5, atol=1e-5)
    forgotten()
    assert all(torch.equal(a, b) for a, b in zip(before, target().parameters(), strict=True))


def test_no_model_has_seen_an_audited_record_and_members_are_forgotten():
    found = forgotten(n_models=2)
    assert (found.n_models, found.n_records, found.by_forgetting) == (2, 2 * N, True)
    assert not found.member.any()
    assert found.ids.tolist() == [*MEMBERS.ids, *NONMEMBERS.ids]
    right = [(table.argmax(axis=1) == found.labels).reshape(2, N).mean(axis=1) for table in found.models()]
    with torch.no_grad():
        own = (target()(torch.from_numpy(MEMBERS.inputs)).numpy().argmax(axis=1) == MEMBERS.labels).mean()
    assert own > 0.95
    assert max(of_members for of_members, _ in right) < own - 0.1
    assert found.training.startswith("by forgetting: 2 from the target's weights, on 80 of 80 records")
    assert "15 epochs" in found.training


def test_the_same_seed_gives_the_same_models_and_another_one_others():
    one, same, other = (np.stack(list(forgotten(seed=seed, share=0.5).models())) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_models_of_shares_are_trained_on_other_records():
    first, second = forgotten(n_models=2, share=0.25).models()
    assert not np.array_equal(first, second)
    assert "on 20 of 80 records" in forgotten(share=0.25).training


@pytest.mark.parametrize("n_models", [1, 3])
def test_an_audit_plays_them_and_tells_forgetting_from_new_weights(n_models):
    given = (AUXILIARY, MEMBERS, NONMEMBERS)
    peak = replace(RECIPE, stop=ValidationPeak(5))
    options = {"n_models": n_models, "gradient_norms": True, "share": 0.75}
    results = [
        audit(target(), members=MEMBERS, nonmembers=NONMEMBERS, adversary=found, querying=Querying(access="gradients"))
        for found in (
            forgotten(**options),
            references_from_scratch(peak, *given, validation=some(3_000), **options),
        )
    ]
    for result in results:
        for attack in ("calibration_loss", "calibration_confidence", "calibration_gradient_norm"):
            assert auc(result, attack) > 0.6, attack
    known = [{t.attack: t.knowledge for t in result.threat_models} for result in results]
    assert "model" in known[0]["calibration_loss"]
    assert "model" not in known[1]["calibration_loss"]
    said = [result.provenance.definitions["training of the references"] for result in results]
    assert said[0].startswith("by forgetting")
    assert said[1].startswith(f"{n_models} from new weights")
    assert "began with its parameters" in results[0].adversary.sentence
    assert "began with" not in results[1].adversary.sentence


@pytest.mark.parametrize("access", ["confidence", "label"])
def test_boundary_distances_are_calibrated_by_them(access):
    """The target's distance less the references' mean: a naive twin searches each model by itself."""
    given = (AUXILIARY, MEMBERS, NONMEMBERS)
    references = (
        forgotten(n_models=2) if access == "confidence" else references_from_scratch(RECIPE, *given, n_models=2)
    )
    space = InputSpace(low=-8.0, high=8.0)
    asked = Querying(access=access, inputs=space, label_only=(BoundarySearch(120, n_references=2),))
    result = audit(target(), members=MEMBERS, nonmembers=NONMEMBERS, adversary=references, querying=asked)
    name = "calibrated_boundary_distance"
    assert auc(result, name) > 0.6
    pool = joined(MEMBERS, NONMEMBERS)

    def distances(model: torch.nn.Module) -> np.ndarray:
        def labels(inputs, records):
            return model(torch.from_numpy(np.asarray(inputs))).argmax(dim=1).numpy()

        asked = SimpleNamespace(n_classes=2, labels=labels)
        bounds = space.bounds(pool.inputs)
        starts = Starts(pool.inputs, pool.labels)
        return surfree(
            asked, pool.inputs, pool.labels, np.arange(2 * N), bounds, n_queries=120, signed=True, starts=starts
        ).distances

    own, *theirs = (distances(model) for model in (target(), *references.classifiers))
    np.testing.assert_allclose(result.records[name], own - np.mean(theirs, axis=0), atol=1e-6)
    assert "2 reference models (" in result.provenance.definitions[name]
    threat = {t.attack: t for t in result.threat_models}[name]
    assert ("model" in threat.knowledge) == (access == "confidence")  # forgetting begins with the target's parameters


def test_labels_alone_do_not_go_with_forgetting_or_with_models_that_are_not_at_hand():
    asked = Querying(access="label", label_only=(BoundarySearch(120, n_references=2),))
    for references in (
        forgotten(),
        replace(references_from_scratch(RECIPE, AUXILIARY, MEMBERS, NONMEMBERS), classifiers=None),
    ):
        with pytest.raises(InputError, match="Expected access to confidences beside references"):
            audit(target(), members=MEMBERS, nonmembers=NONMEMBERS, adversary=references, querying=asked)
    with pytest.raises(InputError, match="Expected 1 classifiers of the references"):
        replace(forgotten(), classifiers=[])


def test_gradient_norms_come_from_autograd():
    found = forgotten(gradient_norms=True)
    model = FURTHER.fit(
        AUXILIARY, seed=int(vestige_seed()), start=RECIPE.fit(MEMBERS, seed=0)
    ).classifier.requires_grad_(True)
    x, y = torch.from_numpy(NONMEMBERS.inputs[:1]), torch.from_numpy(NONMEMBERS.labels[:1])
    loss = torch.nn.functional.cross_entropy(model(x), y)
    grads = torch.autograd.grad(loss, list(model.parameters()))
    norm = float(torch.cat([g.flatten() for g in grads]).norm())
    assert found.gradient_norms[0, N] == pytest.approx(norm, rel=1e-4)


def vestige_seed() -> int:
    from vestige.core.seeds import stream

    return int(stream(0, "reference model 0").integers(2**31))


def test_an_estimator_can_be_a_reference_of_new_weights_alone():
    recipe = SklearnRecipe(GaussianNB())
    found = references_from_scratch(recipe, AUXILIARY, MEMBERS, NONMEMBERS, n_models=2, share=0.5)
    assert found.kind.kind == "probabilities"
    with pytest.raises(InputError, match="no start with a scikit-learn estimator"):
        references_by_forgetting(target(), recipe, AUXILIARY, MEMBERS, NONMEMBERS)
    with pytest.raises(UnsupportedModelError, match="torch module for gradient norms"):
        references_from_scratch(recipe, AUXILIARY, MEMBERS, NONMEMBERS, gradient_norms=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auxiliary": some(40)}, r"auxiliary records that are not audited, found 40 records that are, such as"),
        ({"validation": some(1_070)}, r"validation records that are not audited, found 10 records"),
        ({"auxiliary": Records(AUXILIARY.inputs, AUXILIARY.labels, classes=2)}, "Expected ids of the auxiliary"),
        ({"n_models": 0}, "at least 1 reference model, found 0"),
        ({"share": 0.0}, "above 0 and up to 1, found 0"),
    ],
)
def test_what_would_not_be_out_models_is_refused(change, message):
    given = {"auxiliary": AUXILIARY, "members": MEMBERS, "nonmembers": NONMEMBERS, **change}
    with pytest.raises(InputError, match=message):
        references_by_forgetting(target(), FURTHER, **given)


def test_people_on_both_sides_are_refused():
    people = [some(first, subjects=np.arange(N) + first) for first in (0, 1_000)]
    mine = some(2_000, subjects=np.arange(N) + 1_079)
    with pytest.raises(InputError, match="found 1 subjects that are, such as 1079"):
        references_from_scratch(RECIPE, mine, *people)


def test_another_network_than_the_targets_is_refused():
    other = replace(FURTHER, network=functools.partial(torch.nn.Linear, 6, 2))
    with pytest.raises(InputError, match="start from the recipe's own network"):
        references_by_forgetting(target(), other, AUXILIARY, MEMBERS, NONMEMBERS)
