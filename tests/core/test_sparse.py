"""Sparse matrices and texts as records: taken, joined and recognised as the same inputs in another form."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from vestige.core.errors import InputError
from vestige.core.records import Records, joined, with_classes
from vestige.core.sparse import as_rows, plain
from vestige.evaluation.preflight.features import encode
from vestige.evaluation.preflight.row_hashes import row_hashes
from vestige.targets.meter import keys_of
from vestige.targets.stored_rows import stored_rows

X: Any = sparse.random(30, 8, density=0.3, format="csr", random_state=0)
Y = np.arange(30) % 3
TEXTS = [f"text {i}" for i in range(30)]
KINDS = [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_matrix, sparse.coo_array]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_taken_and_joined_as_those_of_an_array(kind):
    records = Records(kind(X), Y)
    both = joined(records.take(np.arange(30) < 20), records.take([29, 3]))
    np.testing.assert_array_equal(both.inputs.toarray(), X.toarray()[[*range(20), 29, 3]])
    assert len(both.inputs) == 22
    assert records.digest == Records(kind(X), Y).digest
    changed = X.copy()
    changed.data[0] += 1
    assert records.digest != Records(kind(changed), Y).digest


def test_the_given_matrix_stays_as_it_is():
    twice = sparse.csr_matrix((np.ones(2), [1, 1], [0, 2]), shape=(1, 3))  # one place, written twice
    rows = as_rows(twice)
    assert twice.nnz == 2
    assert rows.toarray().tolist() == [[0, 2, 0]]
    assert type(plain(rows)) is type(rows.copy()) is sparse.csr_matrix


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool])
def test_checks_see_the_same_in_a_sparse_and_a_dense_matrix(dtype):
    given = (X * 9).astype(dtype)
    rows, array = as_rows(given), given.toarray()
    np.testing.assert_array_equal(row_hashes(rows), row_hashes(array))
    for chosen in (np.arange(30), np.array([5, 2, 9, 28])):
        one, other = (vars(encode(inputs, Y[chosen], chosen, 0)) for inputs in (rows, array))
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_equal_rows_have_one_key_and_stored_rows_are_found():
    from sklearn.neighbors import KNeighborsClassifier

    twice = as_rows(sparse.vstack([X, X[:4]], format="csr"))
    keys = keys_of(twice)
    assert keys[:4] == keys[30:]
    assert len(set(keys)) == len(np.unique(X.toarray(), axis=0))
    model = KNeighborsClassifier().fit(X, Y)
    assert stored_rows(model, as_rows(X)) == stored_rows(model, X.toarray())


@pytest.mark.parametrize("given", [TEXTS, np.array(TEXTS), np.array(TEXTS, dtype=object), pd.Series(TEXTS)])
def test_texts_are_one_input_each(given):
    records = Records(given, Y)
    assert records.inputs.shape == (30,)
    assert records.inputs.dtype == object
    assert records.digest == Records(TEXTS, Y).digest
    assert joined(records.take([1]), records.take([0])).inputs.tolist() == ["text 1", "text 0"]
    assert len(set(keys_of(records.inputs))) == 30


@pytest.mark.parametrize("given", [["a", None], ["a", 1.5], [1.0, 2.0]])
def test_what_is_no_text_is_none(given):
    with pytest.raises(InputError, match="give numbers, a text per record, or a DataFrame"):
        Records(np.array(given, dtype=object), [0, 1])


def test_sparse_and_dense_are_not_joined():
    with pytest.raises(InputError, match="both inputs as arrays or both as sparse matrices"):
        joined(Records(X, Y), Records(X.toarray(), Y))


def test_classes_of_a_model_are_added_to_names_that_nobody_gave():
    named = with_classes(Records(np.eye(2), ["b", "d"]), ["d", "a", "b"])
    assert (named.classes, named.labels.tolist()) == (("a", "b", "d"), [1, 2])
    assert with_classes(Records(np.eye(2), [0, 1]), [0, 1, 2, 3]).n_classes == 4
    given = Records(np.eye(2), ["b", "d"], classes=["d", "b"])
    assert with_classes(given, ["a", "b", "d"]) is given
