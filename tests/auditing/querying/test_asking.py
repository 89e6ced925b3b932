"""Asking the audited model: levels of access, the ledger of a run, and what is noticed on the way."""

import math
import resource
import sqlite3
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.multiclass import OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from tests.auditing.planted import rows
from tests.targets.models import Far, probabilities_of

from vestige import Predictions, Querying, audit
from vestige.auditing.querying.cost import lines_of_asking
from vestige.auditing.querying.session import again_of
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.trained_models import cost_of
from vestige.core.errors import BudgetError, InputError, OutputError, RunFolderError, TargetError, UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.core.outputs import GradientNorms, Logits, PredictedLabels, Probabilities
from vestige.core.records import Codes, Records, joined
from vestige.core.result import Queries, Validity
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.http.endpoint import Limits
from vestige.targets.opening import DeclaredModel

N = 50  # on each side


def noise(n=N, seed=0, n_classes=3, **columns):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    return Records(rng.normal(size=(n, 2)).astype(np.float32), labels, **columns)


def sides(**columns):
    return noise(ids=np.arange(N), **columns), noise(seed=1, ids=np.arange(N, 2 * N), **columns)


def spent(result) -> Queries:
    assert isinstance(result.queries, Queries)
    return result.queries


def said(result):
    return {check.name: check for check in result.preflight.checks}


class FarDoor:
    """A door to a model that is far away."""

    def __init__(self, **options):
        self.far = Far(**options)

    def open_model(self, n_classes, classes=None):
        return self.far


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()


# ---------------------------------------------------------------------------------------- access


def test_label_access_plays_the_label_only_attack_alone():
    members, nonmembers = sides()
    result = audit(probabilities_of, members=members, nonmembers=nonmembers, querying=Querying(access="label"))
    assert set(result.results["access"]) == {"label"}
    assert [t.attack for t in result.threat_models] == ["correctness"]
    assert result.threat_models[0].knowledge == ("label", "members")
    assert {"loss", "confidence", "entropy"} <= {left.attack for left in result.not_run}
    x, y = joined(members, nonmembers).inputs, joined(members, nonmembers).labels
    gap = (probabilities_of(x).argmax(axis=1) == y).astype(float)
    assert result.records["correctness"].tolist() == gap.tolist()


def test_a_function_that_answers_with_labels_is_audited_with_what_it_gives():
    members, nonmembers = sides(classes=["a", "b", "c"])
    names = np.array(["a", "b", "c"])

    def decide(inputs):
        return PredictedLabels(names[probabilities_of(inputs).argmax(axis=1)])

    result = audit(decide, members=members, nonmembers=nonmembers, querying=Querying(access="label"))
    same = audit(probabilities_of, members=members, nonmembers=nonmembers, querying=Querying(access="label"))
    pd.testing.assert_frame_equal(result.results, same.results)
    with pytest.raises(TargetError, match="number per class, found predicted labels"):
        audit(decide, members=members, nonmembers=nonmembers)


@pytest.mark.parametrize("access", ["confidence", "gradients"])
def test_a_model_that_was_said_to_answer_with_labels_is_refused_before_it_is_asked(access):
    members, nonmembers = sides()
    asked: list[np.ndarray] = []
    door = DeclaredModel(asked.append, AnswerFormat(PredictedLabels))
    for model in (door, OutputCodeClassifier(LinearSVC()).fit(members.inputs, members.labels)):
        with pytest.raises(
            UnsupportedModelError, match="number per class, found predicted labels; ask for access to labels"
        ):
            audit(model, members=members, nonmembers=nonmembers, querying=Querying(access=access))
    assert not asked


@pytest.mark.parametrize("price", [None, 0.4])
def test_an_audit_that_failed_leaves_no_counts_but_the_answers_that_were_paid_for(tmp_path, price):
    members, nonmembers = sides()
    asked = []

    def fails_later(inputs):
        asked.append(len(inputs))
        if len(inputs) == 32:  # those that are asked again
            raise RuntimeError("no memory on the card")
        return probabilities_of(inputs)

    run = tmp_path / "runs" / "one"
    with pytest.raises(TargetError, match="no memory on the card"):
        audit(fails_later, members=members, nonmembers=nonmembers, querying=Querying(price=price), run=run)
    assert sum(asked) == 2 * N + 32
    assert (run / "queries.sqlite").exists() == (price is not None)
    assert (tmp_path / "runs").exists() == (price is not None)


def test_gradient_access_adds_the_gradient_norm_whose_score_is_its_negative():
    members, nonmembers = sides()
    model = network()
    result = audit(model, members=members, nonmembers=nonmembers, querying=Querying(access="gradients"))
    pool = joined(members, nonmembers)
    norms = []
    for x, y in zip(pool.inputs, pool.labels, strict=True):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(x)[None]), torch.tensor([y])).backward()
        norms.append(sum(float(p.grad.double().square().sum()) for p in model.parameters()) ** 0.5)
    np.testing.assert_allclose(result.records["gradient_norm"], -np.array(norms), rtol=1e-5)
    assert set(rows(result, attack="gradient_norm")["access"]) == {"gradients"}
    assert "gradients of the parameters" in result.adversary.sentence
    threat = next(t for t in result.threat_models if t.attack == "gradient_norm")
    assert (threat.interface, threat.knowledge) == ("gradients", ("label", "model", "members"))
    assert len(rows(result, attack="gradient_norm", metric="auc", group="all")) == 1
    assert spent(result).n_sent == 2 * 2 * N + 32


def test_the_gradients_of_a_finished_run_are_not_paid_for_again(tmp_path):
    members, nonmembers = sides()
    asked = Querying(access="gradients", price=1.0, budget=2 * 2 * N + 32)
    first, again = (
        audit(network(), members=members, nonmembers=nonmembers, querying=asked, run=tmp_path / "run") for _ in range(2)
    )
    assert spent(first).n_sent == spent(again).n_sent == 2 * 2 * N + 32
    pd.testing.assert_frame_equal(first.results, again.results)
    free = audit(network(), members=members, nonmembers=nonmembers, querying=Querying(access="gradients"))
    np.testing.assert_allclose(first.records["gradient_norm"], free.records["gradient_norm"], rtol=1e-6)


def test_gradients_of_a_model_that_has_none_are_refused():
    members, nonmembers = sides()
    with pytest.raises(UnsupportedModelError, match="torch module for access to gradients"):
        audit(probabilities_of, members=members, nonmembers=nonmembers, querying=Querying(access="gradients"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"access": "all"}, "label, confidence, gradients"),
        ({"budget": 0}, "at least 1"),
        ({"budget": True}, "whole queries"),
        ({"price": -1.0}, "0 or more"),
        ({"price": math.nan}, "0 or more"),
    ],
)
def test_a_way_of_asking_that_is_none_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Querying(**wrong)


# ---------------------------------------------------------------------------- ledger, budget, price


def test_prices_and_budgets_of_another_type_are_refused_in_words():
    """In a process of its own: here the tests' check of types would refuse them first."""
    wrong = [{"price": "2.50 EUR"}, {"price": True}, {"price": 1j}, {"budget": "100"}, {"budget": 100.5}]
    code = (
        f"import vestige\nfor wrong in {wrong}:\n    try:\n        vestige.Querying(**wrong)\n"
        "    except vestige.VestigeError as e:\n        print(e)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [line[:11] for line in found.stdout.splitlines()] == ["Expected a "] * len(wrong)


def test_every_query_is_counted_and_priced(tmp_path):
    members, nonmembers = sides()
    door = FarDoor()
    result = audit(door, members=members, nonmembers=nonmembers, querying=Querying(price=2.5), run=tmp_path / "run")
    assert spent(result).n_sent == len(door.far.seen) == 2 * N + 32
    assert spent(result).most_per_record == 2
    assert spent(result).cost == pytest.approx(132 * 2.5 / 1000)
    assert str(result.queries) in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "queries.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_run_that_died_asks_nothing_twice_and_ends_alike(tmp_path):
    members, nonmembers = sides()
    dying = FarDoor(dies_after=9)
    with pytest.raises(TargetError, match="dead server"):
        audit(dying, members=members, nonmembers=nonmembers, run=tmp_path / "run")
    n_first = len(dying.far.seen)
    assert 0 < n_first < 2 * N
    alive = FarDoor()
    result = audit(alive, members=members, nonmembers=nonmembers, run=tmp_path / "run")
    assert n_first + len(alive.far.seen) == 2 * N + 32 == spent(result).n_sent
    fresh = audit(FarDoor(), members=members, nonmembers=nonmembers)
    pd.testing.assert_frame_equal(result.results, fresh.results)
    again = FarDoor()
    repeated = audit(again, members=members, nonmembers=nonmembers, run=tmp_path / "run")
    assert again.far.seen == []
    pd.testing.assert_frame_equal(repeated.results, fresh.results)


def test_a_near_model_that_costs_nothing_is_counted_anew_when_the_run_is_played_again(tmp_path):
    members, nonmembers = sides()
    for _ in range(2):
        result = audit(probabilities_of, members=members, nonmembers=nonmembers, run=tmp_path / "run")
        assert spent(result).n_sent == 2 * N + 32


def test_a_ledger_that_is_being_written_is_not_removed(tmp_path):
    members, nonmembers = sides()
    run = tmp_path / "run"

    def twice(inputs):
        with pytest.raises(RunFolderError, match=r"alone with queries\.sqlite"):
            audit(probabilities_of, members=members, nonmembers=nonmembers, run=run)
        return probabilities_of(inputs)

    assert spent(audit(twice, members=members, nonmembers=nonmembers, run=run)).n_sent == 2 * N + 32


def test_another_access_or_other_inputs_find_no_answers_of_this_one(tmp_path):
    members, nonmembers = sides()
    audit(FarDoor(), members=members, nonmembers=nonmembers, run=tmp_path / "run")
    for other in (Querying(access="label"), Querying(inputs=InputSpace(scale=2.0))):
        with pytest.raises(RunFolderError, match="same model as before"):
            audit(FarDoor(), members=members, nonmembers=nonmembers, querying=other, run=tmp_path / "run")


def test_a_budget_smaller_than_a_pass_sends_nothing():
    members, nonmembers = sides()
    door = FarDoor()
    with pytest.raises(BudgetError, match="budget of 132 queries or more, found 131"):
        audit(door, members=members, nonmembers=nonmembers, querying=Querying(budget=131))
    assert door.far.seen == []
    audit(door, members=members, nonmembers=nonmembers, querying=Querying(budget=132))


def files_with(numbers, folder):
    """The files of a run in which any of these numbers stands: as bytes, as text, or in a column of a table."""
    found = set()
    for path in folder.iterdir():
        content = path.read_bytes()
        columns = pd.read_parquet(path).select_dtypes("float") if path.suffix == ".parquet" else pd.DataFrame()
        there = columns.to_numpy(dtype=np.float64).ravel()
        for value in numbers:
            is_written = value.tobytes() in content or repr(float(value))[:9].encode() in content
            if is_written or np.isclose(there, value, rtol=1e-7, atol=0).any():
                found.add(path.name)
    return found


def test_label_access_leaves_no_probability_in_the_run(tmp_path):
    members, nonmembers = sides()
    p = probabilities_of(joined(members, nonmembers).inputs).ravel()
    audit(FarDoor(), members=members, nonmembers=nonmembers, run=tmp_path / "seen")
    assert {"queries.sqlite", "records.parquet"} <= files_with(p, tmp_path / "seen")  # the search finds some
    audit(FarDoor(), members=members, nonmembers=nonmembers, querying=Querying(access="label"), run=tmp_path / "run")
    assert files_with(p, tmp_path / "run") == set()
    with sqlite3.connect(tmp_path / "run" / "queries.sqlite") as db:
        kinds = {
            answers.split(b"|")[0] for (answers,) in db.execute("SELECT answers FROM queries WHERE answers != x''")
        }
    db.close()
    assert kinds == {b"predicted labels"}


def test_a_disk_without_room_for_a_ledger_is_said_and_nothing_stays_of_it(tmp_path):
    members, nonmembers = sides()
    door = FarDoor()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"write queries\.sqlite"):
            audit(door, members=members, nonmembers=nonmembers, run=tmp_path / "runs" / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert door.far.seen == []
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------- what is noticed


def test_the_same_answers_are_said_to_be_the_same():
    members, nonmembers = sides()
    check = said(audit(network(), members=members, nonmembers=nonmembers))["same_answers"]
    assert check.validity is Validity.VALID
    assert "same answers" in check.message


@pytest.mark.parametrize("access", ["label", "confidence"])
def test_a_random_model_is_noticed(access):
    members, nonmembers = sides()
    rng = np.random.default_rng(0)

    def random(inputs):
        return Logits(rng.normal(size=(len(inputs), 3)))

    result = audit(random, members=members, nonmembers=nonmembers, querying=Querying(access=access))
    check = said(result)["same_answers"]
    assert check.validity is Validity.LIMITED
    assert "Asked again about 32 records" in check.message
    assert "evaluation mode" in check.remedy


def test_a_network_that_ends_with_a_softmax_is_refused_with_its_cure():
    members, nonmembers = sides()
    model = torch.nn.Sequential(network(), torch.nn.Softmax(1))
    for access in ("label", "confidence", "gradients"):
        with pytest.raises(TargetError, match=r"found probabilities: .* leave the softmax out of the model"):
            audit(model, members=members, nonmembers=nonmembers, querying=Querying(access=access))


def test_dropout_that_is_on_is_noticed():
    members, nonmembers = sides()
    model = torch.nn.Sequential(network(), torch.nn.Dropout(0.5)).train()
    assert said(audit(model, members=members, nonmembers=nonmembers))["same_answers"].validity is Validity.LIMITED


def test_the_sample_that_is_asked_again_is_drawn_from_all():
    drawn = again_of(1000, 0)
    assert len(np.unique(drawn)) == 32
    assert drawn.max() > 900
    assert not np.array_equal(drawn, again_of(1000, 1))
    assert again_of(5, 0).tolist() == [0, 1, 2, 3, 4]


def test_a_model_that_carries_its_training_rows_is_named():
    members, nonmembers = sides()
    neighbours = KNeighborsClassifier(1).fit(members.inputs, members.labels)
    check = said(audit(neighbours, members=members, nonmembers=nonmembers))["stored_training_rows"]
    assert check.validity is Validity.LIMITED
    assert "KNeighborsClassifier" in check.message
    assert str(N) in check.message
    forest = RandomForestClassifier(5, random_state=0).fit(members.inputs, members.labels)
    assert "stored_training_rows" not in said(audit(forest, members=members, nonmembers=nonmembers))


def test_failed_requests_are_said():
    members, nonmembers = sides()
    result = audit(FarDoor(), members=members, nonmembers=nonmembers)
    assert "requests gave no answer" in said(result)["failed_requests"].message
    assert spent(result).n_failed > 0


# ------------------------------------------------------------------------------------ what inputs may be


def test_inputs_are_prepared_once_and_inside_the_target():
    members, nonmembers = sides()
    given = []

    def seen(inputs):
        given.append(inputs)
        return probabilities_of(inputs)

    space = InputSpace(low=-10, high=10, mean=1.0, scale=2.0)
    audit(seen, members=members, nonmembers=nonmembers, querying=Querying(inputs=space))
    pool = joined(members, nonmembers).inputs
    np.testing.assert_allclose(given[0], (pool - 1) / 2, rtol=1e-6)
    assert given[0].dtype == np.float32


def test_records_out_of_the_declared_range_are_refused_before_anything_is_sent():
    members, nonmembers = sides()
    door = FarDoor()
    with pytest.raises(InputError, match=r"Expected a value in 0\.\.1"):
        audit(door, members=members, nonmembers=nonmembers, querying=Querying(inputs=InputSpace(low=0, high=1)))
    assert door.far.seen == []


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (InputSpace(low=-9, high=9), r"found 300 for record 91; give"),
        (InputSpace(dtype="uint8"), "fit the declared dtype uint8"),
    ],
)
def test_a_record_that_is_none_of_the_declared_is_found_by_the_plan_and_before_others_are_paid_for(space, said):
    def never(inputs):
        raise AssertionError("asked")

    members, nonmembers = sides()
    x = np.abs(nonmembers.inputs)
    x[40] = 300
    querying, other = Querying(price=1.0, inputs=space), Records(x, nonmembers.labels, ids=nonmembers.ids)
    members = Records(np.abs(members.inputs), members.labels, ids=members.ids)
    with pytest.raises(InputError, match=said):
        lines_of_asking(never, members, other, querying, 0)
    with pytest.raises(InputError, match=said):
        audit(never, members=members, nonmembers=other, querying=querying)


# ---------------------------------------------------------------------------------- a table of predictions


def table_of(records, member, *, shuffle=True, classes=None):
    order = np.random.default_rng(3).permutation(records.n_records) if shuffle else np.arange(records.n_records)
    p = probabilities_of(records.inputs)
    columns = list(range(3)) if classes is None else [records.classes.index(c) for c in classes]
    labels = records.labels if classes is None else np.array(records.classes)[records.labels]
    return Predictions(p[order][:, columns], labels[order], member[order], ids=records.ids[order], classes=classes)


def test_a_table_of_predictions_is_matched_by_id_and_class():
    members, nonmembers = sides(classes=["a", "b", "c"])
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    asked = audit(probabilities_of, members=members, nonmembers=nonmembers)
    table = table_of(pool, member, classes=["c", "a", "b"])
    result = audit(table, members=members, nonmembers=nonmembers)
    pd.testing.assert_frame_equal(result.results, asked.results)
    pd.testing.assert_frame_equal(result.records, asked.records)
    assert result.queries is None


def test_label_access_to_a_table_leaves_the_labels():
    members, nonmembers = sides()
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    result = audit(table_of(pool, member), members=members, nonmembers=nonmembers, querying=Querying(access="label"))
    same = audit(probabilities_of, members=members, nonmembers=nonmembers, querying=Querying(access="label"))
    pd.testing.assert_frame_equal(result.results, same.results)


def test_a_table_that_does_not_fit_the_records_is_refused():
    members, nonmembers = sides()
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    with pytest.raises(InputError, match="answer for every record, found none for 50 of 100, such as 50"):
        audit(table_of(pool.take(member), np.arange(N) < 25), members=members, nonmembers=nonmembers)
    with pytest.raises(InputError, match="agree on who is a member"):
        audit(table_of(pool, ~member), members=members, nonmembers=nonmembers)
    with pytest.raises(InputError, match="ids in the table"):
        audit(Predictions(probabilities_of(pool.inputs), pool.labels, member), members=members, nonmembers=nonmembers)
    with pytest.raises(UnsupportedModelError, match="gradients, found a table"):
        audit(table_of(pool, member), members=members, nonmembers=nonmembers, querying=Querying(access="gradients"))
    named = sides(classes=["a", "b", "c"])
    other = table_of(joined(*named), member)
    renamed = Predictions(other.outputs, other.labels, member, ids=pool.ids, classes=["x", "y", "z"])
    with pytest.raises(InputError, match="same classes in the table and the records"):
        audit(renamed, members=named[0], nonmembers=named[1])


def test_numbers_that_name_the_columns_of_a_table_are_the_codes_of_records_without_names():
    members, nonmembers = sides()
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    table = pd.DataFrame(probabilities_of(pool.inputs)[:, [2, 0, 1]], columns=[2, 0, 1])
    result = audit(Predictions(table, pool.labels, member, ids=pool.ids), members=members, nonmembers=nonmembers)
    asked = audit(probabilities_of, members=members, nonmembers=nonmembers)
    pd.testing.assert_frame_equal(result.results, asked.results)


def test_a_table_with_other_labels_than_the_records_is_refused():
    members, nonmembers = sides()
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    other = Predictions(probabilities_of(pool.inputs), (pool.labels + 1) % 3, member, ids=pool.ids)
    with pytest.raises(InputError, match="to have the same labels, found others for 0"):
        audit(other, members=members, nonmembers=nonmembers)


def test_gradients_in_a_table_are_left_out_at_access_to_confidences():
    members, nonmembers = sides()
    pool, member = joined(members, nonmembers), np.arange(2 * N) < N
    outputs = [Probabilities(probabilities_of(pool.inputs)), GradientNorms(np.arange(2.0 * N))]
    result = audit(Predictions(outputs, pool.labels, member, ids=pool.ids), members=members, nonmembers=nonmembers)
    assert "gradient_norm" not in {model.attack for model in result.threat_models}
    assert result.adversary.access == "confidence"


def test_why_a_label_only_model_did_not_answer_is_said():
    members, nonmembers = sides()
    with pytest.raises(TargetError, match="found NaN or infinity, first for record 1"):
        audit(
            lambda inputs: np.full((len(inputs), 3), np.nan),
            members=members,
            nonmembers=nonmembers,
            querying=Querying(access="label"),
        )


def test_answers_that_were_paid_for_are_not_taken_for_those_of_another_function_or_order_of_classes(tmp_path):
    members, nonmembers = sides(classes=["a", "b", "c"])
    audit(probabilities_of, members=members, nonmembers=nonmembers, querying=Querying(price=1.0), run=tmp_path)

    def another(inputs):
        return 1 - probabilities_of(inputs)

    with pytest.raises(RunFolderError, match="same model as before"):
        audit(another, members=members, nonmembers=nonmembers, querying=Querying(price=1.0), run=tmp_path)
    turned = [Records(r.inputs, 2 - r.labels, ids=r.ids, classes=Codes("cba")) for r in (members, nonmembers)]
    with pytest.raises(RunFolderError, match="same model as before"):
        audit(probabilities_of, members=turned[0], nonmembers=turned[1], querying=Querying(price=1.0), run=tmp_path)


def forest_of(records, seed=0):
    return RandomForestClassifier(3, random_state=seed).fit(records.inputs, records.labels)


class Asking:
    """What somebody may write around a model; it notes what it is asked."""

    def __init__(self, model):
        self.model, self.seen = model, []

    def __call__(self, inputs):
        self.seen.append(inputs)
        return self.model.predict_proba(inputs)


@pytest.mark.parametrize(
    "around",
    [
        lambda model: model,
        lambda model: model.predict_proba,
        lambda model: lambda inputs: model.predict_proba(inputs),
        lambda model: partial(RandomForestClassifier.predict_proba, model),
        Asking,
    ],
    ids=["estimator", "method", "closure", "partial", "instance"],
)
def test_answers_that_were_paid_for_are_not_taken_for_those_of_a_model_trained_otherwise(around, tmp_path):
    members, nonmembers = sides()
    asked, run = Querying(price=1.0), tmp_path / "run"
    audit(around(forest_of(members)), members=members, nonmembers=nonmembers, querying=asked, run=run)
    again = audit(around(forest_of(members)), members=members, nonmembers=nonmembers, querying=asked, run=run)
    assert spent(again).n_sent == spent(again).n_kept == 2 * N + 32
    other = around(forest_of(nonmembers))
    with pytest.raises(RunFolderError, match="same model as before"):
        audit(other, members=members, nonmembers=nonmembers, querying=asked, run=run)
    assert not getattr(other, "seen", ())


def test_other_records_in_the_run_of_a_paid_model_are_refused_before_anything_is_sent(tmp_path):
    members, nonmembers = sides()
    audit(FarDoor(), members=members, nonmembers=nonmembers, run=tmp_path / "run")
    door, moved = FarDoor(), Records(members.inputs + 1, members.labels, ids=members.ids)
    with pytest.raises(RunFolderError, match="same records as before"):
        audit(door, members=moved, nonmembers=nonmembers, run=tmp_path / "run")
    assert door.far.seen == []


def test_the_same_is_not_trained_on_inputs_that_are_prepared_for_the_target_alone():
    members, nonmembers = sides()
    model = RandomForestClassifier(n_estimators=2).fit(members.inputs / 10, members.labels)
    asked, training = Querying(inputs=InputSpace(scale=10)), ShadowTraining("same", n_models=2)
    with pytest.raises(InputError, match="found the word same"):
        audit(model, members=members, nonmembers=nonmembers, querying=asked, adversary=training)
    with pytest.raises(InputError, match="found the word same"):
        cost_of(model, members, nonmembers, training, 0, asked)


# -------------------------------------------------------------------------------------------- the plan


def test_the_plan_asks_no_model_that_has_a_budget():
    def never(inputs):
        raise AssertionError("asked")

    members, nonmembers = sides()
    lines = lines_of_asking(never, members, nonmembers, Querying(budget=200), 0)
    assert "nothing was sent" in lines[1]


def test_the_plan_says_queries_and_money_and_sends_nothing():
    members, nonmembers = sides()
    door = FarDoor()
    lines = lines_of_asking(door, members, nonmembers, Querying(price=2.5, budget=200), 0)
    assert lines[0] == "132 queries: 100 for 100 records, 32 of them again, to compare"
    assert "nothing was sent" in lines[1]
    assert lines[2] == "0.33 to pay, at 2.5 per 1,000 queries"
    assert lines[3] == "68 of the budget of 200 queries are left then"
    assert door.far.seen == []
    result = audit(door, members=members, nonmembers=nonmembers, querying=Querying(price=2.5, budget=200))
    assert spent(result).n_sent == 132


def test_a_sum_below_a_hundredth_is_not_said_to_be_nothing():
    members, nonmembers = sides()
    asked = Querying(price=0.02)
    assert lines_of_asking(FarDoor(), members, nonmembers, asked, 0)[2].startswith("0.0026 to pay")
    assert "; 0.0026 at 0.02 per 1,000" in str(
        audit(FarDoor(), members=members, nonmembers=nonmembers, querying=asked).queries
    )


def test_the_plan_counts_equal_inputs_once_where_answers_are_kept():
    members, nonmembers = sides()
    doubled = Records(
        np.concatenate([members.inputs] * 2), np.concatenate([members.labels] * 2), ids=np.arange(100, 200)
    )
    lines = lines_of_asking(FarDoor(), doubled, nonmembers, Querying(), 0)
    assert lines[0].startswith("130 queries: 100 for 150 records, 30")
    assert spent(audit(FarDoor(), members=doubled, nonmembers=nonmembers)).n_sent == 130


def test_the_plan_times_a_near_model():
    members, nonmembers = sides()
    lines = lines_of_asking(network(), members, nonmembers, Querying(access="gradients"), 0)
    assert lines[0].endswith("100 gradients")
    assert "measured on 100 records" in lines[1]


def test_the_plan_refuses_a_budget_that_is_too_small():
    members, nonmembers = sides()
    with pytest.raises(BudgetError, match="budget of 132"):
        lines_of_asking(FarDoor(), members, nonmembers, Querying(budget=5), 0)


# ----------------------------------------------------------------------- one budget for all starts


class Asked:
    """A model of this process that remembers how much it was asked, and can be stopped."""

    def __init__(self, ends_after=None):
        self.n, self.ends_after = 0, ends_after

    def __call__(self, inputs):
        if self.ends_after is not None and self.n >= self.ends_after:
            raise KeyboardInterrupt
        self.n += len(inputs)
        return probabilities_of(inputs)


def test_a_near_model_s_budget_is_for_all_starts_and_its_answers_are_kept(tmp_path):
    members, nonmembers = sides()
    given = {"members": members, "nonmembers": nonmembers, "run": tmp_path / "run", "querying": Querying(budget=260)}
    stopped = Asked(ends_after=64)
    with pytest.raises(KeyboardInterrupt):
        audit(stopped, **given)
    gone_on = Asked()
    result = audit(gone_on, **given)
    assert gone_on.n == 2 * N + 32 - 64  # the rest alone
    # 64 more were about to be asked when it was stopped, and may have been answered.
    assert (spent(result).n_sent, spent(result).n_unanswered) == (2 * N + 32, 36)
    fresh = audit(Asked(), members=members, nonmembers=nonmembers)
    pd.testing.assert_frame_equal(result.results, fresh.results)
    again = Asked()
    audit(again, **given)
    assert again.n == 0


def test_starts_without_a_budget_count_for_one_that_has(tmp_path):
    members, nonmembers = sides()
    given = {"members": members, "nonmembers": nonmembers, "run": tmp_path / "run"}
    for _ in range(2):
        assert spent(audit(probabilities_of, **given)).n_sent == 132
    with pytest.raises(BudgetError, match="budget of 396 queries or more, found 395, of which 264 are spent"):
        audit(probabilities_of, **given, querying=Querying(budget=395))
    result = audit(probabilities_of, **given, querying=Querying(budget=396))
    assert (spent(result).n_sent, spent(result).n_unanswered) == (132, 0)


def test_the_plan_says_what_a_budget_counts():
    members, nonmembers = sides()
    for target, said in ((probabilities_of, "killed loses up to 64 queries"), (FarDoor(), "killed loses up to")):
        lines = lines_of_asking(target, members, nonmembers, Querying(budget=200), 0)
        assert said in lines[-1]
        assert "for all starts into one run" in lines[-1]
    endpoint_like: Any = FarDoor()
    endpoint_like.limits = Limits(n_tries=3, batch=16, n_connections=2)
    lines = lines_of_asking(endpoint_like, members, nonmembers, Querying(budget=200), 0)
    assert "sent again (up to 3 times 16 queries), and the 2 under way" in lines[-1]
