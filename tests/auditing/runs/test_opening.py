"""A run that is read from its folder is the audit that was returned."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vestige
from vestige.auditing.runs.opening import open_run
from vestige.core.errors import RunFolderError
from vestige.core.outputs import Logits
from vestige.report.document import to_document
from vestige.report.page import render_page

OLDER = Path(__file__).parent / "older"


def predictions(n=400, n_classes=3):
    draw = np.random.default_rng(5)
    member = np.arange(n) % 2 == 0
    labels = draw.integers(n_classes, size=n)
    logits = draw.normal(size=(n, n_classes)) + 2.0 * np.eye(n_classes)[labels] * (1 + member[:, None])
    return vestige.Predictions(
        Logits(logits),
        labels,
        member,
        groups={"ward": draw.choice(["a", "b"], n)},
        subjects=np.arange(n) // 2 * 2 + ~member,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return vestige.audit(predictions(), run=folder), folder


def test_document_page_and_tables_are_the_same(run):
    audited, folder = run
    opened = open_run(folder)
    assert to_document(opened).model_dump_json() + "\n" == (folder / "report.json").read_text()
    assert render_page(opened) == (folder / "report.html").read_text()
    assert opened.targets.empty
    assert audited.targets.empty
    for name in ("results", "records"):
        pd.testing.assert_frame_equal(getattr(opened, name), getattr(audited, name).reset_index(drop=True))
    assert str(opened) == str(audited)
    assert opened.provenance == audited.provenance


def test_a_run_that_was_opened_can_be_saved_as_the_same_run(run, tmp_path):
    _, folder = run
    open_run(folder).save(tmp_path / "copy")
    for path in sorted(folder.iterdir()):
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_released_run_has_no_records(run, tmp_path):
    _, folder = run
    for path in folder.iterdir():
        if path.name != "records.parquet":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert open_run(tmp_path).records.empty


def copied(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize("name", ["report.json", "results.parquet", "records.parquet"])
def test_a_file_that_was_changed_is_named_with_its_digest(run, tmp_path, name):
    changed = copied(run[1], tmp_path / "run")
    (changed / name).write_bytes((changed / name).read_bytes() + b" ")
    with pytest.raises(RunFolderError, match=rf"{name} .*SHA-256 [0-9a-f]{{12}}.* changed since"):
        open_run(changed)


def test_what_is_no_run_is_said(run, tmp_path):
    with pytest.raises(RunFolderError, match="found none at"):
        open_run(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match=r"found no manifest\.json"):
        open_run(tmp_path)
    (tmp_path / "shadows.json").write_text("{}")
    with pytest.raises(RunFolderError, match="that was stopped; the command that began it goes on"):
        open_run(tmp_path)
    without = copied(run[1], tmp_path / "run")
    (without / "results.parquet").unlink()
    with pytest.raises(RunFolderError, match=r"Expected results\.parquet in the run .* No such file"):
        open_run(without)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 3}', "not json", '{"schema_version": "1.0"}'])
def test_a_document_that_is_none_is_refused_in_a_line(run, tmp_path, text):
    damaged = copied(run[1], tmp_path / "run")
    manifest = json.loads((damaged / "manifest.json").read_text())
    del manifest["files"]
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    (damaged / "report.json").write_text(text)
    with pytest.raises(RunFolderError, match="Expected a report of") as told:
        open_run(damaged)
    assert "\n" not in str(told.value)


def test_a_newer_schema_is_said(run, tmp_path):
    newer = copied(run[1], tmp_path / "run")
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps(manifest | {"files": {}}))
    document = json.loads((newer / "report.json").read_text()) | {"schema_version": "1.99"}
    (newer / "report.json").write_text(json.dumps(document))
    with pytest.raises(RunFolderError, match=r"found 1\.99; open it with the newer Vestige"):
        open_run(newer)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_a_run_of_an_older_schema_opens(tmp_path, version):
    older = copied(OLDER / version, tmp_path / "run")
    text = gzip.decompress((older / "report.json.gz").read_bytes())
    (older / "report.json").write_bytes(text)
    opened, document = open_run(older), json.loads(text)
    assert document["schema_version"] == version
    assert str(opened.finding.state) == document["finding"]["state"]
    assert "<!doctype html>" in render_page(opened)
    assert len(opened.results) == len(document["results"])
