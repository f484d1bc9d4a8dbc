"""Downloads: whole files under their own names, checked against what is recorded."""

import dataclasses
import functools
import hashlib
import shutil
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import acted_samples
import builders_kit as kit
import meld_samples
import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from tfds_builders import archives, build, downloads
from tfds_builders.downloads import Address

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


def give(monkeypatch, **given):
    """Makes builders consist of other addresses."""
    monkeypatch.setattr(downloads, "addresses", lambda name, config: given.get(name, []))


@pytest.fixture
def archive(served, tmp_path, monkeypatch):
    """(address of a zip of Emo-DB, which the builder downloads; the zip)."""
    acted_samples.write_emodb(tmp_path / "emodb")
    path = tmp_path / "served/download.zip"
    shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path / "emodb")
    address = f"{served}/download.zip"
    give(monkeypatch, emodb=[Address("default", address)])
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
    give(monkeypatch, ravdess=[Address("speech", one) for one in both])
    folder = downloads.fetch("ravdess", "speech", tmp_path / "data")
    assert sorted(found.name for found in folder.glob("*.zip")) == ["download.zip", "second.zip"]
    assert len(list(folder.rglob("*.wav"))) == 2 * len(acted_samples.EMODB)


def test_an_archive_that_is_not_the_one_recorded_is_used(archive, tmp_path):
    address, path = archive
    recorded = tmp_path / "data/emodb.checksums.tsv"
    get = functools.partial(downloads.download_recorded, "emodb", {"it": address})
    get(folder=tmp_path / "cache", recorded=recorded)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(OSError, match=r"(?s)emodb could not be .*checksum.*delete it"):
        get(folder=tmp_path / "other", recorded=recorded)


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
    with pytest.raises(OSError, match="is no zip or tar, or a damaged one"):
        downloads.fetch("emodb", "default", tmp_path / "data")
    assert not list((tmp_path / "data/emodb_default").rglob("*"))


def test_a_zip_with_a_flipped_byte_leaves_files_behind(archive, tmp_path):
    _, path = archive
    with zipfile.ZipFile(path) as file:
        entry = max(file.infolist(), key=lambda info: info.compress_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + len(entry.filename) + 40] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(OSError, match="damaged"):
        archives.extract(path, tmp_path / "whole/000")
    assert not list((tmp_path / "whole").rglob("*"))


def test_archives_in_an_archive_are_extracted_where_they_lie(served, tmp_path, monkeypatch):
    meld_samples.write_meld(tmp_path / "MELD.Raw")
    for part in ("train", "dev", "test"):
        folder = tmp_path / "MELD.Raw" / part
        with tarfile.open(folder.with_name(f"{part}.tar.gz"), "w:gz") as file:
            for entry in folder.iterdir():
                file.add(entry, entry.name)
        shutil.rmtree(folder)
    with tarfile.open(tmp_path / "served/MELD.Raw.tar.gz", "w:gz") as file:
        file.add(tmp_path / "MELD.Raw", "MELD.Raw")
    give(monkeypatch, meld=[Address("default,final_cuts", f"{served}/MELD.Raw.tar.gz")])
    build.build("meld", build.Request(data_dir=str(tmp_path / "data"), workers=1))
    found = kit.read_dataset(tmp_path / "data/meld/default/1.0.0")
    assert {split: len(clips) for split, clips in found.items()} == {
        split: len(meld_samples.FILES[part])
        for part, split in (("train", "train"), ("dev", "validation"), ("test", "test"))
    }
    assert not list((tmp_path / "data/downloads/meld_default").rglob("*.gz"))


def test_what_a_mac_packed_beside_an_archive_is_no_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.writestr("__MACOSX/._train.tar.gz", b"no archive")
        file.writestr("named.zip/inside.txt", b"a folder")
    folder = archives.extract(tmp_path / "outer.zip", tmp_path / "out")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "__MACOSX/._train.tar.gz",
        "named.zip/inside.txt",
    }


def test_a_tar_that_ends_in_a_zip_is_taken_for_a_zip(tmp_path):
    """Which would lose all that is before it."""
    (tmp_path / "a.wav").write_bytes(b"sound")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as file:
        file.writestr("inner.txt", b"x")
    with tarfile.open(tmp_path / "both.tar", "w") as file:
        for name in ("a.wav", "z.npz"):
            file.add(tmp_path / name, name)
    folder = archives.extract(tmp_path / "both.tar", tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "z.npz"]


def test_a_link_out_of_a_tar_is_followed(tmp_path):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "links.tar", "w") as file:
        file.addfile(link)
    with pytest.raises(OSError, match="holds what must not be extracted: 'link' is a link"):
        archives.extract(tmp_path / "links.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_page_that_came_in_place_of_an_archive_is_recorded_for_ever(archive, tmp_path):
    """Once the server sends the archive again, it is taken."""
    _, path = archive
    whole = path.read_bytes()
    path.write_bytes(b"<html>busy</html>")
    with pytest.raises(OSError, match="is no zip or tar"):
        downloads.fetch("emodb", "default", tmp_path / "data")
    path.write_bytes(whole)
    assert list(downloads.fetch("emodb", "default", tmp_path / "data").rglob("*.wav"))


def test_a_corpus_that_is_there_whole_needs_its_server(archive, tmp_path):
    folder = downloads.fetch("emodb", "default", tmp_path / "data")
    asked = len(Quiet.asked)
    assert downloads.fetch("emodb", "default", tmp_path / "data") == folder
    assert len(Quiet.asked) == asked


def test_files_that_a_table_lists_are_fetched_and_absent_ones_counted(
    served, tmp_path, monkeypatch
):
    """As CREMA-D, whose repository lacks some of the files that it lists."""
    acted_samples.write_crema_d(tmp_path / "served/CREMA-D")
    listed = [*acted_samples.CREMA_D, "1002_WSI_DIS_XX"]
    lines = ['"Stimulus_Number","Filename"', *(f'1,"{name}"' for name in listed)]
    (tmp_path / "served/CREMA-D/SentenceFilenames.csv").write_text("\n".join(lines) + "\n")
    real = downloads.addresses("crema_d", "acted_audio")
    assert [one.path for one in real][:2] == ["VideoDemographics.csv", "SentenceFilenames.csv"]
    moved = [one._replace(url=f"{served}/CREMA-D/{one.path}") for one in real]
    give(monkeypatch, crema_d=moved)
    request = build.Request(data_dir=str(tmp_path / "data"), config="acted_audio", workers=1)
    build.build("crema_d", request)
    folder = tmp_path / "data/crema_d/acted_audio/1.0.0"
    (clips,) = kit.read_dataset(folder).values()
    assert {clip["id"] for clip in clips} == set(acted_samples.CREMA_D)
    listing = kit.read_metadata(folder)["listing"]
    assert listing["listed"] == len(listed)
    assert listing["omitted"]["no_media"]["count"] == 1
    asked = len(Quiet.asked)
    build.build("crema_d", dataclasses.replace(request, overwrite=True))
    assert len(Quiet.asked) == asked, "nothing is asked for again, nor what is not there"
    shutil.rmtree(tmp_path / "data/downloads/cache")
    build.build("crema_d", dataclasses.replace(request, overwrite=True))
    assert len(Quiet.asked) > asked
    assert kit.read_metadata(folder)["listing"] == listing, "what was deleted is fetched again"


def test_a_table_whose_names_leave_the_corpus_is_followed(served, tmp_path, monkeypatch):
    (tmp_path / "served/list.csv").write_text("Filename\n../../escape\n")
    table = Address("acted", f"{served}/list.csv", "list.csv")
    media = Address("acted", f"{served}/{{Filename}}", "media/../{Filename}", "list.csv")
    give(monkeypatch, crema_d=[table, media])
    with pytest.raises(ValueError, match=r"list\.csv, downloaded: path .* leaves the folder"):
        downloads.fetch("crema_d", "acted", tmp_path / "data")


def test_a_server_that_fails_is_taken_for_one_without_the_file(served, tmp_path, monkeypatch):
    """Only what is not there may be left out."""
    monkeypatch.setattr(Quiet, "do_GET", lambda self: self.send_error(403))
    (tmp_path / "data/crema_d_acted").mkdir(parents=True)
    table = tmp_path / "data/crema_d_acted/list.csv"
    table.write_text("Filename\na\nb\n")
    media = Address("acted", f"{served}/{{Filename}}", "{Filename}", "list.csv")
    give(monkeypatch, crema_d=[media])
    with pytest.raises(OSError, match="403"):
        downloads.fetch("crema_d", "acted", tmp_path / "data")


def test_every_address_is_of_a_configuration():
    for name in build.names():
        path = downloads._HERE / name / downloads.ADDRESSES
        if path.is_file():
            configs = {config.name for config in build.module_of(name).Builder.BUILDER_CONFIGS}
            rows = [Address(*line.split("\t")) for line in path.read_text().splitlines()]
            assert {config for row in rows for config in row.configs.split(",")} <= configs
            assert all(row.url.startswith("http") for row in rows)
            paths = {row.path for row in rows}
            assert all(row.table in paths for row in rows if row.table)
    assert len(downloads.addresses("ravdess", "audio_visual")) == 24
    assert len(downloads.addresses("grid", "default")) == 34
    assert not downloads.known("ravdess", "action_units")
    assert not downloads.known("iemocap", "4class")


def test_a_corpus_that_is_not_free_asks_for_its_folder(tmp_path):
    with pytest.raises(ValueError, match="--manual_dir is missing"):
        build.build("iemocap", build.Request(data_dir=str(tmp_path)))


@pytest.mark.real_data
def test_the_recorded_checksums_are_those_of_the_real_files(real_data_root):
    path = downloads._HERE / "goemotions" / downloads.CHECKSUMS
    for info in downloads.checksums.load_url_infos(path).values():
        data = (real_data_root / "text/goemotions/original" / info.filename).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (info.size, info.checksum)
