"""Fetching, from a server that the test starts on this machine: what is kept is whole and checked, or nothing is."""

import gzip
import hashlib
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.errors import ArtefactError, OutputError
from vestige.core.records import Records
from vestige.data.sets.fetch import Found, fetch, fetch_set
from vestige.data.sets.named import SETS, NamedSet, SourceFile

pytest.importorskip("pooch")

REAL = os.environ.get("VESTIGE_DATA")
CONTENT = {"toy/a.bin": b"the first file" * 20_000, "toy/b.txt": b"the second"}


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder silently; of a file `short.bin` it sends half of what it announces."""

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        if not self.path.endswith("short.bin"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 500)


@contextmanager
def serving(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The address of a server with the toy files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    with serving(folder) as address:
        yield address


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder."""
    folder = tmp_path / "data"
    monkeypatch.setenv("VESTIGE_DATA", str(folder))
    return folder


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def toy(site, **changes):
    """A set of two files, both with known checksums but for the changes."""
    files = tuple(SourceFile(path, f"{site}/{path}", sha256(content)) for path, content in CONTENT.items())
    known = NamedSet(
        name="toy",
        description="a toy",
        n_records=2,
        n_train=2,
        shape=(3,),
        n_classes=2,
        origin="this test",
        licence="none",
        files=files,
        read=lambda *paths: Records(np.eye(2), [0, 1]),
    )
    return replace(known, files=(replace(files[0], **changes), *files[1:]))


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetched_whole_once_and_only_checked_afterwards(site, data):
    told = []
    files = fetch_set(toy(site), progress=lambda *step: told.append(step))
    assert [file.found for file in files] == [Found.DOWNLOADED] * 2
    assert {str(file.path.relative_to(data)): file.path.read_bytes() for file in files} == CONTENT
    assert left(data) == ["toy/a.bin", "toy/b.txt"]
    sizes = {Path(path).name: len(content) for path, content in CONTENT.items()}
    assert {(name, total) for name, _, total in told} == set(sizes.items())
    assert all(0 < done <= total for _, done, total in told)
    assert [done for name, done, _ in told if name == "a.bin"][-1] == sizes["a.bin"]
    unreachable = toy("http://127.0.0.1:9")
    assert [file.found for file in fetch_set(unreachable)] == [Found.PRESENT] * 2


def test_only_what_is_missing_is_downloaded(site, data):
    fetch_set(toy(site))
    (data / "toy" / "b.txt").unlink()
    assert [file.found for file in fetch_set(toy(site))] == [Found.PRESENT, Found.DOWNLOADED]


def test_a_wrong_checksum_leaves_nothing(site, data):
    refused(
        lambda: fetch_set(toy(site, sha256="0" * 64)),
        "a.bin: Expected the published file, SHA-256 000000000000..., found another from 127.0.0.1",
        "not kept",
        "mirror",
    )
    assert left(data) == []


def test_a_file_that_is_not_there(site, data):
    refused(
        lambda: fetch_set(toy(site, url=f"{site}/toy/gone.bin")), "a.bin", "gone.bin, found HTTP status 404", "mirror"
    )
    assert left(data) == []


def test_a_connection_that_breaks_off(site, data):
    refused(lambda: fetch_set(toy(site, url=f"{site}/short.bin")), "a.bin", "a whole file", "early end", "again")
    assert left(data) == []


def test_no_network(data, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:  # a port that nobody listens on
        closed.bind(("127.0.0.1", 0))
        site = f"http://127.0.0.1:{closed.getsockname()[1]}"
        refused(lambda: fetch_set(toy(site)), "a.bin", "to reach 127.0.0.1", "no connection", "proxy", "by hand")
    assert left(data) == []


def test_a_file_that_is_another_one(site, data):
    fetch_set(toy(site))
    (data / "toy" / "a.bin").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"^a\.bin: Expected the published file, SHA-256 .*; remove it and fetch"):
        fetch_set(toy(site))
    assert (data / "toy" / "a.bin").read_bytes() == b"damaged"


def test_a_file_packed_anew_is_the_same_file(data):
    content = b"what is inside"
    packed = SourceFile("toy/a.gz", "http://127.0.0.1:9/a.gz", sha256(b"as published"), sha256(content))
    known = replace(toy("http://127.0.0.1:9"), files=(packed,))
    (data / "toy").mkdir(parents=True)
    (data / "toy" / "a.gz").write_bytes(gzip.compress(content, mtime=1))
    assert fetch_set(known)[0].found is Found.PRESENT
    for wrong in (gzip.compress(b"another", mtime=1), gzip.compress(content, mtime=1)[:-9]):
        (data / "toy" / "a.gz").write_bytes(wrong)
        with pytest.raises(ArtefactError, match=r"a\.gz: Expected the published file"):
            fetch_set(known)


def test_without_a_known_checksum_the_first_one_is_recorded(site, data):
    unknown = toy(site, sha256=None)
    assert fetch_set(unknown)[0].found is Found.RECORDED
    record = data / "toy" / "a.bin.sha256"
    assert record.read_text() == f"{sha256(CONTENT['toy/a.bin'])}  a.bin\n"
    assert fetch_set(unknown)[0].found is Found.UNCHANGED
    (data / "toy" / "a.bin").write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match=r"a\.bin: Expected the file that was fetched first, .*a\.bin\.sha256 too"):
        fetch_set(unknown)


def test_a_publisher_who_changes_a_file_without_a_known_checksum(site, data, tmp_path):
    unknown = toy(site, sha256=None)
    fetch_set(unknown)
    (data / "toy" / "a.bin").unlink()
    (tmp_path / "site" / "toy" / "a.bin").write_bytes(b"something else")
    refused(lambda: fetch_set(unknown), "a.bin", "found another from 127.0.0.1", "not kept")
    assert left(data) == ["toy/a.bin.sha256", "toy/b.txt"]


def test_a_mirror_is_a_copy_of_the_data_folder_with_the_same_checksums(site, data):
    elsewhere = toy("http://127.0.0.1:9")
    assert [file.found for file in fetch_set(elsewhere, mirror=f"{site}/")] == [Found.DOWNLOADED] * 2
    (data / "toy" / "a.bin").unlink()
    false = replace(elsewhere, files=(replace(elsewhere.files[0], sha256="1" * 64),))
    refused(lambda: fetch_set(false, mirror=site), "a.bin", "found another")
    refused(lambda: fetch_set(elsewhere, mirror="ftp://somewhere"), "http://", "found 'ftp://somewhere'")


def test_a_set_that_nobody_publishes(site, data, tmp_path):
    refused(lambda: fetch("cifar10-jpeg"), "cifar10-jpeg", "put cifar10-jpeg/train.parquet", "folder VESTIGE_DATA")
    (tmp_path / "site" / "cifar10-jpeg").mkdir()
    for name in ("train", "test"):
        (tmp_path / "site" / "cifar10-jpeg" / f"{name}.parquet").write_bytes(name.encode())
    assert [file.found for file in fetch("cifar10-jpeg", mirror=site)] == [Found.RECORDED] * 2
    refused(lambda: fetch("cifra10"), "you may mean cifar10")


def test_a_folder_that_cannot_be_written(site, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", Path("/proc")):
        monkeypatch.setenv("VESTIGE_DATA", str(folder))
        with pytest.raises(OutputError, match=r"^Expected to write into the folder VESTIGE_DATA, found: .*; set VEST"):
            fetch_set(toy(site))
    with pytest.raises(OutputError, match=r"^Expected to write into the folder, found"):
        fetch_set(toy(site), folder=tmp_path / "file")


def test_a_full_disk_leaves_nothing(site, data):
    def full(step, done, total):
        raise OSError(28, os.strerror(28))

    with pytest.raises(OutputError, match=r"^a\.bin: Expected to write .* No space left on device; make room"):
        fetch_set(toy(site), progress=full)
    assert left(data) == []


def test_an_interrupted_download_leaves_nothing(site, data):
    def interrupt(step, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_set(toy(site), progress=interrupt)
    assert left(data) == []


def test_without_pooch(site, data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    refused(lambda: fetch_set(toy(site)), "package pooch", "pip install 'pillow>=")


@pytest.mark.skipif(REAL is None, reason="no real data here")
@pytest.mark.parametrize("name", ["mnist", "location30", "adult", "german-credit", "hepatitis"])
def test_the_real_files_are_the_published_ones(name):
    """MNIST here was packed anew: what is in it is what was published."""
    folder = Path(str(REAL))
    if SETS[name].files_in(folder) is None:
        pytest.skip(f"{name} is not here")
    assert {file.found for file in fetch(name, folder=folder)} == {Found.PRESENT}
