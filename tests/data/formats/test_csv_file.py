"""Text tables as other programs write them."""

import gzip

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.outputs import Probabilities
from vestige.data import Columns, read_records, read_table

PLAIN = "label,member,prob_a,prob_b\na,1,0.75,0.25\nb,0,0.5,0.5\n"


@pytest.fixture
def read(tmp_path):
    def reading(text, columns=None, name="scores.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(tmp_path / name, columns)

    return reading


def same_as_plain(predictions):
    assert predictions.classes == ("a", "b")
    assert predictions.labels.tolist() == [0, 1]
    assert predictions.member.tolist() == [True, False]
    table = np.concatenate(list(predictions.output(Probabilities).table.blocks(5)))
    np.testing.assert_array_equal(table, [[0.75, 0.25], [0.5, 0.5]])
    return True


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".", ","),  # R: write.csv2
        PLAIN.replace(",", "\t").replace(".", ","),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip("\n"),
        "\n" + PLAIN,
        PLAIN + "\n",
        "\ufeff" + PLAIN,
        gzip.compress(PLAIN.encode(), mtime=0),
        '"","label","member","prob_a","prob_b"\n"1","a",TRUE,0.75,0.25\n"2","b",FALSE,0.5,0.5\n',  # R: write.csv
        '"label";"member";"prob_a";"prob_b"\n"a";1;0,75;2,5e-1\n"b";0;0,5;0,5\n',
        '"label","member","prob_a","prob_b"\n"a","1","0.75","0.25"\n"b","0","0.5","0.5"\n',
        'label,member,"note, long",prob_a,prob_b\na,1,"x,\ny",0.75,0.25\nb,0,,0.5,0.5\n',
    ],
)
def test_the_ways_to_write_one_table(read, text):
    assert same_as_plain(read(text))


def test_names_are_kept_exactly(read):
    found = read('label,member,"prob_a b","prob_c,d"\na b,1,0.75,0.25\n"c,d",0,0.5,0.5\n')
    assert found.classes == ("a b", "c,d")
    mangled = "label,member,prob_a.b,prob_c\na b,1,0.75,0.25\nc,0,0.5,0.5\n"
    refused(lambda: read(mangled), "scores.csv: ", "a.b, c", "found a b")


def test_ids_stay_as_written(read):
    text = "id,label,member,prob_a,prob_b\n{},a,1,0.75,0.25\n{},b,0,0.5,0.5\n"
    assert read(text.format("007", "7")).ids.tolist() == ["007", "7"]
    assert read(text.format("1e3", "1000")).ids.tolist() == ["1e3", "1000"]
    assert read(text.format("12", "7")).ids.tolist() == [12, 7]
    assert read(text.format("1.50", "1.5")).ids.tolist() == ["1.50", "1.5"]


def test_missing_numbers_as_programs_write_them(read):
    rows = "".join(f"a,{i % 2},{cell},0.5\n" for i, cell in enumerate(["NA", "NaN", "", "nan", "null", "Inf", "1"]))
    found = read("label,member,prob_a,prob_b\n" + rows)
    column = next(found.output(Probabilities).table.blocks(10))[:, 0]
    assert np.isnan(column).tolist() == [True] * 5 + [False] * 2
    assert column[5] == np.inf


def test_the_text_na_is_a_class_only_in_quotes(read):
    text = "label,member,prob_NA,prob_b\n{},1,0.75,0.25\nb,0,0.5,0.5\n"
    assert read(text.format('"NA"')).classes == ("NA", "b")
    refused(lambda: read(text.format("NA")), "in column label", "data row 1")


def test_order_with_decimal_commas_and_dates(read):
    text = "label;member;prob_a;prob_b;t;day;hour\na;1;0,5;0,5;1,5;2024-02-01;10:00\nb;0;0,5;0,5;2;2024-01-31;9:30\n"
    found = read(text, Columns(order=("t", "day", "hour")))
    assert found.order["t"].tolist() == [1.5, 2.0]
    assert found.order["day"].dtype.kind == "M"
    assert found.order["hour"].tolist() == ["10:00", "9:30"]
    text = text.replace(";t;", ";input_t;")
    np.testing.assert_array_equal(read(text).inputs, [[1.5], [2.0]])


def test_a_long_column_that_starts_with_whole_numbers(read):
    rows = "".join(f"a,{i % 2},1,0\n" for i in range(200_000)) + "b,0,0.5,0.5\n"
    assert read("label,member,prob_a,prob_b\n" + rows).n_records == 200_001


@pytest.mark.parametrize(
    ("text", "essentials"),
    [
        (PLAIN.replace("0.75", "high"), ("number in column prob_a", "'high' in data row 1")),
        (PLAIN + "b,0,0.5,o.5\n", ("number in column prob_b", "'o.5' in data row 3")),
        (PLAIN + "b,0,0.5\n", ("4 fields as in the header", "found 3 in data row 3", "row.names = FALSE")),
        (PLAIN.replace("\nb,0", "\nb,0,7"), ("4 fields", "found 5 in data row 2")),
        ("label,member,prob_a,prob_b\n", ("a header without rows",)),
        ("label,member,prob_a,prob_b", ("a header without rows",)),
        ("label,member,prob_a,prob_b,prob_b\na,1,1,0,0\n", ("one column prob_b, found 2",)),
        ("label,label,member,loss\na,a,1,1\n", ("one column label, found 2",)),
        ("label member prob_a prob_b\na 1 .5 .5\n", ("a column label, found label member prob_a prob_b",)),
        ("\n\n", ("a column label",)),
        ('label,member,loss\n"a,1,0.5\nb,0,0.5\n', ("quote to be closed", "line 2, column label")),
        ('member,loss,label\n1,0.5,"a\n0,0.5,b\n', ("quote to be closed", "line 2, column label")),
        ('member,loss,label\n1,0.5,"a\nb"\n0,0.5,b\n', ("label", "several lines in data row 1", "quotes")),
        (PLAIN.replace("\na,", "\n\xe9,").encode("latin-1"), ("UTF-8", "Latin-1", "fileEncoding")),
        (PLAIN.replace("prob_a", "prob_\xe9").encode("latin-1"), ("UTF-8", "Latin-1", "fileEncoding")),
        (gzip.compress(PLAIN.encode() * 9, mtime=0)[:-9], ("gzip", "truncated")),
    ],
)
def test_tables_that_cannot_be_read(read, text, essentials):
    refused(lambda: read(text), "scores.csv: Expected", *essentials)


def test_latin_1_in_a_column_that_is_not_needed(read):
    assert same_as_plain(read(PLAIN.replace("\n", ",\xe9\n").replace("\xe9", "note", 1).encode("latin-1")))


def test_a_late_mistake_is_found_with_its_row(read):
    rows = "".join(f"a,{i % 2},1,0\n" for i in range(150_000)) + "b,0,x,0.5\n"
    refused(lambda: read("label,member,prob_a,prob_b\n" + rows), "prob_a", "'x' in data row 150,001")


def test_a_truncated_long_gzip(read):
    rng = np.random.default_rng(0)
    rows = "".join(f"a,{i % 2},{p},{1 - p}\n" for i, p in enumerate(rng.random(60_000)))
    packed = gzip.compress(("label,member,prob_a,prob_b\n" + rows).encode())
    refused(lambda: read(packed[: len(packed) * 9 // 10], name="scores.csv.gz"), "scores.csv.gz: Expected", "truncated")
    damaged = bytearray(packed)
    damaged[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    refused(lambda: read(bytes(damaged), name="scores.csv.gz"), "scores.csv.gz: Expected", "save it again")


def test_an_endless_field_is_no_table(read):
    refused(lambda: read('"' + "x" * 300_000), "scores.csv: Expected a column label")


def test_messages_stay_short_and_on_one_line(read):
    long = refused(lambda: read(PLAIN.replace("0.75", "x" * 5000)), "data row 1")
    assert len(long) < 300
    wide = refused(lambda: read('"a\nb",' + "y" * 5000 + "\n1,2\n"), "a column label, found a b, yyy")
    assert len(wide) < 300


def table(notes, rows=40, ends="\n"):
    """A table with a column of free text that nobody needs, between those that are needed."""
    lines = ["id,label,note,member,prob_a,prob_b"]
    for i in range(rows):
        lines.append(f"{i},{'ab'[i % 2]},{notes.get(i, 'fine')},{i % 2},{i / 64},{1 - i / 64}")
    return ends.join([*lines, ""])


@pytest.mark.parametrize(
    ("notes", "line", "until"),
    [
        ({7: '"never closed'}, 9, "the end of the table"),
        ({7: '"never closed', 30: '"of another row"'}, 9, "line 32"),
        ({7: '"never closed', 30: 'of 5"'}, 9, "line 32"),
        ({7: '"never closed', 8: 'of 5"'}, 9, "line 10"),
        ({7: '"never closed', 9: 'of 5"'}, 9, "line 11"),
        ({3: '"of ""two""\nlines"', 7: '"never closed', 30: '""'}, 10, "the end of the table"),
        ({7: '"closed, and "" with a quote"', 39: '"never closed'}, 41, "the end of the table"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_open_quote_in_a_column_that_is_not_needed_is_refused(read, notes, line, until, ends, packed):
    text = table(notes, ends=ends).encode()
    message = refused(lambda: read(gzip.compress(text) if packed else text), "every quote to be closed", "column note")
    assert f"in line {line}, " in message
    assert until in message


@pytest.mark.parametrize(
    "notes",
    [
        {7: '"of two\nlines"'},
        {7: '"of two\nlines, with, commas, in, them"'},
        {7: '"a letter\n\nDear Sir,\n""yes"" and ""no"".\n"', 8: '"5"" tall"'},
        {7: 'a " within', 8: '5"', 9: "it's"},
        {39: '"\n"'},
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_text_over_several_lines_that_is_not_needed_is_read(read, notes, ends):
    found = read(table(notes, ends=ends))
    assert found.n_records == 40
    np.testing.assert_array_equal(found.ids, np.arange(40))


def test_an_open_quote_among_the_inputs_of_records_is_refused(tmp_path):
    (tmp_path / "records.csv").write_text(table({7: '"never closed', 30: 'of 5"'}))
    refused(lambda: read_records(tmp_path / "records.csv"), "records.csv: Expected every quote to be closed")


@pytest.mark.parametrize("cell", ['"a\rb"', '"a\nb"'])
def test_a_label_of_two_lines_is_refused(read, cell):
    refused(lambda: read(PLAIN.replace("\na,", f"\n{cell},")), "in column label")


def test_empty_lines_are_no_rows(read):
    assert same_as_plain(read(PLAIN.replace("\n", "\n\n") + "\n\n"))
