"""Tables: which column plays which part, labels matched by name, one file and two."""

import numpy as np
import pandas as pd
import pytest
from tests.data.refusals import refused

from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
from vestige.data import Columns, read_predictions, read_shadow, read_table, read_two_tables

BASE = {
    "label": ["cat", "dog", "cat", "eel"],
    "member": [1, 1, 0, 0],
    "prob_dog": [0.1, 0.8, 0.3, 0.1],
    "prob_cat": [0.8, 0.1, 0.5, 0.2],
    "prob_eel": [0.1, 0.1, 0.2, 0.7],
}


@pytest.fixture(params=["csv", "parquet"])
def write(request, tmp_path):
    """Write a table as CSV or as Parquet; None leaves a column out."""

    def written(name="scores", without=(), **changes):
        frame = pd.DataFrame({k: v for k, v in (BASE | changes).items() if v is not None and k not in without})
        path = tmp_path / f"{name}.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        return path

    return written


NO_PROBS = {"prob_dog": None, "prob_cat": None, "prob_eel": None}


def probs(predictions, kind=Probabilities):
    return np.concatenate(list(predictions.output(kind).table.blocks(3)))


def test_classes_are_matched_by_name_whatever_the_order_of_columns(write):
    found = read_table(write())
    assert found.classes == ("cat", "dog", "eel")
    assert found.labels.tolist() == [0, 1, 0, 2]
    np.testing.assert_array_equal(probs(found)[:, 0], BASE["prob_cat"])
    np.testing.assert_array_equal(probs(found)[:, 2], BASE["prob_eel"])
    for seed in range(4):
        names = list(np.random.default_rng(seed).permutation(list(BASE)))
        shuffled = read_table(_shuffled(write, names))
        np.testing.assert_array_equal(probs(shuffled), probs(found))
        assert shuffled.labels.tolist() == found.labels.tolist()


def _shuffled(write, names):
    path = write("shuffled")
    read, save = (
        (pd.read_csv, lambda f: f.to_csv(path, index=False))
        if path.suffix == ".csv"
        else (pd.read_parquet, lambda f: f.to_parquet(path, index=False))
    )
    save(read(path)[names])
    return path


def test_integer_classes_are_ordered_as_numbers(write):
    names = {f"prob_{i}": [0.0] * 4 for i in (10, 2, 1)}
    found = read_table(write(**NO_PROBS, label=[10, 2, 1, 2], **names))
    assert found.classes == ("1", "2", "10")
    assert found.labels.tolist() == [2, 1, 0, 1]


def test_labels_that_count_from_one(write):
    path = write(**NO_PROBS, label=[1, 2, 3, 1], prob_2=[0.1] * 4, prob_0=[0.2] * 4, prob_1=[0.7] * 4)
    found = read_table(path, Columns(label_base=1))
    assert found.labels.tolist() == [0, 1, 2, 0]
    refused(lambda: read_table(path), "scores", "among the classes 0, 1, 2, found 3", "--set data.label_base=1")
    same = write(**NO_PROBS, label=[2, 3, 3, 2], prob_2=[0.1] * 4, prob_3=[0.2] * 4, prob_1=[0.7] * 4)
    assert read_table(same, Columns(label_base=1)).labels.tolist() == [1, 2, 2, 1]
    refused(lambda: Columns(label_base=2), "0 or 1", "label_base")


def test_columns_named_as_the_labels(write):
    plain = {n.removeprefix("prob_"): v for n, v in BASE.items() if n.startswith("prob_")}
    found = read_table(write(**NO_PROBS, **plain, age=[1.0, 2, 3, 4]))
    assert found.classes == ("cat", "dog", "eel")
    np.testing.assert_array_equal(probs(found)[:, 1], BASE["prob_dog"])
    incomplete = write(**NO_PROBS, **(plain | {"eel": None}))
    refused(lambda: read_table(incomplete), "prob_<class>", "found label, member, dog, cat", "--positive")


def test_columns_named_as_integer_labels(write):
    columns = {"0": [0.1] * 4, "1": [0.2] * 4, "2": [0.7] * 4}
    assert read_table(write(**NO_PROBS, label=[0, 1, 2, 1], **columns)).labels.tolist() == [0, 1, 2, 1]
    from_one = read_table(write(**NO_PROBS, label=[2, 3, 2, 3], **columns), Columns(label_base=1))
    assert from_one.labels.tolist() == [1, 2, 1, 2]
    assert from_one.classes == ("0", "1", "2")


def test_logits_loss_phi_and_predicted_beside_each_other(write):
    found = read_table(
        write(
            **{f"logit_{c}": [1.0, 2, 3, 4] for c in ("eel", "dog", "cat")},
            loss=[0.5, 0, 1, 2],
            phi=[1.0, 2, 3, 4],
            predicted=["eel", "dog", "dog", "eel"],
        )
    )
    assert [type(o) for o in found.outputs] == [Logits, Probabilities, Loss, Phi, PredictedLabels]
    assert probs(found, PredictedLabels).tolist() == [2, 1, 1, 2]
    assert probs(found, Loss).tolist() == [0.5, 0, 1, 2]


def test_a_loss_alone_needs_no_classes(write):
    text = read_table(write(**NO_PROBS, loss=[0.5, 0, 1, 2]))
    assert text.classes == ("cat", "dog", "eel")
    assert text.labels.tolist() == [0, 1, 0, 2]
    numbers = read_table(write(**NO_PROBS, label=[3, 1, 1, 2], loss=[0.5, 0, 1, 2]), Columns(label_base=1))
    assert numbers.classes is None
    assert numbers.labels.tolist() == [2, 0, 0, 1]
    guessed = read_table(write(**NO_PROBS, predicted=["cow", "dog", "cat", "cat"]))
    assert guessed.classes == ("cat", "cow", "dog", "eel")


def test_one_probability_column_by_name(write):
    columns = {"label": ["no", "yes", "yes", "no"], **NO_PROBS}
    path = write(**columns, p=[0.2, 0.9, 0.6, 0.4])
    for name, other in (("yes", "no"), ("no", "yes")):
        found = read_table(path, Columns(positive=("p", name)))
        assert found.classes == ("no", "yes")
        assert found.labels.tolist() == [0, 1, 1, 0]
        np.testing.assert_allclose(probs(found)[:, found.classes.index(name)], [0.2, 0.9, 0.6, 0.4])
        np.testing.assert_allclose(probs(found)[:, found.classes.index(other)], [0.8, 0.1, 0.4, 0.6])
    integers = write(**(columns | {"label": [0, 1, 1, 0]}), p=[0.2, 0.9, 0.6, 0.4])
    assert read_table(integers, Columns(positive=("p", "1"))).labels.tolist() == [0, 1, 1, 0]
    floats = write(**(columns | {"label": [0.0, 1.0, 1.0, 0.0]}), p=[0.2, 0.9, 0.6, 0.4])
    assert read_table(floats, Columns(positive=("p", "1"))).classes == ("0", "1")


def test_one_probability_column_without_a_name_is_refused(write):
    path = write(label=["no", "yes", "yes", "no"], **NO_PROBS, prob_yes=[0.2, 0.9, 0.6, 0.4])
    refused(lambda: read_table(path), "scores", "found only prob_yes", "--positive prob_yes=yes", "no, yes")
    typo = Columns(positive=("prob_yes", "Yes"))
    refused(lambda: read_table(path, typo), "Yes and one other class", "no, yes", "as the labels spell it")
    refused(lambda: read_table(path, Columns(positive=("p", "yes"))), "a column p", "--positive COLUMN=CLASS")
    three = write()
    refused(lambda: read_table(three, Columns(positive=("prob_cat", "cat"))), "cat, dog, eel", "column per class")
    alone = write(label=["yes"] * 4, **NO_PROBS, p=[0.2, 0.9, 0.6, 0.4])
    refused(lambda: read_table(alone, Columns(positive=("p", "yes"))), "one other class")
    assert read_table(alone, Columns(positive=("p", "no"))).labels.tolist() == [1] * 4


def test_labels_without_a_column_show_both_sides(write):
    path = write(label=["cat", "dog", "cow", "a b"])
    refused(lambda: read_table(path), "scores", "among the classes cat, dog, eel, found a b, cow", "name the columns")
    refused(lambda: read_table(write(predicted=["cat", "dog", "cow", "eel"])), "predicted labels", "found cow")
    refused(lambda: read_table(write(label=[0.5, 1.5, 2, 3])), "regression targets are not supported", "0.5")
    refused(lambda: read_table(write(**NO_PROBS, label=[0.5, 1.5, 2, 3], loss=[1.0] * 4)), "regression targets")
    refused(lambda: read_table(write(logit_cat=[1.0] * 4, logit_dog=[1.0] * 4)), "same classes", "leave out one")


def test_float_and_boolean_labels_are_classes(write):
    zero_one = {"prob_0": [0.4] * 4, "prob_1": [0.6] * 4}
    assert read_table(write(**NO_PROBS, **zero_one, label=[1.0, 0.0, 0.0, 1.0])).labels.tolist() == [1, 0, 0, 1]
    assert read_table(write(**NO_PROBS, **zero_one, label=[True, False, False, True])).labels.tolist() == [1, 0, 0, 1]
    named = {"prob_True": [0.4] * 4, "prob_False": [0.6] * 4}
    found = read_table(write(**NO_PROBS, **named, label=[True, False, False, True]))
    assert found.classes == ("False", "True")
    assert found.labels.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    "member", [[1, 1, 0, 0], [True, True, False, False], [1.0, 1.0, 0.0, 0.0], ["1", "1", "0", "0"]]
)
def test_spellings_of_member(write, member):
    assert read_table(write(member=member)).member.tolist() == [True, True, False, False]


def test_other_members_are_refused(write):
    refused(
        lambda: read_table(write(member=["in", "in", "out", "validation"])),
        "scores",
        "0 or 1",
        "validation",
        "members 1",
    )
    refused(lambda: read_table(write(member=[1, 1, 1, 1])), "scores", "at least one nonmember")


def test_ids_subjects_groups_and_order(write):
    path = write(
        id=["007", "7", "8", "9"],
        subject=[5, 5, 6, 7],
        sex=["f", "m", "f", "m"],
        band=[10, 20, 10, 20],
        when=pd.to_datetime(["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-03"]),
        step=[1.5, 2, 3, 4],
        ward=["a1", "2", "x", "y"],
    )
    found = read_table(path, Columns(groups=("sex", "band"), order=("when", "step", "ward")))
    assert found.ids.tolist() == ["007", "7", "8", "9"]
    assert found.subjects.tolist() == [5, 5, 6, 7]
    assert found.groups["sex"].tolist() == ["f", "m", "f", "m"]
    assert found.groups["band"].tolist() == [10, 20, 10, 20]
    assert found.order["when"].dtype.kind == "M"
    assert str(found.order["when"][1])[:10] == "2024-02-01"
    assert found.order["step"].tolist() == [1.5, 2, 3, 4]
    assert found.order["ward"].tolist() == ["a1", "2", "x", "y"]


def test_other_names(write):
    path = write(
        without=("label", "member"), outcome=BASE["label"], train=BASE["member"], row=[4, 3, 2, 1], who=list("aabc")
    )
    found = read_table(path, Columns(label="outcome", member="train", id="row", subject="who"))
    assert found.ids.tolist() == [4, 3, 2, 1]
    assert found.subjects.tolist() == list("aabc")
    assert read_table(write()).ids is None
    assert read_table(write()).subjects is None


@pytest.mark.parametrize(
    ("columns", "option"),
    [
        (Columns(label="y"), "--label"),
        (Columns(member="y"), "--member"),
        (Columns(id="y"), "--set data.id"),
        (Columns(subject="y"), "--subject"),
        (Columns(groups=("y",)), "--group"),
        (Columns(order=("y",)), "--order"),
        (Columns(inputs=("y",)), "--set data.inputs"),
    ],
)
def test_a_missing_column_is_named_with_its_option(write, columns, option):
    essentials = ("Expected a column y, found label, member, prob_dog, prob_cat, prob_eel", f"another with {option}.")
    refused(lambda: read_table(write(), columns), "scores", *essentials)


def test_only_the_first_columns_are_listed(write):
    path = write(**{f"x{i}": [0] * 4 for i in range(9)})
    refused(lambda: read_table(path, Columns(label="y")), "x0, x1, x2 and 6 more")


def test_inputs_as_numbers_or_as_a_frame(write):
    numbers = read_table(write(input_age=[30, 40, None, 60], input_bmi=[20.5, 21, 22, 23]))
    np.testing.assert_array_equal(numbers.inputs, [[30, 20.5], [40, 21], [np.nan, 22], [60, 23]])
    mixed = read_table(write(input_age=[30, 40, 50, 60], input_town=["Ulm", "Bonn", None, "Ulm"]))
    assert list(mixed.inputs.columns) == ["input_age", "input_town"]
    assert mixed.inputs["input_town"].tolist()[:2] == ["Ulm", "Bonn"]
    assert mixed.inputs["input_age"].tolist() == [30, 40, 50, 60]
    named = read_table(write(age=[30, 40, 50, 60], input_bmi=[1, 2, 3, 4]), Columns(inputs=("age",)))
    np.testing.assert_array_equal(named.inputs, [[30], [40], [50], [60]])
    assert read_table(write()).inputs is None


@pytest.mark.parametrize(
    ("columns", "changes", "name"),
    [
        (Columns(), {"label": ["cat", None, "dog", None]}, "label"),
        (Columns(), {"member": [1, None, 0, 0]}, "member"),
        (Columns(), {"id": ["a", None, "b", "c"]}, "id"),
        (Columns(), {"id": [1, None, 2, 3]}, "id"),
        (Columns(), {"subject": ["a", "", "b", "c"]}, "subject"),
        (Columns(groups=("sex",)), {"sex": ["a", None, "b", "c"]}, "sex"),
        (Columns(order=("day",)), {"day": [1.5, None, 2, 3]}, "day"),
        (Columns(), {"predicted": ["cat", None, "dog", "cat"]}, "predicted"),
    ],
)
def test_missing_entries_are_named_by_row(write, columns, changes, name):
    refused(lambda: read_table(write(**changes), columns), "scores", f"in column {name} ", "is missing in data row 2")


def test_missing_probabilities_are_nan(write):
    found = read_table(write(prob_cat=[0.5, None, 0.1, float("nan")]))
    assert np.isnan(probs(found)[:, 0]).tolist() == [False, True, False, True]


def test_text_among_probabilities_is_named(write):
    path = write(prob_cat=["0.5", "0.5", "high", "0.5"])
    refused(lambda: read_table(path), "scores", "a number in column prob_cat", "'high' in data row 3")


def test_a_header_without_rows(write):
    refused(lambda: read_table(write(**{k: [] for k in BASE})), "scores", "a header without rows")


def test_repeated_ids_and_lengths_name_the_file(write):
    refused(lambda: read_table(write(id=[1, 1, 2, 3])), "scores", "unique ids", "--subject")
    refused(lambda: read_table(write(id=[1, 2, 2, 3])), "scores", "on one side", "--subject")


def test_two_tables(write):
    members = write("in", without=("member",), id=["a", "b", "c", "d"])
    nonmembers = write("out", without=("member",), id=["e", "f", "g", "h"], label=["eel"] * 4)
    found = read_two_tables(members, nonmembers)
    assert found.member.tolist() == [True] * 4 + [False] * 4
    assert found.ids.tolist() == list("abcdefgh")
    assert found.labels.tolist() == [0, 1, 0, 2, 2, 2, 2, 2]
    np.testing.assert_array_equal(probs(found)[:4], probs(found)[4:])
    refused(lambda: read_two_tables(members, members), "found the same as members and as nonmembers")


def test_two_tables_with_a_member_column(write):
    members, nonmembers = write("in", member=[1] * 4), write("out", member=[0] * 4)
    assert read_two_tables(members, nonmembers).member.sum() == 4
    refused(
        lambda: read_two_tables(nonmembers, members), "out.", "Expected members only, found member = 0 in data row 1"
    )
    mixed = write("mixed")
    refused(lambda: read_two_tables(members, mixed), "mixed.", "nonmembers only", "member = 1 in data row 1", "--nonm")
    assert read_two_tables(write("bare", without=("member",)), nonmembers).n_records == 8


def test_two_tables_must_have_the_same_columns(write):
    members = write("in", without=("member",))
    refused(
        lambda: read_two_tables(members, write("out", without=("member", "prob_eel"))),
        "out.",
        "Expected the columns of in.",
        "found prob_eel missing",
    )
    extra = write("more", without=("member",), prob_cow=[0.0] * 4)
    refused(lambda: read_two_tables(members, extra), "in.", "found prob_cow missing")
    no_label = write("bare", without=("member", "label"))
    refused(lambda: read_two_tables(members, no_label), "bare.", "a column label", "--label")


def test_two_tables_may_not_share_ids(write):
    members = write("in", without=("member",), id=[1, 2, 3, 4])
    nonmembers = write("out", without=("member",), id=[5, 6, 7, 1])
    refused(lambda: read_two_tables(members, nonmembers), "in.", " and out.", "on one side", "such as 1", "--subject")


def test_two_tables_where_only_one_has_a_missing_entry(write):
    members = write("in", without=("member",))
    refused(
        lambda: read_two_tables(members, write("out", without=("member",), label=["cat", "dog", "cat", None])),
        "out.",
        "data row 4",
    )


def test_two_tables_named_as_the_labels_of_both(write):
    plain = {n.removeprefix("prob_"): v for n, v in BASE.items() if n.startswith("prob_")}
    members = write("in", without=("member",), **NO_PROBS, **plain, label=["cat", "dog", "cat", "dog"])
    nonmembers = write("out", without=("member",), **NO_PROBS, **plain, label=["eel"] * 4)
    assert read_two_tables(members, nonmembers).classes == ("cat", "dog", "eel")


def test_two_tables_join_inputs_and_order(write):
    columns = Columns(order=("day", "mark"))
    members = write("in", input_town=["Ulm"] * 4, input_age=[1] * 4, day=[1, 2, 3, 4], mark=[1] * 4, member=[1] * 4)
    nonmembers = write("out", input_town=[1] * 4, input_age=[1] * 4, day=[0.5] * 4, mark=["x"] * 4, member=[0] * 4)
    found = read_two_tables(members, nonmembers, columns)
    assert len(found.inputs) == 8
    assert list(found.inputs.columns) == ["input_town", "input_age"]
    assert found.order["day"].tolist() == [1, 2, 3, 4, 0.5, 0.5, 0.5, 0.5]
    assert found.order["mark"].tolist() == ["1"] * 4 + ["x"] * 4
    numeric = read_two_tables(
        write("in", input_age=[1] * 4, member=[1] * 4), write("out", input_age=[2] * 4, member=[0] * 4)
    )
    np.testing.assert_array_equal(numeric.inputs, [[1]] * 4 + [[2]] * 4)


def test_two_tables_of_two_formats(tmp_path):
    frame = pd.DataFrame(BASE).drop(columns="member")
    frame.assign(label=[1, 2, 1, 3], id=[1, 2, 3, 4]).rename(columns=_by_number).to_csv(
        tmp_path / "in.csv", index=False
    )
    frame.assign(label=[1, 2, 1, 3], id=[5, 6, 7, 8]).rename(columns=_by_number).to_parquet(tmp_path / "out.parquet")
    found = read_two_tables(tmp_path / "in.csv", tmp_path / "out.parquet", Columns())
    assert found.labels.tolist() == [0, 1, 0, 2] * 2
    assert found.ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def _by_number(name):
    return {"prob_cat": "prob_1", "prob_dog": "prob_2", "prob_eel": "prob_3"}.get(name, name)


def test_a_shadow_table_takes_the_target_s_classes(write):
    plain = {n.removeprefix("prob_"): v for n, v in BASE.items() if n.startswith("prob_")}
    path = write("shadow", **NO_PROBS, **plain, label=["cat", "dog", "cat", "dog"])
    assert read_shadow(path).classes == ("cat", "dog")
    assert read_shadow(path, classes=("eel", "dog", "cat")).classes == ("eel", "dog", "cat")
    prefixed = write("shadow")
    found = read_shadow(prefixed, classes=("eel", "dog", "cat"))
    assert found.labels.tolist() == [2, 1, 2, 0]
    np.testing.assert_array_equal(probs(found)[:, 0], BASE["prob_eel"])
    refused(lambda: read_shadow(prefixed, classes=("a", "b")), "the target's classes a, b", "cat, dog, eel")
    binary = write("shadow", label=["no"] * 4, **NO_PROBS, p=[0.2] * 4)
    found = read_shadow(binary, Columns(positive=("p", "yes")), classes=("no", "yes"))
    np.testing.assert_allclose(probs(found), [[0.8, 0.2]] * 4)
    refused(lambda: read_shadow(binary, Columns(positive=("p", "yes")), classes=("a", "b")), "yes and one other")


def test_reading_dispatches_on_content(write, tmp_path):
    path = write()
    path.rename(tmp_path / "scores.npz")
    found, shadow = read_predictions(tmp_path / "scores.npz", Columns())
    assert found.n_records == 4
    assert shadow is None
