"""Downloads: whole files under their own names, checked against what is recorded."""

import functools
import hashlib
import shutil
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import acted_samples
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


@pytest.fixture
def archive(served, tmp_path, monkeypatch):
    """(address of a zip of Emo-DB, which the builder downloads; the zip)."""
    acted_samples.write_emodb(tmp_path / "emodb")
    path = tmp_path / "served/download.zip"
    shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path / "emodb")
    address = f"{served}/download.zip"
    given = {"emodb": [address]}
    monkeypatch.setattr(downloads, "addresses", lambda name, config: given.get(name, []))
    return address, path


def test_an_archive_without_a_known_checksum_is_extracted_and_recorded(archive, tmp_path):
    address, path = archive
    request = build.Request(data_dir=str(tmp_path / "data"), workers=1)
    build.build("emodb", request)
    (clips,) = kit.read_dataset(tmp_path / "data/emodb/default/1.0.0").values()
    assert len(clips) > 1
    recorded = downloads.checksums.load_url_infos(tmp_path / "data/downloads/emodb.checksums.tsv")
    data = path.read_bytes()
    assert (recorded[address].size, recorded[address].checksum) == (
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    asked = len(Quiet.asked)
    assert "already whole" in build.build("emodb", request)
    assert len(Quiet.asked) == asked


def test_several_archives_lie_in_one_folder(archive, tmp_path, monkeypatch):
    address, path = archive
    shutil.copy(path, path.with_name("second.zip"))
    both = [address, address.replace("download.zip", "second.zip")]
    monkeypatch.setattr(downloads, "addresses", lambda name, config: both)
    folder = downloads.fetch("ravdess", "speech", tmp_path / "data")
    assert sorted(found.name for found in folder.iterdir()) == ["000", "001"]
    assert len(list(folder.rglob("*.wav"))) == 2 * len(acted_samples.EMODB)


def test_an_archive_that_is_not_the_one_recorded_is_used(archive, tmp_path):
    address, path = archive
    recorded = tmp_path / "data/emodb.checksums.tsv"
    downloads.download_archives("emodb", [address], tmp_path / "cache", recorded)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(OSError, match=r"(?s)emodb could not be .*checksum.*as --manual_dir"):
        downloads.download_archives("emodb", [address], tmp_path / "other", recorded)


def test_an_archive_whose_names_leave_its_folder_is_extracted(archive, tmp_path):
    _, path = archive
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../outside.wav", b"x")
    with pytest.raises(OSError, match=r"holds '\.\./outside\.wav', which would lie outside"):
        downloads.fetch("emodb", "default", tmp_path / "data")
    assert not list(tmp_path.rglob("outside.wav"))


def test_a_zip_that_was_cut_in_half_is_extracted(archive, tmp_path):
    _, path = archive
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(OSError, match="is no zip, or a damaged one"):
        downloads.fetch("emodb", "default", tmp_path / "data")
    assert not (tmp_path / "data/emodb_default").is_dir()


def test_a_zip_with_a_flipped_byte_leaves_files_behind(archive, tmp_path):
    _, path = archive
    with zipfile.ZipFile(path) as file:
        entry = max(file.infolist(), key=lambda info: info.compress_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + len(entry.filename) + 40] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(OSError, match="damaged"):
        downloads.extract(path, tmp_path / "whole/000")
    assert not list((tmp_path / "whole").rglob("*"))


def test_every_address_is_of_a_configuration(tmp_path):
    for name in build.names():
        path = downloads._HERE / name / downloads.ADDRESSES
        if path.is_file():
            configs = {config.name for config in build.module_of(name).Builder.BUILDER_CONFIGS}
            rows = [line.split("\t") for line in path.read_text().splitlines()]
            assert {config for config, _ in rows} <= configs
            assert all(address.startswith("http") for _, address in rows)
    assert len(downloads.addresses("ravdess", "audio_visual")) == 24
    assert not downloads.known("ravdess", "action_units")


def test_a_corpus_that_is_not_free_asks_for_its_folder(tmp_path):
    with pytest.raises(ValueError, match="--manual_dir is missing"):
        build.build("iemocap", build.Request(data_dir=str(tmp_path)))


@pytest.mark.real_data
def test_the_recorded_checksums_are_those_of_the_real_files(real_data_root):
    path = downloads._HERE / "goemotions" / downloads.CHECKSUMS
    for info in downloads.checksums.load_url_infos(path).values():
        data = (real_data_root / "text/goemotions/original" / info.filename).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (info.size, info.checksum)
