"""Arrays out of what training code has: lists of batches, a trainer's outputs, loaders, data sets and generators."""

from collections import namedtuple
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from vestige import Predictions, Records
from vestige.core.batches import alone
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, Probabilities

RNG = np.random.default_rng(0)
N, K = 40, 3
Z = RNG.normal(size=(N, K)).astype(np.float32)
H = RNG.normal(size=(N, 4, 8)).astype(np.float32)
X, Y, MEMBER = RNG.normal(size=(N, 5)).astype(np.float32), RNG.integers(0, K, N), np.arange(N) % 2
T = torch.tensor(Z)
PredictionOutput = namedtuple("PredictionOutput", "predictions label_ids metrics")


class OnGpu:
    """A tensor on another device: NumPy cannot read it before it was detached and brought here."""

    def __init__(self, values, here=False):
        self.values, self.here = values, here
        self.shape, self.dtype = values.shape, values.dtype

    def __array__(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def detach(self):
        return self

    def cpu(self):
        return OnGpu(self.values, here=True)

    def numpy(self):
        assert self.here
        return self.values


class Cupy:
    __cuda_array_interface__ = None
    shape = Z.shape

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self):
        return Z


def objects(rows):
    held = np.empty(len(rows), dtype=object)
    held[:] = rows
    return held


FORMS = {
    "tensors of batches": lambda: list(T.split(7)),
    "a tuple of batches": lambda: T.split(7),
    "arrays of batches": lambda: np.array_split(Z, 6),
    "rows that need gradients": lambda: list(T.clone().requires_grad_()),
    "on a GPU": lambda: OnGpu(Z),
    "batches on a GPU": lambda: [OnGpu(part) for part in np.array_split(Z, 6)],
    "CuPy": Cupy,
    "objects": lambda: Z.astype(object),
    "a column of lists": lambda: objects(Z.tolist()),
    "a pandas column of lists": lambda: pd.Series(Z.tolist()),
    "a column of arrays": lambda: objects(list(Z)),
    "logits and hidden states": lambda: (Z, H),
    "a loss, logits and hidden states": lambda: (torch.tensor(0.3), T, torch.tensor(H)),
    "no loss and logits": lambda: (None, T),
    "a prediction output": lambda: PredictionOutput(Z, Y, {}),
    "a prediction output with hidden states": lambda: PredictionOutput((Z, H), Y, {}),
    "a dict": lambda: {"logits": T, "loss": None},
    "a model output": lambda: SimpleNamespace(logits=T, loss=None),
    "model outputs of batches": lambda: [SimpleNamespace(logits=part) for part in T.split(7)],
    "dicts of batches": lambda: [{"logits": part} for part in T.split(7)],
    "tuples of batches": lambda: list(zip(T.split(7), torch.tensor(H).split(7), strict=True)),
}


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_the_same_in_every_form(form):
    read = Predictions(Logits(FORMS[form]()), Y, MEMBER)
    np.testing.assert_array_equal(read.outputs[0].whole(), Z)


@pytest.mark.parametrize("of_ours", [lambda: T.bfloat16(), lambda: Z.astype(ml_dtypes.bfloat16)])
def test_bfloat16_is_read_as_float32(of_ours):
    read = Logits(of_ours()).whole()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, T.bfloat16().float().numpy())


def test_what_was_chosen_is_said():
    notes = Predictions(Logits((Z, H)), Y, MEMBER).notes
    shapes = "(40, 3), (40, 4, 8)"
    assert notes == (f"Warning: of 2 outputs of shapes {shapes} the one with 2 axes was read as logits.",)
    assert "the one with 2 axes was read as logits" in Logits(FORMS["tuples of batches"]()).notes[0]
    assert Predictions(Logits({"logits": Z}), Y, MEMBER).notes == ()


def test_what_is_called_logits_is_no_table_of_probabilities():
    assert Predictions({"logits": Z}, Y, MEMBER).output(Logits) is not None
    assert Predictions([SimpleNamespace(logits=Z)], Y, MEMBER).output(Logits) is not None
    assert Predictions({"probabilities": np.full((N, K), 1 / K)}, Y, MEMBER).output(Probabilities) is not None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((Z, RNG.normal(size=(N, 9))), r"logits as one array, found 2 of shapes \(40, 3\), \(40, 9\); give the logits"),
        ((Z, H[:7]), "found 2 of shapes"),
        ([pd.DataFrame(Z), pd.DataFrame(Z)[[2, 1, 0]]], "found 2 of shapes"),
        ({"scores": Z}, r"found a mapping with scores; give the array alone, such as outputs\['logits'\]"),
        ([[1.0, 2.0], [3.0]], "found list that gives none"),
        (torch.zeros(4, 3, device="meta"), "found Tensor that gives none"),
    ],
)
def test_what_could_be_several_arrays_or_none_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        Logits(values)


def test_columns_may_come_in_batches_and_as_columns():
    loss = RNG.random(N).astype(np.float32)
    labels, member = torch.tensor(Y), torch.tensor(MEMBER)
    read = Predictions(Loss(list(torch.tensor(loss).split(7))), list(labels.split(7)), member.split(9))
    np.testing.assert_array_equal(read.outputs[0].whole(), loss)
    np.testing.assert_array_equal(read.labels, Y)
    np.testing.assert_array_equal(read.member, MEMBER == 1)
    columns = Predictions(Logits(Z), Y[:, None], MEMBER[:, None], ids=np.arange(N)[:, None])
    np.testing.assert_array_equal(columns.member, MEMBER == 1)
    assert columns.ids is not None


def test_a_member_for_each_side_is_told_how_to_be_one_column():
    with pytest.raises(InputError, match=r"found shape \(40, 2\); give one column, such as member\[:, 1\]"):
        Predictions(Logits(Z), Y, np.eye(2)[MEMBER])


def test_words_as_member_are_told_how_to_be_numbers():
    with pytest.raises(InputError, match="found no, yes; code nonmembers 0 and members 1, such as member == 'yes' in"):
        Predictions(Logits(Z), Y, np.where(MEMBER, "yes", "no"))


# ------------------------------------------------------------------------------------ records

DATA = TensorDataset(torch.tensor(X), torch.tensor(Y))


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


STREAMS = {
    "a tensor data set": lambda: DATA,
    "a loader": lambda: DataLoader(DATA, 7),
    "a shuffling loader": lambda: DataLoader(DATA, 7, shuffle=True, generator=torch.Generator().manual_seed(0)),
    "a loader without batches": lambda: DataLoader(DATA, batch_size=None),
    "a subset": lambda: Subset(DATA, list(range(N))),
    "an iterable data set": Streamed,
    "a generator of pairs": lambda: ((x, int(y)) for x, y in zip(X, Y, strict=True)),
    "a generator of batches": lambda: ((x, y) for x, y in zip(np.array_split(X, 6), np.array_split(Y, 6), strict=True)),
    "a list of pairs": lambda: [DATA[row] for row in range(N)],
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_gives_inputs_and_their_own_labels(stream):
    records = Records(STREAMS[stream]())
    label_of = {row.tobytes(): label for row, label in zip(X, Y, strict=True)}
    assert {row.tobytes() for row in records.inputs} == set(label_of)
    assert records.labels.tolist() == [label_of[row.tobytes()] for row in records.inputs]
    assert (records.inputs.tolist() == X.tolist()) == (stream != "a shuffling loader")


@pytest.mark.parametrize(
    "inputs",
    [
        lambda: DataLoader(TensorDataset(torch.tensor(X)), 7),
        lambda: TensorDataset(torch.tensor(X)),
        lambda: (row for row in X),
        lambda: iter(np.array_split(X, 6)),
        lambda: list(torch.tensor(X)),
        lambda: list(torch.tensor(X).split(7)),
        lambda: DataLoader(DATA, 7),
    ],
)
def test_inputs_of_a_stream_stand_beside_labels_that_are_given(inputs):
    records = Records(inputs(), Y)
    np.testing.assert_array_equal(records.inputs, X)
    np.testing.assert_array_equal(records.labels, Y)


def test_images_may_be_rows_or_batches():
    images = RNG.random((6, 2, 4, 4)).astype(np.float32)
    for given in (list(images), [images[:4], images[4:]], (image for image in images), iter([images[:4], images[4:]])):
        np.testing.assert_array_equal(Records(given, [0, 1] * 3).inputs, images)


@pytest.mark.parametrize(
    ("inputs", "labels", "said"),
    [
        (lambda: DataLoader(DATA, 7, shuffle=True), Y, "others beside it: it may shuffle; leave the labels out"),
        (lambda: X, None, r"a label for every record, found none; give Records\(inputs, labels\)"),
        (lambda: TensorDataset(torch.tensor(X)), None, "a label for every record, found none"),
        (lambda: iter([]), None, "records from list_iterator, found none"),
        (lambda: ({"x": x} for x in X), None, r"\(inputs, labels\) from generator, found dict of 1; give one"),
        (lambda: zip(X, X, Y, strict=True), None, "from zip, found tuple of 3"),
        (lambda: iter([(X[:3], Y[:3]), (X[:3, :2], Y[:3])]), None, r"records of one shape, found \(3, 2\), \(3, 5\)"),
        (object, Y, "found object; give an array|found 0 axes"),
    ],
)
def test_what_gives_no_records_is_refused_in_one_line(inputs, labels, said):
    with pytest.raises(InputError, match=said) as refusal:
        Records(inputs(), labels)
    assert "\n" not in str(refusal.value)


def test_inputs_beside_predictions_may_be_batches():
    read = Predictions(Logits(Z), Y, MEMBER, inputs=list(torch.tensor(X).split(7)))
    np.testing.assert_array_equal(read.inputs, X)


def test_a_plain_list_of_rows_is_left_alone():
    assert alone([[1.0, 2.0]], "logits", 2) == ([[1.0, 2.0]], "")


# -------------------------------------------------------------------------------- labels -1, 1


def test_minus_one_and_one_are_classes():
    signs = np.where(Y > 0, 1, -1)
    for labels in (signs, signs.astype(float), signs[:, None], torch.tensor(signs)):
        records = Records(X, labels)
        assert (records.classes, records.labels.tolist()) == (("-1", "1"), (signs > 0).astype(int).tolist())
        read = Predictions(Logits(Z[:, :2]), labels, MEMBER)
        assert (read.classes, read.labels.tolist()) == (("-1", "1"), records.labels.tolist())
        assert read.notes[0].startswith("Warning: labels -1 and 1 were taken for the first and the second column")
    assert Predictions(Loss(np.ones(N)), signs, MEMBER).notes == ()


@pytest.mark.parametrize("labels", [[-100, 0, 1, 1], [-1, 0, 1, 1], [-2, 2, 2, 2]])
def test_other_numbers_below_0_are_refused_with_the_cure(labels):
    for read in (lambda: Records(X[:4], labels), lambda: Predictions(Logits(Z[:4, :2]), labels, MEMBER[:4])):
        with pytest.raises(
            InputError, match=r"found -\d+ in row 1; .* or name all classes if -\d+ is one \(classes=\["
        ):
            read()


def test_one_hot_labels_are_told_what_to_write():
    with pytest.raises(InputError, match=r"labels\.argmax\(axis=1\)"):
        Records(X, np.eye(K)[Y])
