"""A model file whose library crashes, hangs, eats memory or raises oddly costs a line, not the process."""

import signal

import numpy as np
import pytest
import skops.io
from sklearn.tree import DecisionTreeClassifier
from tests.targets.files import odd_models
from tests.targets.model_files import X, Y

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files import apart
from vestige.targets.files.apart import ModelApart
from vestige.targets.files.model_file import ModelFile


@pytest.fixture
def path(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"content")
    return tmp_path / "m.bin"


def record(value):
    return np.array([[float(value)], [0.0]])


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (odd_models.crash, r"its library ended the process that was reading it \(SIGSEGV\); export it again"),
        (odd_models.hang, "its library did not come to an end within 1 second"),
        (odd_models.exhaust, "MemoryError: "),
        (odd_models.raise_odd, "Odd: of a library in Rust"),
    ],
)
def test_a_file_that_cannot_be_opened(path, monkeypatch, odd, said):
    monkeypatch.setattr(apart, "SECONDS", 1.0 if odd is odd_models.hang else 60.0)
    with pytest.raises(InputError, match=rf"Expected a whole model in m.bin, found a damaged or foreign file: {said}"):
        ModelApart("numpy", odd, path)


def test_what_answers_may_come_to_and_that_the_next_are_whole(path, monkeypatch):
    target = ModelApart("numpy", odd_models.open_model, path)
    for value, said in ((1, "SIGSEGV"), (2, "within 1 second"), (3, "MemoryError"), (4, "Odd: of a library in Rust")):
        monkeypatch.setattr(apart, "SECONDS", 1.0 if value == 2 else 60.0)
        with pytest.raises(TargetError, match=f"Expected the model in m.bin to answer, found that .*{said}"):
            target.answers(record(value))
        monkeypatch.setattr(apart, "SECONDS", 60.0)
        found = target.answers(record(0))
        assert isinstance(found, Probabilities)
        assert found.whole().dtype == np.float32
        np.testing.assert_array_equal(found.whole(), [[0.25, 0.75]] * 2)


def test_what_the_library_warns_of_and_refuses_is_passed_on(path):
    with pytest.raises(UnsupportedModelError, match=r"^Expected one kind, found another.$"):
        ModelApart("numpy", odd_models.refuse, path)
    target = ModelApart("numpy", odd_models.open_model, path)
    with pytest.warns(UserWarning, match="saved by an older version"):
        target.answers(record(5))


def test_what_it_was_declared_to_answer_is_known_before_it_is_asked(path):
    assert not hasattr(ModelApart("numpy", odd_models.open_model, path), "format")
    assert ModelApart("numpy", odd_models.open_labels, path, None).format == AnswerFormat(PredictedLabels)
    declared = AnswerFormat(Logits, columns=("b", "a"))
    assert ModelApart("numpy", odd_models.open_labels, path, declared).format == declared


def test_the_child_ends_with_its_target(path):
    target = ModelApart("numpy", odd_models.open_model, path)
    process = target._child._process
    del target
    assert process.wait(30) == -signal.SIGKILL


def test_an_interrupt_ends_what_the_model_is_doing(path):
    target = ModelApart("numpy", odd_models.open_model, path)
    target.answers(record(0))
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            target.answers(record(2))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert target._child.has_ended
    assert target.answers(record(0)).n_records == 2


def _lightgbm(path, node, replaced):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, n_jobs=1, verbose=-1).fit(X, Y)
    lines = model.booster_.model_to_string().split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{node}="))
    lines[at] = f"{node}=" + " ".join([str(replaced), *lines[at].split(" ")[1:]])
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("child", ["0", "1000000"])  # a node that is its own child, and one that does not exist
def test_a_damaged_tree_of_lightgbm(tmp_path, monkeypatch, child):
    path = _lightgbm(tmp_path / "m.txt", "left_child", child)
    path.write_text(path.read_text().replace("tree_sizes=", "tree_sizes_were="))
    monkeypatch.setattr(apart, "SECONDS", 5.0)
    with pytest.raises((InputError, TargetError), match=r"in m.txt.* found .*its library (ended|did not come)"):
        ModelFile(path).open_model(3).answers(X)


def test_a_damaged_tree_of_scikit_learn(tmp_path):
    """It is read without a word, and crashes where a record falls to the left."""
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    state = model.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 1 << 40
    model.tree_.__setstate__(state)
    skops.io.dump(model, tmp_path / "m.skops")
    target = ModelFile(tmp_path / "m.skops").open_model(3)
    with pytest.raises(TargetError, match=r"the model in m.skops to answer, found that its library ended the process"):
        target.answers(X)
