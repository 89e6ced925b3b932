"""Source models on records of their own: thresholds are those of a plain loop, pooled; what overlaps is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.auditing.planted import row, rows
from tests.auditing.small_models import torch_recipe

from vestige import Predictions, Querying, Records, Shadow, ShadowTraining, SklearnRecipe, audit, audit_recipe
from vestige.attacks.attack_r import attack_r
from vestige.attacks.learnt_ratio import learnt_ratio_offline
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.label_only import BoundarySearch, NoisyCopies, SettledSearch
from vestige.auditing.results.outliers import precision_of_outliers
from vestige.auditing.shadows.plan import ShadowPlan
from vestige.auditing.trained_models import cost_of, design
from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.outputs import Logits, Probabilities
from vestige.signals.label_only.noise import NoiseStrength
from vestige.signals.phi import phi_from_logits
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.strategies import Strategy

TREE = SklearnRecipe(DecisionTreeClassifier())
N = 60


def noise(n: int = N, seed: int = 0, n_classes: int = 3, **columns: Any) -> Records:
    """Records whose labels nothing tells: whatever a model knows of them, it has memorised."""
    rng = np.random.default_rng([7, seed])
    return Records(rng.normal(size=(n, 4)).astype(np.float32), rng.integers(n_classes, size=n), **columns)


def sides(**columns: Any) -> tuple[Records, Records]:
    return noise(seed=1, **columns), noise(seed=2, **columns)


def tree(members: Records) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(random_state=0).fit(members.inputs, members.labels)


def of_thresholds(result: Any) -> pd.DataFrame:
    found: pd.DataFrame = result.results[result.results["threshold"].str.startswith("shadow")]
    return found.drop(columns="attack").reset_index(drop=True) if found.empty else found.reset_index(drop=True)


# ------------------------------------------------------------------------------------------------- thresholds


@pytest.mark.parametrize("n_sources", [1, 2, 3])
@pytest.mark.parametrize("kind", ["tree", "network"])
def test_thresholds_are_those_of_a_plain_loop_whose_answers_are_put_together(n_sources, kind, tmp_path):
    members, nonmembers = sides()
    own, recipe = noise(seed=3), TREE if kind == "tree" else torch_recipe(epochs=30)
    model = tree(members) if kind == "tree" else recipe.fit(members, seed=0).classifier
    training = ShadowTraining(recipe, records=own, n_sources=n_sources, bank=tmp_path / "bank")
    found = audit(model, members, nonmembers, adversary=training)
    in_pairs = design(n_sources + n_sources % 2, own, 0)[:n_sources]
    plan = ShadowPlan(
        recipe=recipe, records=own, member=in_pairs, seed=0, strategy=Strategy(), groups=[], n_asked=n_sources
    )
    answers = []
    for number, row_ in enumerate(in_pairs):
        trained = recipe.fit(own.take(row_), seed=plan.seed_of(number)).classifier
        if kind == "tree":
            answers.append(trained.predict_proba(own.inputs))
        else:
            import torch

            answers.append(trained(torch.from_numpy(own.inputs)).numpy())
    labels, of = np.tile(own.labels, n_sources), Probabilities if kind == "tree" else Logits
    shadow = Shadow(Predictions(of(np.concatenate(answers)), labels, in_pairs.ravel()))
    table = Predictions(
        of(found_of(model, members, nonmembers, kind)),
        np.concatenate([members.labels, nonmembers.labels]),
        np.arange(2 * N) < N,
    )
    expected = audit(table, adversary=shadow)
    one, other = of_thresholds(found), of_thresholds(expected)
    assert len(one) > 10
    pd.testing.assert_frame_equal(one.drop(columns="n_references"), other.drop(columns="n_references"), rtol=1e-9)
    name = "one shadow model" if n_sources == 1 else f"{n_sources} source models"
    assert found.adversary.knowledge == name
    assert found.adversary.n_references == (0 if n_sources == 1 else n_sources)


def found_of(model: Any, members: Records, nonmembers: Records, kind: str) -> np.ndarray:
    inputs = np.concatenate([members.inputs, nonmembers.inputs])
    if kind == "tree":
        return np.asarray(model.predict_proba(inputs))
    import torch

    return np.asarray(model(torch.from_numpy(inputs)).numpy())


def advantage(result: Any, attack: str = "loss") -> float:
    found = rows(result, attack=attack, threshold="shadow_global", group="all", metric="balanced_accuracy")
    return float(found["value"].iloc[0])


def test_several_play_attacks_without_in_models_and_their_own_records_teach_the_learnt_ratio(tmp_path):
    members, nonmembers, own = noise(seed=1), noise(seed=2), noise(200, seed=3)
    recipe = torch_recipe(epochs=30)
    model = recipe.fit(members, seed=0).classifier
    training = ShadowTraining(recipe, records=own, n_sources=8, bank=tmp_path / "bank")
    attacks = ["loss", "learnt_ratio_offline", "attack_r", "lira_online"]
    found = audit(model, members, nonmembers, adversary=training, attacks=attacks)
    member = design(8, own, 0)
    plan = ShadowPlan(recipe=recipe, records=own, member=member, seed=0, strategy=Strategy(), groups=[], n_asked=8)
    fitted = [recipe.fit(own.take(side), seed=plan.seed_of(number)).classifier for number, side in enumerate(member)]

    def phi(classifier: Any, records: Records) -> np.ndarray:
        import torch

        return phi_from_logits(classifier(torch.from_numpy(records.inputs)).numpy(), records.labels)[:, None]

    audited = [np.concatenate([phi(one, members), phi(one, nonmembers)]) for one in (model, *fitted)]
    about_own, nobody = np.stack([phi(one, own) for one in fitted]), np.zeros((8, 2 * N), dtype=bool)
    plain = {
        "learnt_ratio_offline": learnt_ratio_offline(audited[0], np.stack(audited[1:]), nobody, about_own, member),
        "attack_r": attack_r(audited[0][:, 0], np.stack(audited[1:])[:, :, 0], nobody),
    }
    for attack, scores in plain.items():
        np.testing.assert_allclose(found.records[attack], scores, rtol=1e-4, atol=1e-4)
        assert row(found, attack=attack, metric="auc", group="all").value > 0.65
    assert "lira_online" in {left.attack for left in found.not_run}
    assert found.adversary.knowledge == "8 source models"
    assert found.adversary.n_references == 8


def test_of_models_that_are_not_kept_none_is_asked_again():
    members, nonmembers = sides()
    training = ShadowTraining(FunctionRecipe(memorising), records=noise(seed=3), n_sources=3)
    result = audit(tree(members), members, nonmembers, adversary=training)
    assert result.adversary.n_references == 0
    assert advantage(result) > 0.6


def memorising(inputs: np.ndarray, labels: np.ndarray, *, seed: int) -> Any:
    return DecisionTreeClassifier(random_state=seed).fit(inputs, labels).predict_proba


def test_a_leak_shows_at_the_pooled_threshold_and_none_where_there_is_none(tmp_path):
    training = ShadowTraining(TREE, records=noise(300, 3), n_sources=3, bank=tmp_path)
    members, nonmembers = noise(300, 1), noise(300, 2)
    assert advantage(audit(tree(members), members, nonmembers, adversary=training)) > 0.75
    assert abs(advantage(audit(tree(noise(300, 9)), members, nonmembers, adversary=training)) - 0.5) < 0.08


def test_the_order_of_the_audited_records_changes_no_threshold(tmp_path):
    training = ShadowTraining(TREE, records=noise(seed=3, ids=np.arange(N)), n_sources=2, bank=tmp_path)
    members, nonmembers = noise(seed=1, ids=np.arange(N) + 100), noise(seed=2, ids=np.arange(N) + 200)
    order = np.random.default_rng(0).permutation(N)
    one = audit(tree(members), members, nonmembers, adversary=training)
    other = audit(tree(members), members.take(order), nonmembers.take(order[::-1]), adversary=training)
    pd.testing.assert_frame_equal(of_thresholds(one), of_thresholds(other), rtol=1e-12)


def test_people_are_other_people_in_each_source_model(tmp_path):
    """In a pair of models a person is a member once and a nonmember once, and would be left out as on both sides."""
    members = noise(seed=1, subjects=np.arange(N) // 2)
    nonmembers = noise(seed=2, subjects=np.arange(N) // 2 + 100)
    own = noise(seed=3, subjects=np.arange(N) // 2 + 200)
    training = ShadowTraining(TREE, records=own, n_sources=2, bank=tmp_path)
    result = audit(tree(members), members, nonmembers, adversary=training)
    assert advantage(result) > 0.6
    assert "shadow_subjects_on_both_sides" not in {check.name for check in result.preflight.checks}


def test_a_run_that_goes_on_and_another_target_train_no_source_again(tmp_path, monkeypatch):
    members, nonmembers = sides()
    training = ShadowTraining(TREE, records=noise(seed=3), n_sources=3, bank=tmp_path / "bank")
    first = audit(tree(members), members, nonmembers, adversary=training, run=tmp_path / "run")
    monkeypatch.setattr("vestige.auditing.shadows.job.train_group", None)
    again = audit(tree(members), members, nonmembers, adversary=training, run=tmp_path / "run")
    pd.testing.assert_frame_equal(first.results, again.results)
    audit(tree(noise(seed=9)), noise(seed=9), nonmembers, adversary=training, run=tmp_path / "other")
    words = cost_of(tree(members), members, nonmembers, training, 0, Querying()).lines()
    assert words[0] == "3 of 3 source models are in the bank"


def test_their_classes_go_by_name(tmp_path):
    members, nonmembers = sides(classes=["a", "b", "c"])
    plain = noise(seed=3)
    turned = Records(plain.inputs, np.array([2, 1, 0])[plain.labels], classes=["c", "b", "a"])
    some = Records(plain.inputs, plain.labels % 2, classes=["a", "b"])
    named = Records(plain.inputs, plain.labels, classes=["a", "b", "c"])

    def played(own: Records) -> Any:
        training = ShadowTraining(TREE, records=own, bank=tmp_path / "bank")
        return of_thresholds(audit(tree(members), members, nonmembers, adversary=training))

    pd.testing.assert_frame_equal(played(named), played(turned))
    assert len(played(some))
    with pytest.raises(InputError, match=r"Expected source records of the audited records' classes \(.*\), found 3 wi"):
        played(plain)


# ------------------------------------------------------------------------------------------------ label-only


def test_label_only_thresholds_are_set_on_all_sources_and_the_ratio_is_not_played(tmp_path):
    members, nonmembers = sides()
    copies = NoisyCopies(20, (NoiseStrength(gaussian=0.01), NoiseStrength(gaussian=0.05)))
    probes = (copies, BoundarySearch(n_queries=60, n_references=1), SettledSearch(n_queries=60))
    attacks = ["noise_robustness", "boundary_distance", "settled_boundary_distance", "correctness", "all"]
    training = ShadowTraining(TREE, records=noise(seed=3), n_sources=3, bank=tmp_path)
    querying = Querying(access="label", label_only=probes)
    result = audit(tree(members), members, nonmembers, adversary=training, attacks=attacks, querying=querying)
    for attack in ("noise_robustness", "boundary_distance", "settled_boundary_distance"):
        found = row(result, attack=attack, threshold="shadow_strict", metric="balanced_accuracy", group="all")
        assert found["value"] > 0.6
    left_out = {one.attack for one in result.not_run}
    assert {"label_only_likelihood_ratio", "calibrated_boundary_distance"} <= left_out


def test_as_one_model_each_source_answers_for_its_own_copies(tmp_path):
    from vestige.auditing.shadows.answers import pooled_labels
    from vestige.auditing.shadows.training import train_shadows
    from vestige.training.bank import Bank

    own = noise(seed=3)
    plan = ShadowPlan(
        recipe=TREE,
        records=own,
        member=design(4, own, 0)[:3],
        seed=0,
        strategy=Strategy(),
        groups=[[0], [1], [2]],
        n_asked=3,
        sources=True,
    )
    shadows = train_shadows(plan, tmp_path / "run", Bank(tmp_path / "bank"))
    labels = pooled_labels(shadows, Bank(tmp_path / "bank"))
    each = [
        TREE.fit(own.take(in_), seed=plan.seed_of(i)).classifier.predict(own.inputs)
        for i, in_ in enumerate(plan.member)
    ]
    open_ones = labels.targets()  # held: what it yields is open until the next is asked for
    target = next(open_ones)
    order = np.random.default_rng(0).permutation(3 * N)
    assert labels.pool is not None
    np.testing.assert_array_equal(target.labels(labels.pool.inputs[order], order), np.concatenate(each)[order])
    assert labels.member.shape == (1, 3 * N)
    np.testing.assert_array_equal(labels.member[0], plan.member.ravel())


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (noise(seed=3, ids=np.arange(N) + 59), "Expected source records that are not audited, found 61 records"),
        (noise(seed=1), "Expected source records that are not audited, found 60 with the inputs of an audited one"),
        (noise(seed=3, subjects=np.arange(N)), "Expected subjects of the source models' records and of the audited"),
        (noise(seed=3, n_classes=4), "Expected source records of the audited records' classes"),
    ],
)
def test_records_that_do_not_fit_are_refused_before_anything_is_asked(own, message):
    members, nonmembers = noise(seed=1, ids=np.arange(N)), noise(seed=2, ids=np.arange(N) + 1000)
    if "61" in message:
        members, nonmembers = noise(seed=1, ids=np.arange(N)), noise(seed=2, ids=np.arange(N) + 60)
        message = "Expected source records that are not audited, found 60 records"

    def never(inputs: Any) -> Any:
        raise AssertionError

    with pytest.raises(InputError, match=message):
        audit(never, members, nonmembers, adversary=ShadowTraining(TREE, records=own))


def test_people_on_both_sides_are_refused():
    members = noise(seed=1, ids=np.arange(N), subjects=np.arange(N))
    nonmembers = noise(seed=2, ids=np.arange(N) + 100, subjects=np.arange(N) + 100)
    own = noise(seed=3, ids=np.arange(N) + 200, subjects=np.arange(N) + 159)
    with pytest.raises(InputError, match="found 1 subjects that are, such as 159"):
        audit(tree(members), members, nonmembers, adversary=ShadowTraining(TREE, records=own))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sources": 2}, "Expected records of their own for source models, found n_sources 2 alone"),
        ({"records": noise(), "n_sources": 0}, "Expected 1 source model or more, found 0"),
        ({"records": noise(), "n_models": 8}, "Expected n_sources beside records of source models, found n_models 8"),
        ({"records": [1, 2]}, r"Expected Records or \(inputs, labels\) as records of source models, found list"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ShadowTraining(TREE, **options)


def test_attacks_that_need_models_of_the_audited_records_are_refused_alone_and_not_run_beside_others(tmp_path):
    members, nonmembers = sides()
    training = ShadowTraining(TREE, records=(noise(seed=3).inputs, noise(seed=3).labels), bank=tmp_path)
    with pytest.raises(InputError, match="Expected shadow models for lira_online, found one source model alone"):
        audit(tree(members), members, nonmembers, adversary=training, attacks=["lira_online"])
    result = audit(tree(members), members, nonmembers, adversary=training)
    assert "lira_online" not in set(result.results["attack"])
    assert "attackers with reference models or access to the parameters were not tested" in result.adversary.sentence
    with pytest.raises(InputError, match="Expected no records of source models for the audit of a recipe"):
        audit_recipe(members, training)


# ------------------------------------------------------------------------------------------------- files


def test_a_file_names_their_records(tmp_path):
    for number, name in enumerate(("members", "nonmembers", "own")):
        records = noise(seed=number + 1)
        table = pd.DataFrame(records.inputs, columns=list("abcd")).assign(label=records.labels)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    said = {
        "target": {"model": "m:n"},
        "data": {"members": "members.csv", "nonmembers": "nonmembers.csv"},
        "recipe": {"train": "same", "records": "own.csv", "n_sources": 2},
    }
    training = audit_file_of(said, tmp_path, "audit.toml").training()
    assert training is not None
    assert (training.n_sources, training.n_models, training.records.n_records) == (2, 2, N)
    said["recipe"] = {"train": "same", "records": "m:own"}
    assert "m:own" in audit_file_of(said, tmp_path, "audit.toml").modules()
    said["recipe"] = {"train": "same", "records": "none.csv"}
    with pytest.raises(InputError, match=r"Expected a file or module:name of records, found no file none\.csv"):
        audit_file_of(said, tmp_path, "audit.toml").training()


def test_a_file_names_checkpoints(tmp_path):
    (tmp_path / "own_recipe.py").write_text(
        "import functools\nfrom torch import nn\nfrom vestige import TorchRecipe\n"
        "recipe = TorchRecipe(functools.partial(nn.Linear, 4, 3), epochs=4)\n"
    )
    said = {
        "target": {"model": "m:n"},
        "data": {"members": "members.csv", "nonmembers": "nonmembers.csv"},
        "recipe": {"train": "own_recipe:recipe", "checkpoints": [1, 3], "epoch": 3},
    }
    training = audit_file_of(said, tmp_path, "audit.toml").training()
    assert training is not None
    assert (training.checkpoints, training.epoch) == ((1, 3), 3)


# ------------------------------------------------------------------------------------------------ outliers


@pytest.mark.parametrize("own", [None, noise(seed=3)])
def test_features_of_the_first_trained_model_serve_for_outliers(own, tmp_path):
    members, nonmembers = sides()
    recipe = torch_recipe(epochs=20)
    training = ShadowTraining(recipe, n_models=4, bank=tmp_path) if own is None else None
    training = training or ShadowTraining(recipe, records=own, n_sources=2, bank=tmp_path)
    model = recipe.fit(members, seed=0).classifier
    result = audit(model, members, nonmembers, adversary=training)
    pool = Records(
        *(np.concatenate([getattr(s, name) for s in (members, nonmembers)]) for name in ("inputs", "labels"))
    )
    trained_on = pool if own is None else own
    plan = ShadowPlan(
        recipe=recipe,
        records=trained_on,
        member=design(4, trained_on, 0),
        seed=0,
        strategy=Strategy(),
        groups=[],
        n_asked=4,
    )
    first = recipe.fit(trained_on.take(plan.member[0]), seed=plan.seed_of(0)).classifier
    import torch

    features = first.network[:-1](torch.from_numpy(pool.inputs)).numpy()
    how: dict[str, Any] = {"fraction": 0.2, "n_neighbours": 3}
    found = precision_of_outliers(result, "loss", -1.0, **how)
    ids = np.arange(len(features))
    assert found == precision_of_outliers(result, "loss", -1.0, features=features, ids=ids, **how)
    assert found.outliers.n_called > 0


def test_models_without_a_last_layer_have_no_features(tmp_path):
    members, nonmembers = sides()
    result = audit(tree(members), members, nonmembers, adversary=ShadowTraining(TREE, n_models=4, bank=tmp_path))
    with pytest.raises(
        UnsupportedModelError, match="Expected a torch module with a last layer for features, found a model"
    ):
        precision_of_outliers(result, "loss", -1.0)
    with pytest.raises(InputError, match="Expected features beside an audit without trained models"):
        precision_of_outliers(audit(tree(members), members, nonmembers), "loss", -1.0)


# ------------------------------------------------------------------------------------------------- some records


@pytest.mark.parametrize("n_sources", [1, 2])
def test_thresholds_of_label_only_attacks_are_set_on_the_records_that_sources_are_asked_about(n_sources, tmp_path):
    members, nonmembers = sides()
    own, recipe = noise(seed=3), torch_recipe(epochs=30)
    model = recipe.fit(members, seed=0).classifier
    asking = Querying(label_only=(NoisyCopies(20, choices=(NoiseStrength(gaussian=0.2),)),))
    attacks = ["noise_robustness", "confidence"]

    def found(**options: Any) -> Any:
        training = ShadowTraining(recipe, records=own, n_sources=n_sources, bank=tmp_path / "bank", **options)
        return audit(model, members, nonmembers, adversary=training, attacks=attacks, querying=asking)

    whole, some, every = found(), found(n_asked_about=10), found(n_asked_about=N)
    for one in (some, every):
        assert (one.records == whole.records).all(axis=None)
    pd.testing.assert_frame_equal(every.results, whole.results)
    of_confidence = [one.results.query("attack == 'confidence'") for one in (some, whole)]
    pd.testing.assert_frame_equal(*of_confidence)
    accuracy = "attack == 'noise_robustness' and threshold == 'shadow_strict' and metric == 'balanced_accuracy'"
    values = [one.results.query(f"{accuracy} and group == 'all'")["value"].iloc[0] for one in (some, whole)]
    assert all(0 <= value <= 1 for value in values)


def test_what_learns_from_copies_of_source_records_needs_all_of_them_and_sources_need_records(tmp_path):
    with pytest.raises(InputError, match="n_asked_about"):
        ShadowTraining(TREE, n_asked_about=2)
    for wrong in (0, 3, N + 2):
        with pytest.raises(InputError, match="even number"):
            ShadowTraining(TREE, records=noise(seed=3), n_asked_about=wrong)
