"""A pickle is loaded only for whoever says that it is trusted."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.targets.model_files import X, Y, perceptron, planted_pickle, table_of

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.targets import GradientModel
from vestige.targets.files.trusted_pickle import open_pickle
from vestige.targets.objects.torch_module import TorchTarget


@pytest.mark.parametrize("suffix", [".joblib", ".pkl", ".pickle"])
def test_a_pickle_is_not_read_unless_it_is_trusted(tmp_path, suffix):
    path = planted_pickle(tmp_path / f"m{suffix}", tmp_path / "ran")
    with pytest.raises(UnsupportedModelError, match=r"can run any code when it is loaded; .*or pass --trust-pickle"):
        open_pickle(path, False, None, 3, None)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("dump", [joblib.dump, lambda model, path: path.write_bytes(pickle.dumps(model))])
def test_an_estimator_is_asked_as_it_is(tmp_path, dump):
    model = LogisticRegression().fit(X, Y)
    dump(model, tmp_path / "m.pkl")
    target = open_pickle(tmp_path / "m.pkl", True, None, 3, None)
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict_proba(X))
    assert isinstance(getattr(target, "estimator", None), LogisticRegression)


def test_a_torch_module_is_asked_for_logits_in_evaluation_mode(tmp_path):
    joblib.dump(perceptron().train(), tmp_path / "m.joblib")
    target = open_pickle(tmp_path / "m.joblib", True, None, 3, None)
    assert isinstance(target, TorchTarget)
    assert isinstance(target, GradientModel)
    expected = perceptron()(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(table_of(target.answers(X)), expected, atol=1e-6)


@pytest.mark.parametrize("content", [b"garbage", pickle.dumps(LogisticRegression())[:40]])
def test_a_damaged_pickle_is_refused(tmp_path, content):
    (tmp_path / "m.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"Expected a pickle in m.pkl, found a damaged or foreign file") as caught:
        open_pickle(tmp_path / "m.pkl", True, None, 3, None)
    assert "\n" not in str(caught.value)


def test_what_is_no_classifier_is_refused(tmp_path):
    joblib.dump([1, 2], tmp_path / "m.pkl")
    with pytest.raises(InputError, match=r"Expected a fitted classifier in m.pkl, found list"):
        open_pickle(tmp_path / "m.pkl", True, None, 3, None)
