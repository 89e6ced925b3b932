import io
import json
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.data.published import cut, real
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.data.records.images import read_image_parquet


def pixels(n, shape=(5, 4, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def encoded(array, kind="PNG", mode=None):
    stream = io.BytesIO()
    picture = Image.fromarray(array.squeeze())
    (picture if mode is None else picture.convert(mode)).save(stream, kind)
    return stream.getvalue()


def saved(path, columns, **options):
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 1)])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_images_in_colour_and_grey(tmp_path, shape, n_threads):
    images = pixels(700, shape)  # more than a thread takes at once
    labels = np.arange(700) % 3
    columns = {"image": [encoded(i) for i in images], "label": labels}
    seen = []
    records = read_image_parquet(
        saved(tmp_path / "train.parquet", columns, row_group_size=100),
        n_threads=n_threads,
        progress=lambda *step: seen.append(step),
    )
    np.testing.assert_array_equal(records.inputs, images)
    np.testing.assert_array_equal(records.labels, labels)
    assert records.inputs.dtype == np.uint8
    assert records.ids[[0, 699]].tolist() == ["train.parquet/0", "train.parquet/699"]
    assert (records.classes, records.n_classes) == (None, 3)
    assert seen[-1] == ("decode images", 700, 700)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_struct_with_bytes_and_class_names_of_the_hub(tmp_path, kind):
    images = pixels(4)
    struct = pa.array(
        [{"bytes": encoded(i), "path": f"{n}.png"} for n, i in enumerate(images)],
        pa.struct([("bytes", kind), ("path", pa.string())]),
    )
    table = pa.table({"img": struct, "fine": [0, 2, 1, 2]})
    features = {"info": {"features": {"fine": {"names": ["cat", "dog", "eel"], "_type": "ClassLabel"}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    records = read_image_parquet(saved(tmp_path / "a.parquet", table), image="img", label="fine")
    np.testing.assert_array_equal(records.inputs, images)
    assert records.classes == ("cat", "dog", "eel")
    assert records.labels.tolist() == [0, 2, 1, 2]


def test_labels_that_are_names(tmp_path):
    columns = {"image": [encoded(i) for i in pixels(3)], "label": ["eel", "cat", "eel"]}
    records = read_image_parquet(saved(tmp_path / "a.parquet", columns))
    assert (records.classes, records.labels.tolist()) == (("cat", "eel"), [1, 0, 1])
    table = pa.table(columns)
    table = table.set_column(1, "label", table["label"].dictionary_encode())
    records = read_image_parquet(saved(tmp_path / "a.parquet", table), classes=["eel", "dog", "cat"])
    assert (records.classes, records.labels.tolist()) == (("eel", "dog", "cat"), [0, 2, 0])


def test_several_files_in_the_order_given(tmp_path):
    images = pixels(5)
    for part, rows in (("train", slice(0, 3)), ("test", slice(3, 5))):
        (tmp_path / part).mkdir()
        columns = {"image": [encoded(i) for i in images[rows]], "label": [0, 1, 1][: len(images[rows])]}
        saved(tmp_path / part / "0000.parquet", columns)
        saved(tmp_path / f"{part}.parquet", columns)
    records = read_image_parquet(tmp_path / "train.parquet", tmp_path / "test.parquet")
    np.testing.assert_array_equal(records.inputs, images)
    assert records.labels.tolist() == [0, 1, 1, 0, 1]
    assert records.ids[[2, 3]].tolist() == ["train.parquet/2", "test.parquet/0"]
    twins = read_image_parquet(tmp_path / "train" / "0000.parquet", tmp_path / "test" / "0000.parquet")
    assert twins.ids[[2, 3]].tolist() == ["train/0000.parquet/2", "test/0000.parquet/0"]


@pytest.mark.parametrize("mode", ["1", "P"])
def test_other_writings_of_grey_and_colour(tmp_path, mode):
    images = np.where(pixels(2, (5, 4, 1 if mode == "1" else 3)) > 127, 255, 0).astype(np.uint8)
    columns = {"image": [encoded(i, mode=mode) for i in images], "label": [0, 1]}
    records = read_image_parquet(saved(tmp_path / "a.parquet", columns))
    np.testing.assert_array_equal(records.inputs, images)


def one_wrong(tmp_path, wrong, n=4, at=2):
    contents = [encoded(i) for i in pixels(n)]
    contents[at] = wrong
    return saved(tmp_path / "train.parquet", {"image": contents, "label": [0] * n})


def test_mixed_sizes_name_the_row_and_both_sizes(tmp_path):
    path = one_wrong(tmp_path, encoded(pixels(1, (7, 6, 3))[0]))
    essentials = ("train.parquet[row 3]", "6 x 7 colour beside 4 x 5 colour in train.parquet[row 1]", "Image.resize")
    refused(lambda: read_image_parquet(path), *essentials)
    grey = one_wrong(tmp_path, encoded(pixels(1, (5, 4, 1))[0]))
    refused(lambda: read_image_parquet(grey), "4 x 5 grey beside 4 x 5 colour", "Image.convert")


def test_the_first_of_several_mixed_sizes_is_named(tmp_path):
    contents = [encoded(i) for i in pixels(900)]
    for at in (850, 300, 610):
        contents[at] = encoded(pixels(1, (7, 6, 3))[0])
    path = saved(tmp_path / "train.parquet", {"image": contents, "label": [0] * 900})
    refused(lambda: read_image_parquet(path), "train.parquet[row 301]")


def test_a_damaged_image_names_the_row_of_its_file(tmp_path):
    whole = encoded(pixels(1)[0], "JPEG")
    for wrong in (b"no image", b"", whole[:100], whole[: len(whole) // 2]):
        path = one_wrong(tmp_path, wrong)
        refused(partial(read_image_parquet, path), "train.parquet[row 3]", "cannot be decoded", "replace it")
    first = saved(tmp_path / "first.parquet", {"image": [encoded(i) for i in pixels(3)], "label": [0] * 3})
    refused(lambda: read_image_parquet(first, path), "train.parquet[row 3]")


def test_images_that_would_have_to_be_converted_are_refused(tmp_path):
    for mode in ("RGBA", "LA"):
        path = one_wrong(tmp_path, encoded(pixels(1)[0], mode=mode))
        refused(partial(read_image_parquet, path), "row 3", f"mode {mode}", "Image.convert('RGB')")
    path = one_wrong(tmp_path, encoded(pixels(1)[0], "JPEG", mode="CMYK"))
    refused(lambda: read_image_parquet(path), "mode CMYK")
    deep = encoded(pixels(1, (5, 4, 1))[0].astype(np.uint16) * 257)
    refused(lambda: read_image_parquet(one_wrong(tmp_path, deep)), "mode I;16", "8 bits")
    frames, stream = [Image.fromarray(i) for i in pixels(2)], io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    refused(lambda: read_image_parquet(one_wrong(tmp_path, stream.getvalue())), "an animation")


def test_a_missing_image_or_label_names_the_row(tmp_path):
    refused(lambda: read_image_parquet(one_wrong(tmp_path, None)), "train.parquet[row 3]", "found none", "embed")
    struct = pa.array([{"bytes": encoded(pixels(1)[0]), "path": None}, {"bytes": None, "path": "b.png"}])
    path = saved(tmp_path / "train.parquet", {"image": struct, "label": [0, 1]})
    refused(lambda: read_image_parquet(path), "train.parquet[row 2]", "only a path")
    path = saved(tmp_path / "a.parquet", {"image": [encoded(i) for i in pixels(2)], "label": [0, None]})
    refused(lambda: read_image_parquet(path), "a.parquet: Expected an entry of column label", "row 2")


def test_columns_that_are_missing_or_no_images(tmp_path):
    columns = {"image": [encoded(i) for i in pixels(2)], "fine_label": [0, 1]}
    path = saved(tmp_path / "a.parquet", columns)
    refused(lambda: read_image_parquet(path), "a.parquet", "column label, found image, fine_label", "label=")
    refused(lambda: read_image_parquet(path, image="img"), "column img, found image, fine_label", "image=")
    refused(lambda: read_image_parquet(path, image="fine_label", label="fine_label"), "found int64", "image=")
    path = saved(tmp_path / "b.parquet", {"image": [{"path": "a.png"}], "label": [0]})
    refused(lambda: read_image_parquet(path), "a field bytes, found struct<path: string>")


def test_labels_that_are_no_classes(tmp_path):
    images = [encoded(i) for i in pixels(2)]
    path = saved(tmp_path / "a.parquet", {"image": images, "label": [0, -1]})
    refused(lambda: read_image_parquet(path), "a.parquet: Expected labels in 0", "found -1 in row 2")
    path = saved(tmp_path / "a.parquet", {"image": images, "label": [0, 2]})
    refused(lambda: read_image_parquet(path, classes=["a", "b"]), "0..1", "found 2 in row 2")


def test_files_that_are_no_whole_parquet(tmp_path):
    path = saved(tmp_path / "a.parquet", {"image": [encoded(i) for i in pixels(50)], "label": [0] * 50})
    whole = path.read_bytes()
    refused(lambda: read_image_parquet(cut(path, 10)), "a.parquet: Expected a whole Parquet file", "truncated")
    path.write_bytes(whole[:8] + b"\x00" * 2000 + whole[2008:])
    refused(lambda: read_image_parquet(path), "a.parquet")
    refused(lambda: read_image_parquet(tmp_path / "no.parquet"), "no.parquet", "found none there")
    (tmp_path / "b.csv").write_text("image,label\n")
    refused(lambda: read_image_parquet(tmp_path / "b.csv"), "b.csv: Expected a Parquet file, found a text table")
    refused(read_image_parquet, "at least one image, found none")
    refused(lambda: read_image_parquet(saved(path, {"image": pa.array([], pa.binary()), "label": []})), "found none")


def test_cifar_10_as_jpeg():
    folder = real("cifar10-jpeg")
    records = read_image_parquet(folder / "test.parquet")
    table = pq.read_table(folder / "test.parquet")
    assert records.inputs.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(records.labels, table["label"].to_numpy())
    np.testing.assert_array_equal(np.bincount(records.labels), [1_000] * 10)
    for row in (0, 2_047, 2_048, 9_999):
        expected = np.asarray(Image.open(io.BytesIO(table["image"][row].as_py())))
        np.testing.assert_array_equal(records.inputs[row], expected)


def test_a_page_that_misses_its_checksum_is_refused(tmp_path):
    columns = {"image": [encoded(image, "PNG") for image in pixels(2)], "label": [271_828, 314_159]}
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    path = saved(tmp_path / "a.parquet", columns, write_page_checksum=True, **plain)
    content = bytearray(path.read_bytes())
    place = content.find(np.int64(314_159).tobytes())
    content[place] ^= 2
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: Expected a whole Parquet file, found a truncated or damaged"):
        read_image_parquet(path)
