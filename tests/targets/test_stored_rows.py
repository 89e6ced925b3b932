"""A model that carries its training records is known as one, and no other model is."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KDTree, KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from vestige.core.errors import InputError
from vestige.targets.objects.estimator import EstimatorTarget
from vestige.targets.stored_rows import StoredRows, stored_rows, stored_rows_of_onnx

N = 60
X = np.random.default_rng(0).normal(size=(N, 4))
Y = np.arange(N) % 3


def parts(classifier, inputs=X):
    return [tuple(found) for found in stored_rows(classifier.fit(X, Y), inputs)]


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(3),
        KNeighborsClassifier(3, algorithm="brute"),
        LabelSpreading(),
    ],
)
def test_every_row_is_found_in_what_keeps_them_all(classifier):
    assert parts(classifier) == [(type(classifier).__name__, N, N)]


def test_support_vectors_are_found():
    model = SVC().fit(X, Y)
    n_vectors = len(model.support_)
    assert stored_rows(model, X) == (StoredRows("SVC", n_vectors, n_vectors),)
    assert [found.n_matching for found in stored_rows(model, X[model.support_[:7]])] == [7]


def test_support_vectors_of_sparse_inputs_are_found():
    model = SVC().fit(scipy.sparse.csr_matrix(X), Y)
    assert stored_rows(model, X) == (StoredRows("SVC", len(model.support_), len(model.support_)),)


def test_rows_that_every_class_keeps_are_listed_once():
    assert parts(GaussianProcessClassifier(optimizer=None)) == [("_BinaryGaussianProcessClassifierLaplace", N, N)]


@pytest.mark.parametrize(
    ("classifier", "part"),
    [
        (make_pipeline(FunctionTransformer(), KNeighborsClassifier()), "KNeighborsClassifier"),
        (make_pipeline(KNNImputer(), LogisticRegression()), "KNNImputer"),
        (make_pipeline(make_column_transformer((KNNImputer(), [0, 1, 2, 3])), GaussianNB()), "KNNImputer"),
        (make_pipeline(make_union(KernelPCA(2), StandardScaler()), LogisticRegression()), "KernelPCA"),
        (VotingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier())]), "KNeighborsClassifier"),
        (GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [3]}, cv=2), "KNeighborsClassifier"),
        (OneVsRestClassifier(KNeighborsClassifier()), "KNeighborsClassifier"),
    ],
)
def test_they_are_found_within_other_estimators(classifier, part):
    assert parts(classifier) == [(part, N, N)]


def test_they_are_found_in_each_of_several():
    found = parts(CalibratedClassifierCV(KNeighborsClassifier(), cv=3))
    assert found == [("KNeighborsClassifier", 40, 40)] * 3
    assert len(parts(BaggingClassifier(KNeighborsClassifier(), 4, random_state=0))) == 4


def test_rows_that_were_scaled_are_listed_and_match_nothing():
    assert parts(make_pipeline(StandardScaler(), KNeighborsClassifier())) == [("KNeighborsClassifier", N, 0)]
    assert parts(make_pipeline(KernelPCA(2), KNeighborsClassifier()))[1] == ("KNeighborsClassifier", N, 0)


def test_records_that_it_was_not_trained_on_match_nothing():
    assert parts(KNeighborsClassifier(), X + 1) == [("KNeighborsClassifier", N, 0)]
    assert parts(KNeighborsClassifier(), X[:, :2]) == [("KNeighborsClassifier", N, 0)]


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        GaussianNB(),
        RandomForestClassifier(5),
        make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2000, tol=0.1)),
    ],
)
def test_other_classifiers_hold_none(classifier):
    assert parts(classifier) == []


class Keeper:
    """Keeps whatever it is given under a name of its own."""

    def __init__(self, keep=np.asarray):
        self.keep = keep

    def fit(self, inputs, labels):
        self.classes_, self.memory, self.myself = np.unique(labels), self.keep(inputs), [self]
        return self


@pytest.mark.parametrize("keep", [np.asarray, np.float32, KDTree, scipy.sparse.csc_matrix, pd.DataFrame])
def test_rows_in_an_attribute_of_any_name_are_found(keep):
    assert parts(Keeper(keep)) == [("Keeper", N, N)]


def test_some_rows_among_others_are_counted():
    assert parts(Keeper(lambda inputs: np.vstack([inputs[:2], inputs + 1]))) == [("Keeper", N + 2, 2)]
    assert parts(Keeper(lambda inputs: inputs + 1)) == []


def test_a_row_of_zeros_is_no_record():
    inputs = np.vstack([X[:3], np.zeros((1, 4))])
    assert parts(Keeper(np.zeros_like), inputs) == []


@pytest.mark.parametrize("stored", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float32", "float64"])
def test_a_record_is_found_whichever_side_was_rounded_to_float32(stored, given):
    model = KNeighborsClassifier().fit(X.astype(stored), Y)
    assert stored_rows(model, X.astype(given)) == (StoredRows("KNeighborsClassifier", N, N),)
    assert stored_rows(model, (X * (1 + 1e-6)).astype(given))[0].n_matching == 0


def test_missing_values_are_equal_and_so_are_zeros():
    inputs = X.copy()
    inputs[::2, 0], inputs[::3, 1] = np.nan, -0.0
    model = KNNImputer().fit(np.where(inputs == 0, 0.0, inputs))
    assert stored_rows(model, inputs) == (StoredRows("KNNImputer", N, N),)


def test_a_table_is_compared_by_its_columns_of_numbers():
    table = pd.DataFrame(X).assign(name="x")
    table.columns = table.columns.map(str)
    assert stored_rows(KNeighborsClassifier().fit(X, Y), table)[0].n_matching == N


def test_a_tensor_of_a_torch_module_is_searched():
    images = X.reshape(N, 1, 2, 2).astype(np.float32)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    assert stored_rows(module, images) == ()
    module.register_buffer("bank", torch.from_numpy(images[:20].copy()))
    assert stored_rows(module, images) == (StoredRows("Sequential, tensor bank", 20, 20),)


def test_the_model_behind_an_interface_is_found():
    target = EstimatorTarget(KNeighborsClassifier().fit(X, Y), 3)
    assert stored_rows(target, X) == (StoredRows("KNeighborsClassifier", N, N),)


@pytest.mark.parametrize("classifier", [lambda inputs: inputs, None, "model.onnx", np.zeros((2, 2))])
def test_what_is_no_estimator_holds_nothing(classifier):
    assert stored_rows(classifier, X) == ()


def onnx_of(classifier, inputs=X, options=None):
    to_onnx = pytest.importorskip("skl2onnx").to_onnx
    graph = to_onnx(classifier.fit(inputs, Y), inputs[:1].astype(np.float32), options=options)
    return graph.SerializeToString()


@pytest.mark.filterwarnings("ignore:Attribute `prob[AB]_`:FutureWarning")
def test_support_vectors_in_a_graph_are_found(tmp_path):
    # The converter reads attributes that scikit-learn is about to drop.
    model = SVC()
    graph = onnx_of(model)
    expected = (StoredRows("SVMClassifier operator", len(model.support_), len(model.support_)),)
    assert stored_rows_of_onnx(graph, X) == expected
    (tmp_path / "m.onnx").write_bytes(graph)
    assert stored_rows_of_onnx(tmp_path / "m.onnx", X) == expected


@pytest.mark.parametrize("optim", [None, "cdist"])
def test_neighbours_in_a_graph_are_found_whatever_was_done_to_them(optim):
    model = KNeighborsClassifier()
    options = {} if optim is None else {id(model): {"optim": optim}}
    found = stored_rows_of_onnx(onnx_of(model, options=options), X)
    assert [(rows.n_rows, rows.n_matching) for rows in found] == [(N, N)]
    assert found[0].part.startswith("nearest neighbours, constant ")

    scaled = stored_rows_of_onnx(onnx_of(make_pipeline(StandardScaler(), model), options=options), X)
    assert [(rows.n_rows, rows.n_matching) for rows in scaled] == [(N, 0)]
    wider = make_pipeline(make_union(StandardScaler(), MinMaxScaler()), model)
    assert [rows.n_rows for rows in stored_rows_of_onnx(onnx_of(wider, options=options), X)] == [N]


def test_a_graph_of_other_classifiers_holds_none():
    assert stored_rows_of_onnx(onnx_of(LogisticRegression()), X) == ()
    assert stored_rows_of_onnx(onnx_of(RandomForestClassifier(3)), X) == ()


def test_what_is_no_graph_is_refused(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"an ONNX graph in m\.onnx"):
        stored_rows_of_onnx(tmp_path / "m.onnx", X)
