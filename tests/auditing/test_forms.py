"""The same model's answers and records give the same table in every form that people have them in."""

import subprocess
import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import vestige
from vestige import Predictions, Records, ShadowTraining, TorchRecipe, audit
from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.result import Validity
from vestige.training.executors.in_process import InProcess

N, K = 200, 3
RNG = np.random.default_rng(0)
X, Y, MEMBER = RNG.normal(size=(2 * N, 6)).astype(np.float32), RNG.integers(0, K, 2 * N), np.arange(2 * N) < N
NETWORK = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, K))


@cache
def network(n_outputs: int = K) -> nn.Module:
    """A network that learnt some of its members' labels by heart."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, n_outputs))
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    x, y = torch.tensor(X[MEMBER]), torch.tensor(Y[MEMBER])
    for _ in range(80):
        optimiser.zero_grad()
        logits = made(x)
        if n_outputs == 1:
            loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], (y > 0).float())
        else:
            loss = nn.functional.cross_entropy(logits, y)
        loss.backward()
        optimiser.step()
    return made.eval()


@cache
def logits(n_outputs: int = K) -> np.ndarray:
    return np.asarray(network(n_outputs)(torch.tensor(X)).detach())


def assert_same(found: Any, expected: Any) -> None:
    for table in ("results", "records"):
        own, other = getattr(found, table), getattr(expected, table)
        shared = [c for c in own.columns if c in other.columns and c != "n_queries"]
        pd.testing.assert_frame_equal(own[shared], other[shared], check_exact=False, rtol=0, atol=1e-5)


class Returns(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.network, self.wrap = network(), wrap

    def forward(self, x):
        return self.wrap(self.network(x))


Z, H = torch.tensor(logits()), np.zeros((2 * N, 4, 4))
SIDES = [(X[side], Y[side]) for side in (MEMBER, ~MEMBER)]
FORMS: dict[str, Any] = {
    "batches": lambda: audit(Predictions(Logits(list(Z.split(32))), torch.tensor(Y), torch.tensor(MEMBER))),
    "outputs of a trainer": lambda: audit(Predictions(SimpleNamespace(logits=Z), Y[:, None], MEMBER[:, None])),
    "several outputs": lambda: audit(Predictions(Logits((Z, H)), Y, MEMBER)),
    "module": lambda: audit(network(), *SIDES),
    "module of several outputs": lambda: audit(Returns(lambda z: (z, z[:, :1].repeat(1, 7))), *SIDES),
    "module of a dict": lambda: audit(Returns(lambda z: {"logits": z}), *SIDES),
    "function of an object": lambda: audit(lambda x: SimpleNamespace(logits=network()(torch.tensor(x))), *SIDES),
    "loaders": lambda: audit(network(), *(DataLoader(dataset(*side), 32) for side in SIDES)),
    "data sets": lambda: audit(network(), *(dataset(*side) for side in SIDES)),
}


def dataset(x, y):
    return TensorDataset(torch.tensor(x), torch.tensor(y))


@cache
def plain():
    return audit(Predictions(Logits(logits()), Y, MEMBER))


@pytest.mark.parametrize("form", FORMS)
def test_the_table_is_the_same_in_every_form(form):
    assert plain().records["loss"].std() > 0.1
    assert_same(FORMS[form](), plain())


def test_a_shuffled_loader_keeps_each_label_beside_its_record():
    """The rows come in another order, so only numbers that do not depend on it are the same: areas of all records."""
    shuffled = [DataLoader(dataset(*side), 32, shuffle=True) for side in SIDES]
    found, expected = (r.results for r in (audit(network(), *shuffled), plain()))
    tables = [table.query("metric == 'auc' and group == 'all'") for table in (found, expected)]
    areas = [table.drop_duplicates("attack").set_index("attack")["value"] for table in tables]
    pd.testing.assert_series_equal(areas[0], areas[1], check_exact=False, atol=1e-5)


def test_what_a_module_was_read_for_is_said():
    checks = audit(Returns(lambda z: (z, z[:, :1].repeat(1, 7))), *SIDES).preflight.checks
    said = next(check for check in checks if check.name == "outputs")
    assert (said.validity, said.message) == (
        Validity.VALID,
        "Warning: of the module's outputs, number 1 of 2 was read as its logits, by its shape.",
    )


BINARY = np.where(Y > 0, 1, 0)
ONE = {
    "logits": lambda: audit(Predictions(Logits(logits(1)), BINARY, MEMBER)),
    "logits of signs": lambda: audit(Predictions(Logits(logits(1)), 2 * BINARY - 1, MEMBER)),
    "two logits": lambda: audit(Predictions(Logits(np.column_stack([0 * logits(1), logits(1)])), BINARY, MEMBER)),
    "sigmoid": lambda: audit(Predictions(1 / (1 + np.exp(-logits(1).astype(float))), BINARY, MEMBER)),
}


@pytest.mark.parametrize("form", ONE)
def test_one_column_is_the_second_of_two_classes_in_every_form(form):
    sides = [(X[side], BINARY[side]) for side in (MEMBER, ~MEMBER)]
    expected = audit(network(1), *sides)
    found = ONE[form]()
    own, other = (r.results.query("metric == 'auc'")[["attack", "value"]].iloc[:6] for r in (found, expected))
    pd.testing.assert_frame_equal(own, other, check_exact=False, rtol=0, atol=1e-5)


def test_sigmoids_said_to_be_logits_are_refused():
    with pytest.raises(InputError, match=r"Expected logits, found one number a row, all in \[0, 1\].*Probabilities\("):
        audit(Predictions(Logits(1 / (1 + np.exp(-logits(1)))), BINARY, MEMBER))


def test_a_module_of_sigmoids_is_told_what_to_write():
    with pytest.raises(TargetError, match=r"in Python give a function that returns Probabilities\(\.\.\.\)"):
        audit(nn.Sequential(network(1), nn.Sigmoid()), (X[MEMBER], BINARY[MEMBER]), (X[~MEMBER], BINARY[~MEMBER]))


# --------------------------------------------------------------------------------- numbers as they are


def softmax(k: int) -> torch.Tensor:
    z = torch.tensor(4 * RNG.normal(size=(2 * N, k)), dtype=torch.float32)
    return torch.softmax(z, 1)


@pytest.mark.parametrize("k", [20, 1000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_softmax_rows_of_half_precision_are_read_whatever_keeps_them(k, dtype):
    p, labels = softmax(k).to(dtype), RNG.integers(0, k, 2 * N)
    wide = p.float().numpy()
    assert np.abs(wide.sum(1) - 1).max() > 1e-4
    sides = [(X[side], labels[side]) for side in (MEMBER, ~MEMBER)]
    answer_of = {row.tobytes(): answer for row, answer in zip(X, wide, strict=True)}
    records = [Records(*side, classes=k) for side in sides]
    results = [
        audit(Predictions(p, labels, MEMBER)),
        audit(Predictions(wide, labels, MEMBER)),
        audit(Predictions(wide.astype(float), labels, MEMBER)),
        audit(lambda x: np.array([answer_of[row.tobytes()] for row in x]), *records),
    ]
    for result in results:
        check = next(c for c in result.preflight.checks if c.name == "rounded_probabilities")
        assert f"rounded to {str(dtype).removeprefix('torch.')}:" in check.message
        assert_same(result, results[0])


def test_rows_that_miss_1_by_more_than_half_precision_are_refused():
    p = softmax(20).to(torch.float16).float().numpy()
    p[7] = np.float16(p[7] / 2)
    with pytest.raises(
        InputError, match=r"a sum of 0\.[45].* in row 8; give a column for every class, or divide each row"
    ):
        audit(Predictions(p, Y, MEMBER))


@pytest.mark.parametrize("decimals", [1, 7])
def test_percentages_are_told_what_to_write(decimals):
    with pytest.raises(InputError, match="in row 1; these are percentages: divide them by 100"):
        audit(Predictions((100 * softmax(5).numpy()).round(decimals), Y, MEMBER))


@pytest.mark.parametrize("outputs", [Probabilities(np.full((2 * N, K), 1 / K)), Logits(np.zeros((2 * N, K)))])
def test_constant_answers_limit_an_audit(outputs):
    result = audit(Predictions(outputs, Y, MEMBER))
    assert result.validity is Validity.LIMITED
    assert [c.name for c in result.preflight.checks if c.validity is Validity.LIMITED] == ["constant_answers"]


def test_a_model_that_gives_one_class_to_everybody_limits_an_audit_by_labels():
    result = audit(lambda x: PredictedLabels(np.full(len(x), 2)), *SIDES, querying=vestige.Querying(access="label"))
    assert "constant_answers" in [c.name for c in result.preflight.checks if c.validity is Validity.LIMITED]


@pytest.mark.parametrize("wrap", [lambda forest: forest, lambda forest: make_pipeline(StandardScaler(), forest)])
def test_exact_0_and_1_of_a_forest_are_a_note(wrap, tmp_path):
    forest = wrap(RandomForestClassifier(5, random_state=0)).fit(*SIDES[0])
    training = ShadowTraining("same", n_models=4, bank=tmp_path, executor=InProcess())
    checks = audit(forest, *SIDES, adversary=training).preflight.checks
    [said] = [check for check in checks if check.name == "saturated_answers"]
    assert (said.validity, said.remedy) == (Validity.VALID, "")
    assert "are exactly 0 or 1" in said.message


@pytest.mark.parametrize("order", ["shuffled", "grouped by class"])
def test_rows_in_another_order_than_the_labels_are_among_the_causes(order):
    rng = np.random.default_rng(0)
    z = np.where(MEMBER, 6.0, 2.0)[:, None] * np.eye(K)[Y] + rng.normal(size=(2 * N, K))
    members = rng.permutation(N) if order == "shuffled" else np.argsort(Y[MEMBER], kind="stable")
    result = audit(Predictions(Logits(z[np.concatenate([members, N + np.arange(N)])]), Y, MEMBER))
    remedy = " ".join(c.remedy for c in result.preflight.checks if c.validity is Validity.CONFOUNDED)
    assert "rows in another order than the labels" in remedy


# ------------------------------------------------------------------------------------------------ slips


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: audit(logits(), Y, MEMBER), r"found ndarray; of answers write vestige\.audit\(vestige\.Predictions\("),
        (lambda: audit(Z, Y, MEMBER), "found Tensor; of answers write"),
        (lambda: audit(Logits(Z), Y, MEMBER), "found Logits; of answers write"),
        (lambda: audit(Z.tolist(), Y, MEMBER), "found list; of answers write"),
        (lambda: TorchRecipe(NETWORK, epochs=1), "that makes a network, found a Sequential itself; .*give its class"),
        (lambda: audit(network(), X, X), r"Expected Records or \(inputs, labels\) as members, found ndarray"),
    ],
)
def test_a_slip_is_answered_in_one_line_with_the_cure(call, said):
    with pytest.raises(InputError, match=said) as refusal:
        call()
    assert "\n" not in str(refusal.value)


UNCHECKED = """
import numpy as np, sklearn.tree, torch, vestige
network, sides = torch.nn.Linear(2, 2), [(np.eye(2), [0, 1])] * 2
for slip in (
    lambda: vestige.audit(network, *sides, adversary=vestige.TorchRecipe(torch.nn.Linear, epochs=1)),
    lambda: vestige.audit(network, *sides, adversary=vestige.SklearnRecipe(sklearn.tree.DecisionTreeClassifier())),
    lambda: vestige.audit(network, *sides, adversary=network),
    lambda: vestige.TorchRecipe("net", epochs=1),
    lambda: vestige.ShadowTraining(torch.nn.Sequential(network, network)),
):
    try:
        slip()
    except vestige.core.errors.InputError as error:
        print(error)
"""


def test_things_of_other_types_are_answered_in_one_line_each():
    """In a process of its own: here, types are checked before Vestige sees them."""
    done = subprocess.run([sys.executable, "-c", UNCHECKED], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 5
    cure = "write adversary=vestige.ShadowTraining(recipe) to train models with it."
    assert (
        said[0]
        == f"Expected Shadow, References, ReferenceTraining or ShadowTraining as adversary, found TorchRecipe; {cure}"
    )
    assert said[1].endswith(f"found SklearnRecipe; {cure}")
    assert said[2].endswith("found Linear; such as adversary=vestige.Shadow(predictions).")
    assert "found a str itself" in said[3]
    assert said[4].startswith("Expected a recipe or the word same, found Sequential(")


def test_a_torch_recipe_without_torch_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(vestige, "_of_stub", missing)
    with pytest.raises(
        UnsupportedModelError,
        match=r"the package torch for TorchRecipe.*pip install 'safetensors>=[\d.]+' 'torch>=[\d.]+'",
    ):
        vestige.__getattr__("TorchRecipe")


def test_labels_from_1_are_told_how_to_be_named():
    records = [Records(x, y + 1) for x, y in SIDES]
    with pytest.raises(TargetError, match=r"if the labels count from 1, name the classes \(classes=\[1, 2, \.\.\.\]"):
        audit(network(), *records)
    named = [Records(x, y + 1, classes=[1, 2, 3]) for x, y in SIDES]
    found, expected = (r.results.query("metric == 'auc'")["value"] for r in (audit(network(), *named), plain()))
    np.testing.assert_allclose(found.to_numpy()[:6], expected.to_numpy()[:6], atol=1e-5)
