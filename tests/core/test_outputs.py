"""One type per kind of answer; a table is refused where it cannot be one."""

import numpy as np
import pytest

from vestige.core.blocks import ArrayTable
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities

PER_CLASS = (Logits, Probabilities)
PER_RECORD = (Loss, Phi, PredictedLabels)


@pytest.mark.parametrize("kind", PER_CLASS)
def test_a_number_per_class_comes_as_records_by_classes(kind):
    assert kind([[0.5, 0.5], [1.0, 0.0]]).n_records == 2
    with pytest.raises(InputError, match=f"{kind.kind} as records x classes, found shape \\(3,\\)"):
        kind([0.5, 0.5, 1.0])


@pytest.mark.parametrize("kind", PER_RECORD)
def test_a_number_per_record_comes_as_one_column(kind):
    assert kind([1, 0, 2]).n_records == 3
    with pytest.raises(InputError, match="one number per record, found shape"):
        kind([[1, 0]])


@pytest.mark.parametrize("kind", PER_CLASS)
def test_a_single_column_needs_the_name_of_its_class(kind):
    with pytest.raises(InputError, match="at least 2 classes, found 1 column"):
        kind([[0.5], [0.2]])


@pytest.mark.parametrize("kind", [Logits, Probabilities, Loss, Phi])
def test_text_and_objects_are_no_numbers(kind):
    shape = (1, 2) if kind.n_axes == 2 else (2,)
    for bad in (np.full(shape, "a"), np.full(shape, None)):
        with pytest.raises(InputError, match=f"numbers as {kind.kind}, found dtype"):
            kind(bad)


def test_predicted_labels_may_be_names():
    assert PredictedLabels(["cat", "dog"]).n_records == 2


def test_a_table_of_blocks_is_kept_as_it_is():
    table = ArrayTable(np.zeros((3, 2)), "file.npy")
    assert Logits(table).table is table
    with pytest.raises(InputError, match=r"file\.npy"):
        Logits(ArrayTable(np.zeros(3), "file.npy"))
