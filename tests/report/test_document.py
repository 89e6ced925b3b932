import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError

from vestige import Options, Predictions, audit
from vestige.core.outputs import Loss
from vestige.report.document import ReportDocument, json_schema, schema_text, to_document, write_json


def test_the_committed_schema_is_the_generated_one():
    committed = (files("vestige.report") / "schema" / "report-1.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m vestige.report.document > src/vestige/report/schema/…"


@pytest.mark.parametrize("name", ["rich", "minimal"])
def test_a_written_report_validates(name, request, tmp_path):
    write_json(request.getfixturevalue(name), tmp_path)
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text()), schema)


@pytest.mark.parametrize("name", ["rich", "minimal"])
def test_a_written_report_comes_back(name, request, tmp_path):
    result = request.getfixturevalue(name)
    write_json(result, tmp_path)
    assert ReportDocument.model_validate_json((tmp_path / "report.json").read_text()) == to_document(result)


def test_the_numbers_are_those_of_the_result(rich):
    document = to_document(rich)
    values = np.array([row.value for row in document.results], dtype=float)
    np.testing.assert_array_equal(values, rich.results["value"].to_numpy())
    assert [row.n_members for row in document.results[:3]] == [3000] * 3
    assert document.finding.tpr_ub == rich.finding.tpr_ub
    assert document.rocs[0].fpr == rich.rocs[0].fpr


def test_nan_is_null(minimal, rich, tmp_path):
    write_json(minimal, tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    report = json.loads(text)
    assert report["finding"]["tpr"] is None
    assert report["risk"] is None
    assert report["rocs"][0]["lower"] == [None, None, None]
    write_json(rich, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["risk"]["precision"][0] is None


def test_the_three_answers_stand_apart(rich, tmp_path):
    write_json(rich, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema_version"] == "1.4"
    assert report["validity"]["answer"] == "LIMITED"
    assert report["adversary"]["knowledge"] == "one shadow model"
    assert report["finding"]["state"] == "LEAK SHOWN"
    assert report["threat_models"][0]["knowledge"] == ["train", "data", "label"]
    assert (report["queries"]["n_sent"], report["queries"]["cost"]) == (2032, 1.016)


def test_no_record_is_in_it(rich, tmp_path):
    write_json(rich, tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert "secret-id" not in text
    assert "patient-7" not in text


def test_a_row_of_another_shape_is_refused(rich):
    wrong = replace(rich, results=rich.results.assign(status="fine"))
    with pytest.raises(ValidationError, match="status"):
        to_document(wrong)


def test_many_classes_stay_small(many_classes, tmp_path):
    write_json(many_classes, tmp_path)
    assert len(many_classes.results) == 10_000
    assert (tmp_path / "report.json").stat().st_size < 5e6


def test_many_groups_do_not_make_it_large():
    rng = np.random.default_rng(0)
    n_groups = 70
    n = 4 * n_groups
    groups = {"ward": np.tile(np.arange(n_groups), 4), "sex": np.arange(n) % 2}
    member = np.arange(n) < n // 2
    predictions = Predictions(Loss(rng.random(n)), np.arange(n) % 3, member, groups=groups)
    result = audit(predictions, options=Options(min_cell=0))
    document = to_document(result)
    shown = {row.group for row in document.results}
    areas = result.results[result.results.metric == "auc"].groupby("group").value.max()
    wards = areas[areas.index.str.startswith("ward=")].sort_values(ascending=False)
    here = sorted(name for name in shown if name.startswith("ward="))
    assert len(wards) == n_groups
    assert len(here) == 50
    assert wards[here].min() >= wards.drop(here).max()
    assert document.groups_left_out == {"ward": n_groups - 50}
    assert {"sex=0", "sex=1", "class=2", "all"} <= shown
