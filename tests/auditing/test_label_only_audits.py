"""Label-only attacks in audits: counted, chosen on shadow models, and played where nothing but a class is answered."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from tests.auditing.planted import of_attack, row

from vestige import Predictions, Querying, Records, ShadowTraining, SklearnRecipe, audit
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.label_only import (
    Augmentations,
    BoundarySearch,
    CombinedDistances,
    NoisyCopies,
    Rotations,
    SettledSearch,
    Translations,
)
from vestige.auditing.label_only.probe import played_with
from vestige.auditing.querying.cost import lines_of_asking
from vestige.auditing.querying.session import TargetSession
from vestige.auditing.selection import select
from vestige.core.errors import BudgetError, InputError, TargetError
from vestige.core.outputs import PredictedLabels
from vestige.core.progress import silent
from vestige.core.records import joined
from vestige.core.targets import AnswerBatch
from vestige.signals.boundary import hop_skip_jump
from vestige.signals.label_only.noise import NoiseStrength
from vestige.targets.ledger import Ledger
from vestige.targets.opening import open_target

N = 120


def sides(n: int = N, seed: int = 0) -> dict[str, Any]:
    """Noise with labels of its own: what a model knows of them it remembers, and forgets a step away."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2 * n, 4)), rng.integers(0, 2, size=2 * n)
    return {"members": Records(x[:n], y[:n]), "nonmembers": Records(x[n:], y[n:])}


def tree(members: Records) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(random_state=0).fit(members.inputs, members.labels)


FEW = NoisyCopies(20, (NoiseStrength(gaussian=0.005), NoiseStrength(gaussian=0.02)))


def test_noise_tells_members_from_labels_alone():
    both = sides()
    result = audit(tree(both["members"]), **both, querying=Querying(access="label", label_only=(FEW,)))
    assert row(result, attack="noise_robustness", metric="auc", group="all").value > 0.62
    assert {"known_half_global", "known_half_strict"} <= set(result.results["threshold"])
    assert result.queries is not None
    assert result.queries.n_sent == 2 * N + 32 + 20 * 2 * N
    assert {t.attack: t.n_queries for t in result.threat_models}["noise_robustness"] == 20
    assert result.provenance.definitions["noise_robustness"].endswith("without shadow models none can be chosen")
    assert result.adversary.access == "label"
    assert [p.n_queries for p in result.power if p.metric == "auc"] == [10]
    assert "label_only_likelihood_ratio" in {left.attack for left in result.not_run}
    assert (result.results.query("attack == 'noise_robustness'")["n_queries"] == 20).all()


def test_fewer_copies_than_the_power_is_looked_at_are_played_too():
    both = sides()
    probe = NoisyCopies(5, FEW.choices)
    result = audit(tree(both["members"]), **both, querying=Querying(access="label", label_only=(probe,)))
    assert row(result, attack="noise_robustness", metric="auc", group="all").value > 0.5


@pytest.mark.parametrize("kind", [BoundarySearch, SettledSearch])
def test_a_search_that_cannot_start_is_refused_before_anything_is_asked(kind):
    def never(inputs):
        raise AssertionError("asked")

    both, querying = sides(), Querying(access="label", label_only=(kind(n_queries=5),), price=1.0)
    with pytest.raises(InputError, match="at least 13 queries a record"):
        audit(never, **both, querying=querying)
    with pytest.raises(InputError, match="at least 13 queries a record"):
        lines_of_asking(never, both["members"], both["nonmembers"], querying, 0)


@pytest.mark.parametrize(
    ("attacks", "n_labels"),
    [(["all"], 20), (["loss"], 0), (["noise_robustness"], 20), (["label_only_likelihood_ratio", "loss"], 0)],
)
def test_the_plan_counts_what_the_attacks_that_are_played_ask(attacks, n_labels):
    both, selection = sides(), select(attacks)
    querying = Querying(label_only=(FEW,), budget=2 * N + 32 + n_labels * 2 * N)
    wanted = played_with(selection.attacks, n_shadows=0)
    lines = lines_of_asking(tree(both["members"]), **both, querying=querying, seed=0, wanted=wanted)
    assert lines[-2].startswith("0 of the budget")
    result = audit(tree(both["members"]), **both, querying=querying, attacks=attacks)
    assert result.queries is not None
    assert result.queries.n_sent == querying.budget


@pytest.fixture(scope="module")
def with_shadows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    both = sides()
    recipe = SklearnRecipe(DecisionTreeClassifier(random_state=0))
    training = ShadowTraining(recipe, n_models=8, bank=folder / "bank")
    probes = (FEW, BoundarySearch(n_queries=120))
    querying = Querying(access="label", label_only=probes)
    result = audit(tree(both["members"]), **both, querying=querying, adversary=training, run=folder / "run")
    return result, folder, both, training


def test_with_shadow_models_strengths_and_thresholds_are_theirs(with_shadows):
    result, folder, _, _ = with_shadows
    played = {t.attack for t in result.threat_models}
    ratios = ("label_only_likelihood_ratio", "label_only_learnt_ratio")
    assert {"correctness", "noise_robustness", *ratios, "boundary_distance"} == played
    for attack in ("noise_robustness", *ratios, "boundary_distance"):
        assert row(result, attack=attack, metric="auc", group="all").value > 0.65
        assert "shadow_global" in set(result.results.query(f"attack == '{attack}'")["threshold"])
    assert "by the balanced accuracy on the first shadow model" in result.provenance.definitions["noise_robustness"]
    assert [(one.attack, one.n_models) for one in result.provenance.learnt] == [("label_only_learnt_ratio", 8)]
    assert result.provenance.definitions[ratios[0]] == result.provenance.definitions[ratios[1]]
    assert (result.adversary.n_references, result.adversary.access) == (8, "label")
    assert "more queries, access to probabilities or to the parameters were not tested" in str(result.adversary)
    names = {check.name for check in result.preflight.checks}
    assert "shadow_models" in names
    assert "shadow_overlap" not in names
    assert "Power against queries" in (folder / "run" / "report.html").read_text()
    assert [(p.attack, p.n_queries) for p in result.power if p.metric == "auc" and p.attack == "boundary_distance"] == [
        ("boundary_distance", 50), ("boundary_distance", 100),
    ]  # fmt: skip


def test_mixtures_compete_with_noise_where_the_learnt_ratio_is_played(with_shadows):
    _, _, both, training = with_shadows
    areas = []
    for attacks, n_choices in ((["label_only_learnt_ratio"], 8), (["label_only_likelihood_ratio"], 4)):
        querying = Querying(access="label", label_only=(NoisyCopies(20),))
        result = audit(tree(both["members"]), **both, querying=querying, adversary=training, attacks=attacks)
        assert f", of {n_choices}, by the TPR" in result.provenance.definitions[attacks[0]]
        assert result.queries is not None
        assert result.queries.n_sent == 2 * N + 32 + 20 * 2 * N
        areas.append(row(result, attack=attacks[0], metric="auc", group="all").value)
    assert areas[0] > areas[1] + 0.05


def test_the_same_audit_again_gives_the_same_scores(with_shadows):
    result, _, both, training = with_shadows
    probes = (FEW, BoundarySearch(n_queries=120))
    again = audit(
        tree(both["members"]), **both, querying=Querying(access="label", label_only=probes), adversary=training
    )
    for attack in ("noise_robustness", "label_only_likelihood_ratio", "boundary_distance"):
        np.testing.assert_array_equal(result.records[attack], again.records[attack])


@pytest.fixture(scope="module")
def by_distance(with_shadows):
    _, _, both, training = with_shadows
    probes = (BoundarySearch(n_queries=100, n_references=2), SettledSearch(n_queries=100))
    asked = Querying(access="label", label_only=probes)
    return audit(tree(both["members"]), **both, querying=asked, adversary=training)


def test_distances_are_compared_with_models_that_never_saw_the_record(by_distance):
    name = "calibrated_boundary_distance"
    assert row(by_distance, attack=name, metric="auc", group="all").value > 0.52  # no record is harder than another
    assert {"shadow_global", "shadow_strict"} <= set(by_distance.results.query(f"attack == '{name}'")["threshold"])
    assert np.isfinite(by_distance.records[name]).all()
    said = by_distance.provenance.definitions[name]
    assert "over 2 shadow models not trained on the record, searched with the same random numbers" in said
    assert {p.n_queries for p in by_distance.power if p.attack == name} == {50, 100}


def test_the_search_that_serves_both_gives_the_distances_of_one_alone(by_distance, with_shadows):
    _, _, both, training = with_shadows
    alone = Querying(access="label", label_only=(BoundarySearch(n_queries=100),))
    result = audit(
        tree(both["members"]), **both, querying=alone, adversary=training, attacks=["correctness", "boundary_distance"]
    )
    np.testing.assert_array_equal(result.records["boundary_distance"], by_distance.records["boundary_distance"])
    columns = ["threshold", "metric", "group", "value", "lower", "upper"]
    one, other = (of_attack(r, "boundary_distance")[columns].reset_index(drop=True) for r in (result, by_distance))
    assert one.equals(other)


def test_a_settled_search_gives_the_verdicts_of_a_whole_one_in_fewer_queries(by_distance):
    wanted = {"threshold": "shadow_strict", "metric": "balanced_accuracy", "group": "all"}
    whole, settled = (
        row(by_distance, attack=name, **wanted).value for name in ("boundary_distance", "settled_boundary_distance")
    )
    assert settled == pytest.approx(whole, abs=0.02)
    [check] = [c for c in by_distance.preflight.checks if c.name == "settled_search"]
    mean = int(check.message.split(" queries a record")[0].rsplit(" ", 1)[1])
    assert mean < 100
    assert "not comparable" in by_distance.provenance.definitions["settled_boundary_distance"]


def test_without_enough_shadow_models_it_says_what_is_missing(with_shadows):
    _, _, both, _ = with_shadows
    probes = (BoundarySearch(n_queries=40, n_references=1), SettledSearch(n_queries=40))
    result = audit(tree(both["members"]), **both, querying=Querying(access="label", label_only=probes))
    why = {left.attack: left.needs for left in result.not_run}
    assert "not trained on each record" in why["calibrated_boundary_distance"]
    assert "threshold says when a search may end" in why["settled_boundary_distance"]
    assert "boundary_distance" in {t.attack for t in result.threat_models}


def test_beside_confidences_all_attacks_are_played():
    both = sides()
    querying = Querying(label_only=(BoundarySearch(n_queries=60, estimator=hop_skip_jump),))
    result = audit(tree(both["members"]), **both, querying=querying)
    assert {"confidence", "boundary_distance"} <= set(result.results["attack"])
    assert "by hop_skip_jump, at most 60 queries" in result.provenance.definitions["boundary_distance"]


def of_images() -> tuple[Any, dict[str, Any]]:
    """A nearest neighbour of small images, which answers with labels."""
    rng = np.random.default_rng(0)
    x, y = rng.random(size=(2 * N, 6, 6, 1)).astype(np.float32), rng.integers(0, 2, size=2 * N)
    both = {"members": Records(x[:N], y[:N]), "nonmembers": Records(x[N:], y[N:])}
    fitted = KNeighborsClassifier(1).fit(x[:N].reshape(N, -1), y[:N])

    def model(images):
        return PredictedLabels(fitted.predict(np.asarray(images).reshape(len(images), -1)))

    return model, both


@pytest.mark.parametrize(("probe", "attack"), [(Translations((1,)), "translations"), (Rotations((10.0,)), "rotations")])
def test_images_are_shifted_and_turned(probe, attack):
    model, both = of_images()
    result = audit(model, **both, querying=Querying(access="label", label_only=(probe,)))
    assert row(result, attack=attack, metric="auc", group="all").value > 0.62


def turned_a_little(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pipeline: one in ten mirrored, all a little brighter or darker."""
    mirrored = np.where(rng.random((len(batch), 1, 1, 1)) < 0.1, batch[:, :, ::-1], batch)
    return (mirrored + rng.normal(scale=0.05, size=(len(batch), 1, 1, 1))).astype(batch.dtype)


def test_draws_of_the_training_pipeline_are_asked_about():
    model, both = of_images()
    result = audit(
        model, **both, querying=Querying(access="label", label_only=(Augmentations(turned_a_little, 30),)),
        attacks=["correctness", "random_augmentations", "noise_robustness"],
    )  # fmt: skip
    assert row(result, attack="random_augmentations", metric="auc", group="all").value > 0.62
    assert {t.attack: t.n_queries for t in result.threat_models}["random_augmentations"] == 30
    assert result.queries is not None
    assert result.queries.n_sent == 2 * N + 32 + 30 * 2 * N
    assert "strength turned_a_little, the only one" in result.provenance.definitions["random_augmentations"]
    assert [p.n_queries for p in result.power if p.metric == "auc"] == [10, 25]
    assert "noise_robustness" in {left.attack for left in result.not_run}


def test_draws_of_the_training_pipeline_feed_the_likelihood_ratio():
    rng = np.random.default_rng(0)
    x, y = rng.random(size=(2 * N, 36)).astype(np.float32), rng.integers(0, 2, size=2 * N)
    both: dict[str, Any] = {"members": Records(x[:N], y[:N]), "nonmembers": Records(x[N:], y[N:])}

    def shaken(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (batch + rng.normal(scale=0.02, size=batch.shape)).astype(batch.dtype)

    result = audit(
        tree(both["members"]), **both, querying=Querying(access="label", label_only=(Augmentations(shaken, 20),)),
        adversary=ShadowTraining(SklearnRecipe(DecisionTreeClassifier(random_state=0)), n_models=8),
    )  # fmt: skip
    assert row(result, attack="label_only_likelihood_ratio", metric="auc", group="all").value > 0.62
    assert row(result, attack="random_augmentations", metric="auc", group="all").value > 0.62


def test_a_pipeline_that_cannot_be_asked_about_is_refused():
    with pytest.raises(InputError, match="Expected a function from a batch and a generator"):
        Augmentations.__post_init__(SimpleNamespace(augment="mirror", n_draws=1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 1 draw"):
        Augmentations(turned_a_little, 0)
    model, both = of_images()
    wrong = Augmentations(lambda batch, rng: batch[:1])
    with pytest.raises(InputError, match="Expected the augmentation to return an array of float32"):
        audit(model, **both, querying=Querying(access="label", label_only=(wrong,)))


def test_distances_of_shifted_copies_are_combined():
    model, both = of_images()
    asked = Querying(access="label", label_only=(CombinedDistances(n_queries=40),))
    result = audit(model, **both, querying=asked)
    assert row(result, attack="combined_distance", metric="auc", group="all").value > 0.62
    assert {t.attack: t.n_queries for t in result.threat_models}["combined_distance"] == 200
    said = result.provenance.definitions["combined_distance"]
    assert "standardised by the target itself, for want of shadow models" in said
    assert "a threshold in place of the paper's network" in said


def test_a_network_reads_which_copies_are_correct():
    model, both = of_images()
    asked = Querying(access="label", label_only=(Translations((1,)),))
    result = audit(model, **both, querying=asked, attacks=["correctness", "nn_augmentation"])
    assert row(result, attack="nn_augmentation", metric="auc", group="all").value > 0.62
    [threat] = [t for t in result.threat_models if t.attack == "nn_augmentation"]
    assert (threat.n_queries, threat.interface) == (5, "label")
    assert "members" in threat.knowledge
    assert "which of 5 copies (translations)" in result.provenance.definitions["nn_augmentation"]
    unasked = audit(model, **both, querying=Querying(access="label"), attacks=["correctness", "nn_augmentation"])
    assert "Translations or Rotations" in {left.attack: left.needs for left in unasked.not_run}["nn_augmentation"]


def test_a_network_reads_the_distances_of_shifted_copies():
    model, both = of_images()
    asked = Querying(access="label", label_only=(CombinedDistances(n_queries=40), Translations((1,))))
    names = ["correctness", "nn_augmentation", "nn_combined_distance"]
    result = audit(model, **both, querying=asked, attacks=names)
    for name in names[1:]:
        assert row(result, attack=name, metric="auc", group="all").value > 0.62
    threat = {t.attack: t for t in result.threat_models}
    assert (threat["nn_combined_distance"].n_queries, threat["nn_augmentation"].n_queries) == (200, 5)
    assert {"members", "label"} <= set(threat["nn_combined_distance"].knowledge)
    assert (
        "5 copies, shifted by 1 pixels or none; L2 distances" in result.provenance.definitions["nn_combined_distance"]
    )
    unasked = audit(model, **both, querying=Querying(access="label"), attacks=["correctness", "nn_combined_distance"])
    assert "CombinedDistances" in {left.attack: left.needs for left in unasked.not_run}["nn_combined_distance"]


@pytest.mark.parametrize(
    "probe", [BoundarySearch(100, likelihood_ratio=True), SettledSearch(100, likelihood_ratio=True)]
)
def test_distances_feed_the_likelihood_ratio(with_shadows, probe):
    _, _, both, training = with_shadows
    asked = Querying(access="label", label_only=(probe,))
    result = audit(tree(both["members"]), **both, querying=asked, adversary=training)
    name = "label_only_likelihood_ratio"
    assert row(result, attack=name, metric="auc", group="all").value > 0.6
    assert {"shadow_global", "shadow_strict"} <= set(result.results.query(f"attack == '{name}'")["threshold"])
    assert "asinh of the signed L2 distance" in result.provenance.definitions[name]
    assert {t.attack: t.interface for t in result.threat_models}[name] == "label"


def test_a_model_that_remembers_nothing_gives_chance():
    both = sides(seed=1)
    constant = DecisionTreeClassifier(max_depth=1, min_samples_leaf=60, random_state=0)
    model = constant.fit(both["nonmembers"].inputs[:60], both["nonmembers"].labels[:60])
    other = {"members": both["members"], "nonmembers": both["nonmembers"].take(np.arange(60, N))}
    result = audit(model, **other, querying=Querying(access="label", label_only=(FEW,)))
    assert abs(row(result, attack="noise_robustness", metric="auc", group="all").value - 0.5) < 0.12


def test_queries_that_took_a_kept_answer_are_none_of_those_that_a_run_has_sent():
    both = sides()
    pool, model = joined(both["members"], both["nonmembers"]), open_target(tree(both["members"]), 2)
    ledger = Ledger(None, pool.n_records)
    ledger.note("boundary_distance", np.arange(2), kept=np.arange(100))
    querying = Querying(access="label", label_only=(BoundarySearch(n_queries=60),))
    session = TargetSession(None, model, model, pool, querying, ledger, silent)
    assert session.reserve(0).label_only == 60 * 2 * N - 2


def test_a_budget_that_does_not_hold_the_labels_sends_nothing():
    both = sides()
    asked: list[int] = []

    def model(inputs):
        asked.append(len(inputs))
        return PredictedLabels(np.zeros(len(inputs), dtype=int))

    with pytest.raises(BudgetError, match="Expected a budget of"):
        audit(model, **both, querying=Querying(access="label", budget=1000, label_only=(FEW,)))
    assert asked == []


def test_an_audit_file_names_the_training_pipeline(tmp_path):
    (tmp_path / "my_pipeline.py").write_text("def augment(batch, rng):\n    return batch\n")
    said = {
        "target": {"model": "m:m", "access": "label"},
        "data": {"members": "a.csv", "nonmembers": "b.csv"},
        "label_only": {"augmentations": {"augment": "my_pipeline:augment", "n_draws": 40}},
    }
    file = audit_file_of(said, tmp_path, "audit.toml")
    assert "my_pipeline:augment" in file.modules()
    [probe] = file.querying().label_only
    assert isinstance(probe, Augmentations)
    assert (probe.augment.__name__, probe.n_draws) == ("augment", 40)
    said["label_only"] = {"augmentations": {"augment": "my_pipeline:missing"}}
    with pytest.raises(InputError, match="Expected missing in my_pipeline"):
        audit_file_of(said, tmp_path, "audit.toml").querying()


def test_an_audit_file_says_what_label_only_attacks_ask(tmp_path):
    said = {
        "target": {"model": "m:m", "access": "label"},
        "data": {"members": "a.csv", "nonmembers": "b.csv"},
        "label_only": {
            "noise": {"n_draws": 50, "flips": [0.01, 0.02]},
            "rotations": [4.0],
            "boundary": {
                "n_queries": 500,
                "estimator": "hop_skip_jump",
                "n_references": 2,
                "likelihood_ratio": True,
            },
            "combined": {"distance": 2, "n_queries": 50},
            "settled": {"n_queries": 400},
        },
    }
    file = audit_file_of(said, tmp_path, "audit.toml")
    assert file.querying().label_only == (
        NoisyCopies(50, (NoiseStrength(flips=0.01), NoiseStrength(flips=0.02))),
        Rotations((4.0,)),
        BoundarySearch(500, hop_skip_jump, n_references=2, likelihood_ratio=True),
        CombinedDistances(2, 50),
        SettledSearch(400),
    )
    assert file.as_tables(tmp_path / "run", [])["label_only"]["noise"]["n_draws"] == 50
    uneven = said | {"label_only": {"noise": {"gaussian": [0.1], "flips": [0.01, 0.02]}}}
    with pytest.raises(InputError, match="Expected as many gaussian as flips in noise"):
        audit_file_of(uneven, tmp_path, "audit.toml").querying()
    with pytest.raises(InputError, match=r"label_only\.boundary\.estimator"):
        audit_file_of(said | {"label_only": {"boundary": {"estimator": "boundary"}}}, tmp_path, "audit.toml")


class Dying:
    """A model far away that stops answering once, after a number of answers."""

    n_classes = 2

    def __init__(self, fitted: Any, answers_before: int) -> None:
        self.fitted, self.left, self.sent = fitted, answers_before, 0
        self.identity = "a model far away"

    def answers(self, inputs: Any) -> PredictedLabels:
        return PredictedLabels(self.fitted.predict(inputs))

    def answers_in_batches(self, inputs: Any, allowance: Any = None) -> Iterator[AnswerBatch]:
        for start in range(0, len(inputs), 50):
            rows = np.arange(start, min(start + 50, len(inputs)))
            if self.left < rows.size:
                self.left = 10**9
                raise TargetError("Expected an answer, found none.")
            self.left -= rows.size
            self.sent += rows.size
            yield AnswerBatch(rows, self.answers(inputs[rows]))

    def open_model(self, n_classes: int, classes: Any = None) -> "Dying":
        return self


def test_a_run_that_died_in_the_middle_pays_for_nothing_twice(tmp_path):
    both = sides()
    querying = Querying(access="label", price=1.0, label_only=(FEW, BoundarySearch(n_queries=40)))
    whole, dying = Dying(tree(both["members"]), 10**9), Dying(tree(both["members"]), 3000)
    straight = audit(whole, **both, querying=querying)
    with pytest.raises(TargetError, match="Expected an answer, found none"):
        audit(dying, **both, querying=querying, run=tmp_path / "run")
    resumed = audit(dying, **both, querying=querying, run=tmp_path / "run")
    assert dying.sent == whole.sent
    assert resumed.queries is not None
    assert resumed.queries.n_sent == whole.sent
    for attack in ("noise_robustness", "boundary_distance"):
        np.testing.assert_array_equal(straight.records[attack], resumed.records[attack])


def test_what_does_not_fit_is_refused():
    both = sides()
    with pytest.raises(InputError, match="Expected 0 or more references"):
        BoundarySearch(n_references=-1)
    with pytest.raises(InputError, match=r"Expected images.* for combined distances"):
        audit(tree(both["members"]), **both, querying=Querying(access="label", label_only=(CombinedDistances(),)))
    with pytest.raises(InputError, match="Expected each kind of label-only queries once"):
        Querying(label_only=(FEW, FEW))
    with pytest.raises(InputError, match=r"Expected images, records x height x width"):
        audit(tree(both["members"]), **both, querying=Querying(access="label", label_only=(Rotations(),)))
    table = Predictions(
        np.full((2 * N, 2), 0.5), np.zeros(2 * N, dtype=int), np.arange(2 * N) < N, ids=np.arange(2 * N)
    )
    with pytest.raises(InputError, match="Expected a model for label-only queries, found a table of predictions"):
        audit(table, **both, querying=Querying(label_only=(FEW,)))
    training = ShadowTraining(SklearnRecipe(DecisionTreeClassifier()), n_models=2)
    with pytest.raises(InputError, match="Expected label-only queries for shadow models with access to labels only"):
        audit(tree(both["members"]), **both, querying=Querying(access="label"), adversary=training)
