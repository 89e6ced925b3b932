"""Commands about finished runs: gate, compare, records, report and view."""

import json
import stat
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

N = 800


def audit_of(vestige, folder, name, gap):
    """Run an audit of a model that tells members by so much; wards are groups."""
    draw = np.random.default_rng(0)
    labels, member, ward = draw.integers(3, size=N), np.arange(N) % 2, draw.choice(["a", "b"], N)
    logits = np.random.default_rng(1).normal(size=(N, 3)) + (1 + gap * member)[:, None] * np.eye(3)[labels]
    given = pd.DataFrame({"id": np.arange(N), "label": labels, "member": member, "ward": ward})
    given[["logit_0", "logit_1", "logit_2"]] = logits
    given.to_csv(folder / f"{name}.csv", index=False)
    asked = ("--attack", "loss", "--group", "ward", "--set", "data.id=id", "--name", name, "-q")
    assert vestige("audit", folder / f"{name}.csv", "--out", folder / "runs" / name, *asked).code == 0
    return folder / "runs" / name


@pytest.fixture(scope="module")
def runs(vestige, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return audit_of(vestige, folder, "leaky", 2.0), audit_of(vestige, folder, "tight", 0.2)


def policy_of(folder, *conditions):
    path = folder / "policy.toml"
    path.write_text(f"[policy]\nfail_if = {json.dumps(conditions)}\n")
    return path


BROKEN = "finding is LEAK SHOWN"
PASSED = "loss:tpr_at_fpr_0.1.upper[ward=a] >= 1"
UNDECIDED = "tpr_at_fpr_0.001.upper > 0.5"


@pytest.mark.parametrize(
    ("conditions", "code"),
    [((PASSED,), 0), ((PASSED, BROKEN), 3), ((PASSED, UNDECIDED), 4), ((UNDECIDED, BROKEN), 3)],
)
def test_the_gate_fails_closed(vestige, runs, tmp_path, conditions, code):
    done = vestige("gate", runs[0], policy_of(tmp_path, *conditions))
    assert done.code == code, done
    outcomes = {PASSED: "passed", BROKEN: "broken", UNDECIDED: "undecided"}
    assert [line.split(":")[0] for line in done.out.splitlines()] == [outcomes[one] for one in conditions]


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("p_value < 0.01", "broken"),
        ("p_value < 0", "passed"),
        ("validity is LIMITED", "passed"),
        ("finding is UNDECIDED", "passed"),
        ("auc.lower > 0.6", "broken"),
        ("auc.upper[worst_group] > 0.6", "broken"),
        ("loss:auc.upper[ward=c] > 0.6", "undecided"),
        ("entropy:auc.upper > 0.6", "undecided"),
    ],
)
def test_conditions_of_every_kind(vestige, runs, tmp_path, condition, outcome):
    done = vestige("gate", runs[0], policy_of(tmp_path, condition), "--json")
    assert json.loads(done.out)["outcome"] == outcome, done


def test_a_gate_writes_for_build_systems(vestige, runs, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    policy = policy_of(tmp_path, PASSED, BROKEN, UNDECIDED)
    vestige("gate", runs[0], policy, "--junit", tmp_path / "gate.xml", "--markdown", summary)
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"]]
    text = summary.read_text()
    assert text.startswith("before\n### Privacy gate: broken\n")
    assert f"| ❌ | `{BROKEN}` |" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expected a table [policy] with fail_if"),
        ("[policy]\nfail_if = []\n", "Expected a table [policy] with fail_if"),
        ('[policy]\nfail_if = ["tpr.upper > 1"]\n', "Expected a metric among auc, tpr_at_fpr_0.1"),
        ('[policy]\nfail_if = ["finding is VALID"]\n', "Expected one of LEAK SHOWN, UNDECIDED"),
        ('[policy]\nfail_if = ["validity is VALID"]\n', "Expected one of LIMITED, CONFOUNDED"),
        ('[policy]\nfail_if = ["p_value > 0.01"]\n', "a small p-value is the leak"),
        ('[policy]\nfail_if = ["los:auc.upper > 0.6"]\n', "found los, which is none; you may mean loss"),
        ("not toml", "Expected TOML"),
    ],
)
def test_a_policy_that_is_none_is_refused(vestige, runs, tmp_path, text, said):
    (tmp_path / "policy.toml").write_text(text)
    done = vestige("gate", runs[0], tmp_path / "policy.toml")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_two_runs_are_compared(vestige, runs):
    done = vestige("compare", *runs)
    assert done.out.splitlines()[0] == f"{runs[0]} to {runs[1]}: Leakage fell for loss."
    assert "loss\tauc\t" in done.out
    told = json.loads(vestige("compare", runs[0], runs[0], "--json").out)[str(runs[0])]
    assert told["sentence"] == "No change of leakage is shown."


def test_members_at_risk_are_listed_for_their_owner(vestige, runs, tmp_path):
    done = vestige("records", runs[0], "--top", "3", "--csv", tmp_path / "all.csv")
    lines = done.out.splitlines()
    assert len(lines) == 4
    assert lines[0].split("\t") == ["record", "score", "false_positive_rate", "precision"]
    assert stat.S_IMODE((tmp_path / "all.csv").stat().st_mode) == 0o600
    assert len(pd.read_csv(tmp_path / "all.csv")) == N // 2
    first = lines[1].split("\t")[0]
    assert "data were used to train the model" in vestige("records", runs[0], "--id", first, "--prior", "0.1").out


def test_a_page_is_written_anew_and_the_run_is_still_whole(vestige, runs):
    before = (runs[0] / "report.html").read_text()
    (runs[0] / "report.html").write_text("spoilt")
    assert vestige("report", runs[0]).code == 0
    assert (runs[0] / "report.html").read_text() == before
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    assert set(manifest["files"]) >= {"report.html", "report.json", "results.parquet", "records.parquet"}
    assert {"summary.html", "summary.pdf"} <= set(manifest["files"])
    assert not (runs[0] / "private.html").exists()  # only if it is asked for


def test_the_private_page_is_for_its_owner_and_the_run_is_still_whole(vestige, runs):
    said = vestige("report", runs[0], "--private")
    assert said.code == 0
    assert "for you alone" in said.out
    assert stat.S_IMODE((runs[0] / "private.html").stat().st_mode) == 0o600
    assert vestige("report", runs[0]).code == 0


def test_a_folder_without_a_comparison_is_refused_in_one_line(vestige, runs, tmp_path):
    said = vestige("report", runs[0], "--comparison", tmp_path)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "comparison.csv" in said.err


def test_purpose_and_author_of_the_command_line_stand_on_the_page(vestige, runs, tmp_path):
    asked = ("--attack", "loss", "--purpose", "Release", "--author", "A. Author", "--out", tmp_path / "run")
    assert vestige("audit", runs[0].parent.parent / "leaky.csv", *asked).code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Release" in page
    assert "A. Author" in page


def test_an_index_names_no_finding_of_a_confounded_test(vestige, tmp_path):
    table = tmp_path / "confounded.csv"
    rows = [f"{n},0,{int(n < 60)},{0.9 if n < 60 else 0.6},{0.1 if n < 60 else 0.4}" for n in range(120)]
    table.write_text("\n".join(["admitted,label,member,prob_0,prob_1", *rows]))
    assert vestige("audit", table, "--order", "admitted", "--out", tmp_path / "runs" / "one").code == 0
    [found] = json.loads(vestige("view", tmp_path / "runs", "--json").out)
    assert (found["validity"], found["finding"]) == ("CONFOUNDED", "no finding")
    assert "LEAK" not in (tmp_path / "runs" / "index.html").read_text()


def test_an_index_links_to_every_run_and_says_what_cannot_be_read(vestige, runs):
    folder = runs[0].parent
    spoilt = folder / "<b>spoilt"
    spoilt.mkdir()
    (spoilt / "manifest.json").write_text("{}")
    done = vestige("view", folder)
    page = (folder / "index.html").read_text()
    assert 'href="leaky/report.html"' in page
    assert "<b>spoilt" not in page
    assert "one that cannot be read" in done.out
    names = [one["name"] for one in json.loads(vestige("view", folder, "--json").out)]
    assert sorted(names) == ["<b>spoilt", "leaky", "tight"]


@pytest.mark.parametrize("command", ["report", "records", "view", "gate", "compare"])
def test_a_folder_that_is_no_run_is_said_in_a_line(vestige, runs, tmp_path, command):
    others = {"gate": (policy_of(tmp_path, PASSED),), "compare": (runs[0],)}.get(command, ())
    done = vestige(command, tmp_path / "nothing", *others)
    assert done.code == 2
    assert done.err.startswith("vestige: Expected ")
    assert done.err.count("\n") == 1


def copy_of(run, to):
    to.mkdir()
    for path in run.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def undated(run):
    """Let a run's files be changed without being noticed by their digests."""
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["files"]
    (run / "manifest.json").write_text(json.dumps(manifest))


def test_a_run_that_is_handed_over_is_confirmed(vestige, runs, tmp_path):
    done = vestige("verify", runs[0])
    assert done.code == 0
    assert done.out.startswith("CONFIRMED: ")
    assert "2 areas and rates" not in done.out
    assert "follow from the scores of the records" in done.out
    released = copy_of(runs[0], tmp_path / "released")
    (released / "records.parquet").unlink()
    assert "Not there, so not checked: records.parquet" in vestige("verify", released).out


def test_a_file_that_was_changed_is_the_first_difference(vestige, runs, tmp_path):
    for name in ("results.csv", "report.json", "report.html", "audit.toml"):
        changed = copy_of(runs[0], tmp_path / f"{name} changed")
        (changed / name).write_bytes((changed / name).read_bytes() + b"\n")
        done = vestige("verify", changed)
        assert (done.code, done.out.split(":")[0]) == (3, "DIFFERENT"), name
        assert name in done.out


def test_a_number_that_does_not_follow_from_scores_is_found(vestige, runs, tmp_path):
    changed = copy_of(runs[0], tmp_path / "run")
    undated(changed)
    records = pd.read_parquet(changed / "records.parquet")
    records["loss"] = records["loss"].sample(frac=1.0, random_state=0).to_numpy()
    records.to_parquet(changed / "records.parquet")
    done = vestige("verify", changed)
    assert done.code == 3
    assert "auc of loss is" in done.out


def test_predictions_are_audited_again_and_another_model_is_noticed(vestige, runs):
    assert "Asked again about 800 records, loss are the same" in vestige("verify", runs[0], "--again").out
    other = runs[1].parent.parent / "tight.csv"
    done = vestige("verify", runs[0], "--again", "--set", f"target.file={other}")
    assert done.code == 3
    assert "has loss" in done.out


@pytest.mark.parametrize(
    "asked", [("attacks",), ("doctor",), ("data", "list"), ("bank", "list"), ("reproduce", "--list")], ids=" ".join
)
def test_lists_are_json_with_the_names_of_the_table(vestige, asked):
    found = json.loads(vestige(*asked, "--json").out)
    header = vestige(*asked).out.splitlines()[0].split("\t")
    assert all(list(one) == header for one in found)
    assert found or asked[0] == "bank"


def test_what_commands_about_a_run_say_is_json(vestige, runs):
    members = json.loads(vestige("records", runs[0], "--top", "3", "--json").out)
    assert len(members) == 3
    one = json.loads(vestige("records", runs[0], "--id", str(next(iter(members[0].values()))), "--json").out)
    assert one["is_member"]
    assert one["words"] == vestige("records", runs[0], "--id", str(next(iter(members[0].values())))).out.strip()
    assert json.loads(vestige("verify", runs[0], "--json").out)["difference"] == ""


def test_an_audit_prints_its_report_as_json(vestige, runs, tmp_path):
    table = runs[0].parent.parent / "leaky.csv"
    done = vestige("audit", table, "--out", tmp_path / "run", "--json", "--fail-if", "auc.upper > 0")
    assert done.code == 3
    assert json.loads(done.out) == json.loads((tmp_path / "run" / "report.json").read_text())
