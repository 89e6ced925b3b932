from vestige.data.formats.files import row_ids


def test_ids_tell_files_and_rows_apart():
    assert row_ids("train", 3).tolist() == ["train/0", "train/1", "train/2"]
    assert len({*row_ids("train", 11).tolist(), *row_ids("test", 11).tolist()}) == 22
    assert row_ids("train", 0).size == 0
