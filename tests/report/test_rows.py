import pandas as pd

from vestige.report.rows import Rows, fixed_fpr


def test_rows_are_found_by_name(rich):
    rows = Rows(rich.results)
    cell = rows.get("loss", "roc", "tpr_at_fpr_0.01")
    assert cell is not None
    row = rich.results.query("attack == 'loss' and metric == 'tpr_at_fpr_0.01' and group == 'all'").iloc[0]
    assert (cell.value, cell.lower, cell.upper) == (row["value"], row["lower"], row["upper"])
    assert (cell.n_members, cell.n_nonmembers, cell.false_positives) == (3000, 3000, 30)
    assert (cell.status, cell.definition) == ("ok", row["definition"])
    assert rows.get("loss", "roc", "nothing") is None


def test_what_there_is(rich):
    rows = Rows(rich.results)
    assert rows.attacks == ["correctness", "loss", "confidence", "max_confidence", "entropy", "modified_entropy"]
    assert rows.fprs == ["0.1", "0.01", "0.001", "0.0001"]
    assert rows.plain_rules == ["shadow_global", "shadow_per_class", "shadow_strict"]
    assert [fixed_fpr(rule) for rule in rows.fixed_rules] == [0.1, 0.01, 0.001]
    assert len(rows.classes) == 3
    assert rows.groups == ["sex=f", "sex=m", "age=<30", "age=30-60", "age=>90"]


def test_subjects_stand_where_records_are_counted_too(rich):
    loss = rich.results.query("attack == 'loss' and metric == 'auc' and group == 'all'")
    both = pd.concat([loss, loss.assign(unit="record", value=0.1)], ignore_index=True)
    cell = Rows(both).get("loss", "roc", "auc")
    assert cell is not None
    assert cell.value == loss["value"].iloc[0]
    assert Rows(both).unit == "subject"


def test_the_leading_attack_is_the_worst_at_the_headline(rich, minimal):
    assert Rows(rich.results).leading(rich.finding) == "modified_entropy"
    assert Rows(minimal.results).leading(minimal.finding) == "loss"


def test_twelve_worst_classes(many_classes):
    rows = Rows(many_classes.results)
    shown = rows.worst_first(rows.classes, "loss")
    assert shown == [f"class=class {i}" for i in range(99, 87, -1)]


def test_suppressed_groups_come_last(rich):
    rows = Rows(rich.results)
    assert rows.worst_first(rows.groups, "loss")[-1] == "age=>90"


def test_an_empty_table_has_nothing(rich):
    rows = Rows(rich.results.iloc[:0])
    assert rows.attacks == rows.fprs == rows.groups == []
    assert rows.leading(rich.finding) is None
