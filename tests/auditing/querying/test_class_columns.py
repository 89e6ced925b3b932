"""Which column of a model's answers is taken for which class: by name, in an order somebody gave, or said."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import vestige
from vestige.core.errors import InputError
from vestige.core.result import AuditResult

NAMES = np.array(["low", "none", "high"])  # the user's codes are not in the order of the alphabet


def fitted() -> tuple[LogisticRegression, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 3, 300)
    inputs = rng.normal(size=(300, 4)) + 2 * np.eye(3, 4)[codes]
    return LogisticRegression().fit(inputs[:150], codes[:150]), inputs, codes


def audited(model: object, inputs: np.ndarray, labels: np.ndarray, classes: object = None) -> AuditResult:
    sides = [vestige.Records(inputs[rows], labels[rows], classes=classes) for rows in (slice(150), slice(150, None))]
    return vestige.audit(model, members=sides[0], nonmembers=sides[1])


def said(result: AuditResult) -> list[str]:
    return [check.message for check in result.preflight.checks if check.name == "class_columns"]


def loss_auc(result: AuditResult) -> float:
    rows = result.results
    chosen = (rows.attack == "loss") & (rows.metric == "auc") & (rows.group == "all") & (rows.threshold == "roc")
    return float(rows[chosen].value.iloc[0])


def test_an_estimator_of_codes_is_not_matched_with_names_in_the_order_of_the_alphabet() -> None:
    model, inputs, codes = fitted()
    with pytest.raises(InputError, match=r"found numbers such as 0, of which nobody said which class each is"):
        audited(model, inputs, NAMES[codes])


def test_names_in_the_order_of_the_codes_give_the_numbers_of_the_codes() -> None:
    model, inputs, codes = fitted()
    by_code, by_name = audited(model, inputs, codes), audited(model, inputs, NAMES[codes], NAMES.tolist())
    assert loss_auc(by_name) == loss_auc(by_code)
    assert said(by_name) == []


def test_that_names_fit_for_some_classes_is_no_match() -> None:
    model, inputs, codes = fitted()
    names = np.array(["0", "2", "3"])  # class 2 of the model is another class than the records' 2, or the same
    with pytest.raises(InputError, match="nobody said"):
        audited(model, inputs, names[codes])


def test_columns_without_names_are_said_with_the_class_they_were_taken_for() -> None:
    model, inputs, codes = fitted()
    (message,) = said(audited(model.predict_proba, inputs, NAMES[codes]))
    assert message.startswith("Warning")  # which the terminal shows
    assert "column 0 for high, 1 for low, 2 for none" in message
    (message,) = said(audited(model.predict_proba, inputs, NAMES[codes], NAMES.tolist()))
    assert "in the order that was given" in message
    assert "column 0 for low, 1 for none, 2 for high" in message


def test_columns_with_names_are_matched_and_nothing_is_said() -> None:
    import pandas as pd

    model, inputs, codes = fitted()

    def named(x: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(model.predict_proba(x), columns=NAMES)

    result = audited(named, inputs, NAMES[codes])
    assert said(result) == []
    assert loss_auc(result) == loss_auc(audited(model, inputs, codes))


def test_text_that_is_numbers_is_ordered_by_number() -> None:
    records = vestige.Records(np.eye(12), [str(i) for i in range(12)])
    assert records.classes == tuple(str(i) for i in range(12))
    assert records.labels.tolist() == list(range(12))


@pytest.mark.parametrize("how", ["take", "joined"])
def test_that_nobody_gave_an_order_is_not_forgotten(how: str) -> None:
    from vestige.core.records import joined

    model, inputs, codes = fitted()
    one, other = (vestige.Records(inputs[r], NAMES[codes[r]]) for r in (slice(150), slice(150, None)))
    one = one.take(np.arange(150)) if how == "take" else joined(one.take(range(75)), one.take(range(75, 150)))
    with pytest.raises(InputError, match="nobody said"):
        vestige.audit(model, members=one, nonmembers=other)


def test_a_table_of_records_with_names_is_no_order_either(tmp_path) -> None:
    import pandas as pd

    from vestige.data import read_two_records

    model, inputs, codes = fitted()
    for name, rows in (("members", slice(150)), ("nonmembers", slice(150, None))):
        table = pd.DataFrame(inputs[rows], columns=list("abcd")).assign(label=NAMES[codes[rows]])
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = (tmp_path / "members.csv", tmp_path / "nonmembers.csv")
    one, other = read_two_records(*paths)
    with pytest.raises(InputError, match="nobody said"):
        vestige.audit(model, members=one, nonmembers=other)
    one, other = read_two_records(*paths, classes=NAMES.tolist())
    assert 0 < loss_auc(vestige.audit(model, members=one, nonmembers=other)) < 1
