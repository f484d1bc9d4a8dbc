"""Downloads: whole files under their own names, checked against what is recorded."""

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import builders_kit as kit
import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from tfds_builders import build, downloads

CONTENT = {"train.tsv": b"so glad\t17\ta\n", "dev.tsv": b"ew\t11\tb\n", "test.tsv": b"ok\t27\tc\n"}


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - of the whole server

    def log_message(self, *_):
        self.asked.append(self.path)


@pytest.fixture
def served(tmp_path):
    """Address of a server on this machine with the files of CONTENT."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)
    Quiet.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as it:
        thread = threading.Thread(target=it.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{it.server_port}"
        it.shutdown()
        thread.join()


def infos(address, **other):
    """What is recorded of the files; `other`: name -> another content."""
    return {
        f"{address}/{name}": UrlInfo(len(data), hashlib.sha256(data).hexdigest(), name)
        for name, data in {**CONTENT, **{f"{k}.tsv": v for k, v in other.items()}}.items()
    }


@pytest.fixture
def recorded(served, monkeypatch):
    monkeypatch.setattr(downloads.checksums, "load_url_infos", lambda path: infos(served))


def test_without_manual_dir_the_files_are_fetched_once_and_built(recorded, tmp_path):
    request = build.Request(data_dir=str(tmp_path / "data"))
    build.build("goemotions", request)
    found = kit.read_dataset(tmp_path / "data/goemotions/original/1.0.0")
    assert {split: [c["id"] for c in clips] for split, clips in found.items()} == {
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
    }
    fetched = tmp_path / "data/downloads/goemotions"
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == CONTENT
    asked = len(Quiet.asked)
    assert "already whole" in build.build("goemotions", request)
    assert len(Quiet.asked) == asked


def test_a_file_that_is_not_the_recorded_one_is_used(served, tmp_path):
    with pytest.raises(OSError, match=r"(?s)goemotions could not be .*checksum.*as --manual_dir"):
        downloads.download("goemotions", infos(served, dev=b"other"), tmp_path / "downloads")


def test_a_file_that_is_not_there_is_no_clear_error(served, tmp_path):
    wanted = infos(served) | {f"{served}/none.tsv": UrlInfo(1, "0" * 64, "none.tsv")}
    with pytest.raises(OSError, match=r"(?s)could not be downloaded \(.*404.*none\.tsv"):
        downloads.download("goemotions", wanted, tmp_path / "downloads")


def test_a_corpus_that_is_not_free_asks_for_its_folder(tmp_path):
    with pytest.raises(ValueError, match="--manual_dir is missing"):
        build.build("iemocap", build.Request(data_dir=str(tmp_path)))


@pytest.mark.real_data
def test_the_recorded_checksums_are_those_of_the_real_files(real_data_root):
    path = downloads._HERE / "goemotions" / downloads.CHECKSUMS
    for info in downloads.checksums.load_url_infos(path).values():
        data = (real_data_root / "text/goemotions/original" / info.filename).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (info.size, info.checksum)
