"""The same predictions, whatever the file they come from."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.outputs import Loss, PredictedLabels, Probabilities
from vestige.data import Columns, read_npy, read_npz, read_predictions, read_table, read_two_tables

N, K = 60, 4


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "probs": rng.dirichlet(np.ones(K), N),
        "labels": rng.integers(K, size=N),
        "member": np.repeat([1, 0], N // 2),
        "ids": rng.permutation(N) + 100,
        "subjects": np.array([f"p{i}" for i in rng.integers(9, size=N)]),
    }


def frame_of(arrays):
    frame = pd.DataFrame(arrays["probs"], columns=[f"prob_{i}" for i in range(K)])
    return frame.assign(label=arrays["labels"], member=arrays["member"], id=arrays["ids"], subject=arrays["subjects"])


def content(predictions):
    table = predictions.output(Probabilities).table
    return {
        "probs": np.concatenate(list(table.blocks(7))),
        "labels": predictions.labels,
        "member": predictions.member,
        "ids": predictions.ids,
        "subjects": predictions.subjects,
        "names": np.array([predictions.class_name(i) for i in range(predictions.n_classes)]),
    }


def test_npz_npy_csv_and_parquet_are_one(tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    frame = frame_of(arrays)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=True, sep=";", decimal=",")
    frame.sample(frac=1, axis=1, random_state=0).to_csv(tmp_path / "c.csv.gz", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    half = N // 2
    frame[:half].to_csv(tmp_path / "in.csv", index=False)
    frame[half:].drop(columns="member").to_parquet(tmp_path / "out.parquet")
    found = [
        read_npz(tmp_path / "a.npz")[0],
        read_npy(
            *(tmp_path / f"{n}.npy" for n in ("probs", "labels", "member")),
            probabilities=True,
            ids=tmp_path / "ids.npy",
            subjects=tmp_path / "subjects.npy",
        ),
        *(read_predictions(tmp_path / name)[0] for name in ("a.csv", "b.csv", "c.csv.gz", "a.parquet")),
        read_table(tmp_path / "a.csv", Columns()),
        read_two_tables(tmp_path / "in.csv", tmp_path / "out.parquet", Columns()),
    ]
    expected = content(found[0])
    for other in found[1:]:
        for name, values in content(other).items():
            assert values.dtype.kind == expected[name].dtype.kind
            np.testing.assert_array_equal(values, expected[name])


def test_loss_and_predicted_labels_too(tmp_path):
    rng = np.random.default_rng(1)
    columns = {"loss": rng.random(20), "member": np.arange(20) % 2}
    names = {"label": rng.choice(["x", "y"], 20), "predicted": rng.choice(["x", "z"], 20)}
    np.savez(
        tmp_path / "a.npz",
        loss=columns["loss"],
        member=columns["member"],
        labels=names["label"],
        predicted=names["predicted"],
    )
    pd.DataFrame(columns | names).to_csv(tmp_path / "a.csv")
    pd.DataFrame(columns | names).to_parquet(tmp_path / "a.parquet")
    found = [read_predictions(tmp_path / f"a.{kind}")[0] for kind in ("npz", "csv", "parquet")]
    for other in found:
        assert other.classes == ("x", "y", "z")
        np.testing.assert_array_equal(other.labels, found[0].labels)
        for kind in (Loss, PredictedLabels):
            np.testing.assert_array_equal(
                np.concatenate(list(other.output(kind).table.blocks(9))),
                np.concatenate(list(found[0].output(kind).table.blocks(20))),
            )
