"""Tensors and frames of other libraries give the numbers that arrays and pandas give."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier
from torch.utils.data import TensorDataset

from vestige import Predictions, Records, audit
from vestige.core.columns import in_memory
from vestige.core.outputs import Logits, Probabilities

RNG = np.random.default_rng(0)
N = 80
X, Y, MEMBER = RNG.normal(size=(N, 3)).astype(np.float32), RNG.integers(0, 2, N), np.arange(N) < N // 2
FRAME = pd.DataFrame(X, columns=list("abc"))
TREE = DecisionTreeClassifier(random_state=0).fit(X[MEMBER], Y[MEMBER])


def played(members, nonmembers, model=TREE):
    return audit(model, members, nonmembers, attacks=["loss"]).records


def test_tensors_are_read_whatever_their_type_and_gradients():
    usual = Predictions(Logits(X), Y, MEMBER)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        tensor = torch.tensor(X, dtype=dtype, requires_grad=True)
        given = Predictions(Logits(tensor), torch.tensor(Y), torch.tensor(MEMBER))
        np.testing.assert_array_equal(given.outputs[0].whole(), tensor.detach().to(torch.float64).numpy())
        np.testing.assert_array_equal(given.labels, usual.labels)
        np.testing.assert_array_equal(given.member, usual.member)
    assert in_memory(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


def test_sides_may_be_tensors_or_a_tensor_dataset():
    arrays = played((X[MEMBER], Y[MEMBER]), (X[~MEMBER], Y[~MEMBER]))
    tensors = [(torch.tensor(X[side]), torch.tensor(Y[side])) for side in (MEMBER, ~MEMBER)]
    pd.testing.assert_frame_equal(played(*tensors), arrays)
    pd.testing.assert_frame_equal(played(*(TensorDataset(*side) for side in tensors)), arrays)


def test_frames_of_arrow_keep_their_columns_names():
    named = DecisionTreeClassifier(random_state=0).fit(FRAME[MEMBER], Y[MEMBER])
    sides = [(FRAME[side].reset_index(drop=True), Y[side]) for side in (MEMBER, ~MEMBER)]
    arrow = [(pa.table({c: frame[c] for c in frame}), pa.array(y)) for frame, y in sides]
    pd.testing.assert_frame_equal(played(arrow[0], arrow[1], named), played(sides[0], sides[1], named))
    assert Records(*arrow[0]).inputs.columns.tolist() == ["a", "b", "c"]


def test_groups_and_ids_may_be_columns_of_arrow():
    ids, ward = pa.array([f"r{i}" for i in range(N)]), pa.table({"ward": ["a", "b"] * (N // 2)})
    p = np.full((N, 2), 0.5)
    given = Predictions(Probabilities(pa.table({"0": p[:, 0], "1": p[:, 1]})), Y, MEMBER, ids=ids, groups=ward)
    assert given.ids is not None
    assert given.ids[:2].tolist() == ["r0", "r1"]
    assert given.groups["ward"][:2].tolist() == ["a", "b"]


@pytest.mark.parametrize("value", [X, FRAME, [1, 2], None, "text"])
def test_anything_else_stays_what_it_is(value):
    assert in_memory(value) is value
