"""One table as a file of any format, as a frame, with a list per record: the results are the same."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from rich.console import Console
from sklearn.linear_model import LogisticRegression

import vestige
from vestige.core.errors import InputError
from vestige.data import Columns, read_predictions, read_table
from vestige.report import print_result

N = 600
RNG = np.random.default_rng(0)
MEMBER, LABELS = np.arange(N) % 2, RNG.integers(0, 3, N)
LOGITS = RNG.normal(size=(N, 3))
LOGITS[np.arange(N), LABELS] += 1 + 2 * MEMBER
CALLED: dict[str, Any] = {"label": "outcome", "member": "was_trained_on", "groups": "ward"}


class Stream:
    """Any frame that Vestige has never heard of, and that streams as Arrow does."""

    def __init__(self, table):
        self.table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def frame(**changes):
    columns = {"outcome": LABELS, "was_trained_on": MEMBER, "ward": np.where(np.arange(N) % 3 == 0, "a", "b")}
    return pd.DataFrame(columns | {f"logit_{i}": LOGITS[:, i] for i in range(3)} | changes)


def with_lists():
    return frame(logits=LOGITS.tolist()).drop(columns=["logit_0", "logit_1", "logit_2"])


def saved(path):
    """The table as a file of the format that its name says."""
    kind = path.stem
    if kind == "csv":
        frame().to_csv(path, index=False)
    elif kind == "parquet":
        frame().to_parquet(path)
    elif kind == "json":
        frame().to_json(path, orient="records", lines=True, double_precision=15)
    elif kind == "list_in_json":
        with_lists().to_json(path, orient="records", lines=True, double_precision=15)
    elif kind == "list_in_parquet":
        parquet.write_table(pa.Table.from_pandas(with_lists()), path)
    elif kind == "list_of_fixed_size":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), 3)
        parquet.write_table(
            pa.Table.from_pandas(with_lists()).drop_columns("logits").append_column("logits", lists), path
        )
    else:
        write = {"list_as_text": str, "list_of_numpy": lambda row: str(np.array(row)).replace("\n", "")}[kind]
        with np.printoptions(precision=17, floatmode="unique"):
            with_lists().assign(logits=lambda table: table.logits.map(write)).to_csv(path, index=False)
    return path


def polars_frame():
    return pytest.importorskip("polars").from_pandas(frame())


TABLES = {
    "pandas": frame,
    "pandas with lists": with_lists,
    "polars": polars_frame,
    "Arrow": lambda: pa.Table.from_pandas(frame()),
    "Arrow in pieces": lambda: pa.concat_tables(
        [pa.Table.from_pandas(frame()[:100]), pa.Table.from_pandas(frame()[100:])]
    ),
    "another frame": lambda: Stream(pa.Table.from_pandas(frame())),
}
FILES = (
    "csv", "parquet", "json", "list_in_json", "list_in_parquet", "list_of_fixed_size", "list_as_text", "list_of_numpy",
)  # fmt: skip


def numbers(result):
    table = result.results
    assert str(result.preflight.validity) == "VALID"
    return table.set_index(["attack", "threshold", "metric", "group", "unit"])[["value", "lower", "upper"]].sort_index()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "t.npz"
    np.savez(path, logits=LOGITS, labels=LABELS, member=MEMBER, group_ward=frame().ward.to_numpy(dtype=str))
    return numbers(vestige.audit(path, progress=vestige.silent))


@pytest.mark.parametrize("kind", TABLES)
def test_a_frame_gives_what_an_npz_gives(kind, expected):
    found = numbers(vestige.audit(TABLES[kind](), progress=vestige.silent, **CALLED))
    pd.testing.assert_frame_equal(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_gives_what_an_npz_gives(kind, expected, tmp_path):
    found = numbers(vestige.audit(saved(tmp_path / f"{kind}.x"), progress=vestige.silent, **CALLED))
    pd.testing.assert_frame_equal(found, expected, atol=1e-5, rtol=0)


def test_how_lists_were_read_is_said():
    notes = read_table(with_lists(), Columns(label="outcome", member="was_trained_on")).notes
    assert (
        notes[0] == "Read: lists in column logits as logits; their entries are the classes 0, 1, 2 ... in this order."
    )


def test_what_was_assumed_is_said_on_the_terminal():
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    print_result(vestige.audit(with_lists(), progress=vestige.silent, **CALLED), console, "page")
    assert "Read: lists in column logits as logits" in shown.getvalue()


def test_records_of_frames_are_those_of_files(tmp_path):
    inputs = pd.DataFrame(RNG.normal(size=(N, 4)), columns=list("abcd")).assign(outcome=LABELS)
    inside, outside = inputs[::2], inputs[1::2]
    model = LogisticRegression().fit(inside[list("abcd")], inside.outcome)
    for path, side in (("in.csv", inside), ("out.csv", outside)):
        side.to_csv(tmp_path / path, index=False)
    files = vestige.audit(model, tmp_path / "in.csv", tmp_path / "out.csv", label="outcome", progress=vestige.silent)
    frames = vestige.audit(
        model,
        pa.table(inside),
        Stream(pa.table(outside)),
        label="outcome",
        inputs=list("abcd"),
        progress=vestige.silent,
    )
    pd.testing.assert_frame_equal(numbers(frames), numbers(files), atol=1e-5, rtol=0)


PLAIN = vestige.Predictions(vestige.core.outputs.Logits(LOGITS), LABELS, MEMBER)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: vestige.audit(frame()), "the frame: Expected a column label, found outcome"),
        (lambda: vestige.audit(frame(), labell="y"), "an argument that audit has, found labell; you may mean label"),
        (lambda: vestige.audit(PLAIN, label="y"), "label, the name of a column, beside a frame"),
        (
            lambda: vestige.audit(None, frame(), frame(), member="m"),
            "member, the name of a column, beside a frame or a",
        ),
        (lambda: vestige.audit(frame(outcome=[1, "a"] * (N // 2)), **CALLED), "a type per column.*convert the column"),
        (lambda: vestige.audit(frame().rename(columns={"ward": "outcome"}), **CALLED), "with names that differ"),
    ],
)
def test_what_is_no_table_of_predictions(call, said):
    with pytest.raises(InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ([[0.1, 0.9], [0.1, 0.2, 0.7]], "lists of one length, .* found 3 entries in data row 2 and 2 in row 1"),
        ([[0.1, 0.9], None], "found 0 entries in data row 2"),
        ([["a", "b"], ["a", "b"]], "lists of numbers in column probs"),
        ([[3.0, 0.9], [0.1, 0.9]], r"Expected probabilities"),
    ],
)
def test_lists_that_are_no_answers(lists, said):
    with pytest.raises(InputError, match=said):
        vestige.audit(pd.DataFrame({"label": [0, 1], "member": [0, 1], "probs": lists}), progress=vestige.silent)


def test_lists_have_no_names_for_labels_that_are_text():
    with pytest.raises(InputError, match=r"labels among the classes 0, 1, found cat, dog; name the columns"):
        read_table(pd.DataFrame({"label": ["cat", "dog"], "member": [0, 1], "probs": [[0.1, 0.9], [0.4, 0.6]]}))


# ------------------------------------------------------------------------------------ scores without labels

HARD = RNG.normal(size=N)
SCORES = {"is_member": MEMBER, "score_orig": HARD + RNG.normal(size=N) + MEMBER}
OF_REFERENCES = HARD[:, None] + RNG.normal(size=(N, 6))


def audited(columns):
    return vestige.audit(pd.DataFrame(columns), member="is_member", progress=vestige.silent)


def area(result, attack):
    table = result.results
    return table.query("attack == @attack and metric == 'auc' and threshold == 'roc' and group == 'all'").value.iloc[0]


def exact_area(scores):
    inside, outside = scores[MEMBER == 1], scores[MEMBER == 0]
    return np.mean(inside[:, None] > outside) + np.mean(inside[:, None] == outside) / 2


@pytest.mark.parametrize("name", ["score_orig", "score", "phi"])
@pytest.mark.parametrize("scale", [1, 1e6])
def test_a_score_is_an_attack(name, scale):
    scores = SCORES["score_orig"] * scale
    result = audited({"is_member": MEMBER, name: scores})
    for attack in ("loss", "confidence"):
        assert area(result, attack) == pytest.approx(exact_area(scores), abs=1e-9)
    assert any(check.message.startswith(f"Read: {name}") for check in result.preflight.checks)


def test_moments_of_references_give_the_offline_likelihood_ratio():
    mean, std = OF_REFERENCES.mean(1), OF_REFERENCES.std(1)
    result = audited(SCORES | {"score_mean": mean, "score_std": std})
    assert area(result, "loss") == pytest.approx(exact_area((SCORES["score_orig"] - mean) / std), abs=1e-9)


def test_columns_of_references_are_models_that_saw_none_of_the_records():
    table = SCORES | {f"score_ref_{i}": OF_REFERENCES[:, i] for i in range(6)}
    result = audited(table)
    given = vestige.audit(
        vestige.Predictions(vestige.core.outputs.Phi(SCORES["score_orig"]), np.zeros(N, dtype=int), MEMBER),
        adversary=vestige.References(vestige.core.outputs.Phi, OF_REFERENCES.T, np.zeros((6, N))),
        progress=vestige.silent,
    )
    assert str(result.preflight.validity) == "VALID"
    for attack in ("lira_offline", "rmia_offline", "attack_r"):
        assert area(result, attack) == pytest.approx(area(given, attack), abs=1e-9)
    assert area(result, "lira_offline") > area(audited(SCORES), "loss") + 0.02


def test_a_score_that_could_be_a_probability_beside_its_label_is_refused():
    table = pd.DataFrame({"member": MEMBER, "outcome": LABELS, "score": SCORES["score_orig"]})
    with pytest.raises(InputError, match="Expected a column label, found member, outcome, score"):
        read_predictions(table)
