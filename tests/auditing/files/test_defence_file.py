"""`[target.defence]`: a defence of answers in front of the audited model, as an audit file says it."""

import pytest
from tests.auditing.files.test_target_file import MODELS, X, file_of, refused

from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.defences import LabelsOnly, MemGuard, Rounded
from vestige.defences.memguard import Reads

MORE = """
from sklearn.tree import DecisionTreeClassifier
from vestige import SklearnRecipe
from vestige.defences import MemGuard
from vestige.defences.memguard import Reads

recipe = SklearnRecipe(DecisionTreeClassifier())


def guard(with_label):
    return MemGuard(Reads.ANSWER_AND_LABEL if with_label else Reads.ANSWER)
"""
MODEL = "my_models:fitted"
ROUNDED = {"use": "vestige.defences:Rounded", "parameters": {"digits": 1}}
GUARD = {"use": "my_models:guard", "parameters": {"with_label": True}, "nonmembers": "my_models:nonmembers"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_models.py").write_text(MODELS + MORE)
    return tmp_path


def front_of(folder, **defence) -> Defended:
    found = file_of(folder, MODEL, defence=defence).querying().front
    assert found is not None
    return found


def test_a_defence_is_the_value_of_python(folder):
    assert file_of(folder, MODEL).querying().defence is None
    assert front_of(folder, **ROUNDED).identity == Defended(defence=Rounded(1)).identity
    labels = file_of(folder, MODEL, access="label", defence={"use": "vestige.defences:LabelsOnly"}).querying().front
    assert labels is not None
    assert labels.identity == Defended(defence=LabelsOnly()).identity


def test_what_it_is_fitted_to_and_what_is_known_of_it(folder):
    front = front_of(folder, **GUARD, shadow_nonmembers="my_models:members", known="target's own", seed=3)
    assert isinstance(front.defence, MemGuard)
    assert front.defence.reads is Reads.ANSWER_AND_LABEL
    assert (front.known, front.seed) == (KnowsDefence.TARGETS_OWN, 3)
    assert front.nonmembers.inputs.tolist() == (X + 1).tolist()
    assert front.shadow_nonmembers.inputs.tolist() == X.tolist()


def test_its_records_may_be_a_file(folder):
    (folder / "own.csv").write_text("a,b,label\n1,2,0\n3,4,1\n")
    front = front_of(folder, use="my_models:guard", parameters={"with_label": False}, nonmembers="own.csv")
    assert front.nonmembers.n_records == 2


def test_code_that_it_names_is_known_beforehand(folder):
    assert file_of(folder, MODEL, defence=GUARD).modules() == [MODEL, "my_models:guard", "my_models:nonmembers"]


@pytest.mark.parametrize("model", ["m.onnx", "http://127.0.0.1:8080/v2/models/m", MODEL])
def test_it_stands_in_front_of_any_model_and_is_written_down(folder, tmp_path, model):
    first = file_of(folder, model, defence=GUARD)
    first.model()  # which an entry that does nothing refuses
    tables = first.as_tables(tmp_path / "run", [])
    assert tables["target"]["defence"] == GUARD | {"known": "adaptive", "seed": 0}
    (tmp_path / "run").mkdir()
    again = audit_file_of(tables, tmp_path / "run", "audit.toml").querying().front
    assert again is not None
    assert again.identity == front_of(folder, **GUARD).identity


@pytest.mark.parametrize(
    ("entries", "essentials"),
    [
        ({"access": "gradients", "defence": ROUNDED}, ["found gradients, which it leaves undefended"]),
        ({"defence": ROUNDED | {"parameters": {"figures": 1}}}, ["vestige.defences:Rounded takes", "figures"]),
        (
            {"defence": {"use": "my_models:recipe"}},
            ["found the recipe my_models:recipe", "leave [target.defence] out"],
        ),
        ({"defence": {"use": "my_models:number"}}, ["the defence of [target], found int"]),
        ({"defence": GUARD | {"nonmembers": "my_models:number"}}, ["my_models:number", "found int"]),
        ({"defence": {k: v for k, v in GUARD.items() if k != "nonmembers"}}, ["to fit MemGuard, found none"]),
        ({"defence": ROUNDED | {"known": "all"}}, ["target.defence.known", "'unaware'"]),
        ({"defence": {"parameters": {}}}, ["an entry target.defence.use, found none"]),
        ({"defence": ROUNDED | {"name": "two digits"}}, ["no entry target.defence.name, which is unknown"]),
    ],
)
def test_what_is_no_defence_is_refused(folder, entries, essentials):
    refused(lambda: file_of(folder, MODEL, **entries).querying(), *essentials)
