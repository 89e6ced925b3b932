import gzip
import tarfile
from functools import partial

import pytest
from tests.data.published import cut, flipped, foldered, tarred, zipped
from tests.data.refusals import refused

from vestige.data.formats.files import opened, read_files

FILES = {"set/a": b"first", "set/b.txt": b"second" * 1000, "set/._a": b"a Mac's", "set/other": b"not wanted"}


def read(source):
    return read_files(source, lambda name: name != "other", lambda member: (member.where, member.stream.read()))


def contents(source):
    return {name: content for name, (_, content) in read(source).items()}


WHOLE = {"a": b"first", "b.txt": b"second" * 1000}


def test_a_folder_a_tar_and_a_zip_hold_the_same(tmp_path):
    sources = [
        foldered(tmp_path / "folder", FILES),
        tarred(tmp_path / "a.tgz", FILES),
        tarred(tmp_path / "a.tar", FILES, mode="w"),
        zipped(tmp_path / "a.zip", FILES),
    ]
    assert all(contents(source) == WHOLE for source in sources)
    assert read(sources[1])["a"][0] == "a.tgz[a]"
    assert read(sources[0])["a"][0] == "a"


def test_a_single_file_gzipped_or_not(tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    with gzip.open(tmp_path / "packed.gz", "wb") as stream:
        stream.write(b"y" * 600)
    assert contents(tmp_path / "plain") == {"plain": b"x"}
    assert contents(tmp_path / "packed.gz") == {"packed": b"y" * 600}
    (tmp_path / "other").write_bytes(b"z")
    assert contents(tmp_path / "other") == {}


def test_gzipped_files_in_a_folder_go_by_their_plain_name(tmp_path):
    folder = foldered(tmp_path / "folder", {"a.gz": gzip.compress(b"first"), "b.txt": b"second"})
    assert read(folder) == {"a": ("a.gz", b"first"), "b.txt": ("b.txt", b"second")}


def test_links_and_folders_in_a_tar_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("folder", tarfile.DIRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert read(tmp_path / "a.tar") == {}


@pytest.mark.parametrize("n", [1, 9, 40])
def test_a_truncated_archive_is_refused(tmp_path, n):
    refused(lambda: read(cut(tarred(tmp_path / "a.tgz", FILES), n)), "a.tgz", "gzip", "truncated", "download it again")
    refused(lambda: read(cut(zipped(tmp_path / "a.zip", FILES), n)), "a.zip", "zip", "truncated or damaged")


def test_a_tar_cut_inside_a_file_is_refused(tmp_path):
    path = tarred(tmp_path / "a.tar", {"a": b"x" * 20_000}, mode="w")
    path.write_bytes(path.read_bytes()[:2_000])
    refused(lambda: read(path), "a.tar", "tar", "truncated or damaged")


def test_a_flipped_bit_is_seen_even_after_the_last_member(tmp_path):
    path = tarred(tmp_path / "a.tgz", FILES)
    size = len(path.read_bytes())
    for at in (size - 6, size - 3):  # the checksum and the size that gzip keeps at the end
        refused(partial(read, flipped(tarred(path, FILES), at)), "a.tgz", "gzip", "damaged")
    refused(lambda: read(flipped(zipped(tmp_path / "a.zip", FILES), 37)), "a.zip", "damaged")


def test_two_files_of_one_name_are_refused(tmp_path):
    path = tarred(tmp_path / "a.tgz", {"x/a": b"1", "y/a": b"2"})
    refused(lambda: read(path), "a.tgz[a]", "found two")


def test_no_file_no_permission(tmp_path):
    refused(lambda: read(tmp_path / "none.tgz"), "none.tgz", "found none there")

    def load():
        with opened(tmp_path) as stream:
            stream.read()

    refused(load, "found a folder")
