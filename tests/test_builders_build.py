"""The build command: refusals, repeated and interrupted builds, full disks."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import builders_kit as kit
import pytest

from memobert_jax.media import clips
from tfds_builders import build, folders

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


@pytest.fixture
def corpus(tmp_path):
    return kit.make_corpus(tmp_path / "in", 4)


def dataset(data_dir: Path) -> Path:
    return data_dir / "video_corpus" / "default" / "1.0.0"


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if "array_record" in path.name or path.name in ("ledger.jsonl", "metadata.json")
    }


def command(*args: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_tells_what_to_put_where_without_heavy_imports():
    code = "import sys; sys.argv = ['build', 'folder_corpus', '--help']\n" + (
        "from tfds_builders import build\n"
        "try: build.run()\n"
        "except SystemExit: pass\n"
        "heavy = {'apache_beam', 'tensorflow_datasets', 'numpy', 'cv2', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = command("-c", code)
    assert done.returncode == 0, done.stderr
    done = command("-m", "tfds_builders.build", "folder_corpus", "--help")
    assert done.returncode == 0
    assert "path,start,end,text,label,speaker,split" in done.stdout
    assert "--extract.min_presence" in done.stdout


@pytest.mark.parametrize(
    ("name", "changes", "extract", "message"),
    [
        ("vido_corpus", {}, {}, r"no dataset 'vido_corpus'; did you mean 'video_corpus'\?"),
        ("video_corpus", {"config": "defualt"}, {}, r"did you mean 'default'\?"),
        ("video_corpus", {}, {"min_presence": 3.0}, r"extract\.min_presence = 3\.0; expected"),
        ("video_corpus", {}, {"require": ("voice",)}, r"expected a selection from text, face"),
        ("video_corpus", {"csv": "x.csv"}, {}, "--csv has no effect on video_corpus"),
        ("folder_corpus", {"aliases": ("joyous",)}, {}, "expected SPELLING:LABEL"),
        ("video_corpus", {"data_dir": ""}, {}, "--data_dir is missing"),
        ("video_corpus", {"manual_dir": ""}, {}, "--manual_dir is missing.*your videos"),
    ],
)
def test_a_wrong_request_is_refused_with_what_to_do(tmp_path, name, changes, extract, message):
    request = build.Request(**{"manual_dir": "x", "data_dir": str(tmp_path / "data"), **changes})
    with pytest.raises(ValueError, match=message):
        build.build(name, request, extract)


def test_a_data_dir_that_cannot_be_written_is_refused(tmp_path, corpus):
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(OSError, match=r"--data_dir=.* cannot be written .*; give another"):
        kit.run_build("video_corpus", corpus, tmp_path / "data")


def test_changed_settings_get_a_folder_of_their_own(tmp_path, corpus):
    said = kit.run_build("video_corpus", corpus, tmp_path / "data", {"min_presence": 0.1})
    (folder,) = (tmp_path / "data" / "video_corpus").glob("default_*/1.0.0")
    assert str(folder) in said
    assert json.loads((folder / "metadata.json").read_text())["extract"]["min_presence"] == 0.1
    named = {"extract": {"min_presence": 0.1}, "config_name": "mine"}
    kit.run_build("video_corpus", corpus, tmp_path / "data", **named)
    assert digests(tmp_path / "data" / "video_corpus" / "mine" / "1.0.0") == digests(folder)


def test_a_whole_dataset_is_left_alone(tmp_path, corpus):
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    before = digests(dataset(tmp_path / "data"))
    shutil.rmtree(tmp_path / "data" / "extracted")
    said = kit.run_build("video_corpus", corpus, tmp_path / "data")
    assert "already whole" in said
    assert len(kit.extracted()) == 4
    assert digests(dataset(tmp_path / "data")) == before


def test_a_dataset_of_other_videos_is_not_taken_for_this_one(tmp_path, corpus):
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    (corpus / "v9.mp4").write_text("a new video")
    with pytest.raises(ValueError, match=r"other input.*videos was 4, now 5.*--overwrite"):
        kit.run_build("video_corpus", corpus, tmp_path / "data")
    kit.run_build("video_corpus", corpus, tmp_path / "data", overwrite=True)
    assert len(kit.extracted()) == 5
    assert len(kit.read_ledgers(dataset(tmp_path / "data"))) == 5


def test_a_changed_subtitle_is_other_input(tmp_path, corpus):
    (corpus / "v0.srt").write_text("one")
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    (corpus / "v0.srt").write_text("two")
    with pytest.raises(ValueError, match="other input"):
        kit.run_build("video_corpus", corpus, tmp_path / "data")


def test_a_folder_that_is_no_dataset_is_not_taken_for_one(tmp_path, corpus):
    dataset(tmp_path / "data").mkdir(parents=True)
    with pytest.raises(ValueError, match="not a whole dataset"):
        kit.run_build("video_corpus", corpus, tmp_path / "data")


def test_an_overwrite_that_fails_leaves_the_old_dataset(tmp_path, corpus):
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    before = digests(dataset(tmp_path / "data"))
    for path in corpus.iterdir():
        path.write_text("bad")
    with pytest.raises(ValueError, match="none of 4 videos"):
        kit.run_build("video_corpus", corpus, tmp_path / "data", overwrite=True)
    assert digests(dataset(tmp_path / "data")) == before
    names = {path.name for path in dataset(tmp_path / "data").parent.iterdir()}
    assert names == {".1.0.0.lock", "1.0.0"}


def test_two_builds_of_one_dataset_do_not_meet(tmp_path, corpus):
    with (
        folders.alone(dataset(tmp_path / "data")),
        pytest.raises(RuntimeError, match=r"another build of .* is running"),
    ):
        kit.run_build("video_corpus", corpus, tmp_path / "data")


def test_a_killed_build_goes_on_and_gives_equal_records(tmp_path, monkeypatch):
    corpus = kit.make_corpus(tmp_path / "in", 9)
    script = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "import builders_kit as kit\n"
        "from memobert_jax.media import clips\n"
        "def extract(*args, **kwargs):\n"
        "    out = kit.fake_extract(*args, **kwargs)\n"
        "    if len(kit.extracted()) == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return out\n"
        "clips.extract, clips.identity = extract, kit.fake_identity\n"
        f"kit.run_build('video_corpus', {str(corpus)!r}, {str(tmp_path / 'data')!r})\n"
    )
    done = command("-c", script)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not dataset(tmp_path / "data").exists()
    in_flight = kit.extracted()[-1]
    assert len(kit.extracted()) == 5

    kit.run_build("video_corpus", corpus, tmp_path / "data")
    repeated = [name for name in set(kit.extracted()) if kit.extracted().count(name) > 1]
    assert repeated == [in_flight]
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "other.log"))
    kit.run_build("video_corpus", corpus, tmp_path / "undisturbed")
    assert digests(dataset(tmp_path / "data")) == digests(dataset(tmp_path / "undisturbed"))
    assert not list(dataset(tmp_path / "data").parent.glob("*incomplete*"))


def test_a_video_that_kills_its_process_twice_costs_itself(tmp_path, monkeypatch):
    from tfds_builders import extraction

    corpus = kit.make_corpus(tmp_path / "in", 4)
    (corpus / "v1.mp4").write_text("deadly")
    monkeypatch.setattr(extraction, "extract_one", kit.extract_or_die)
    said = kit.run_build("video_corpus", corpus, tmp_path / "data", workers=2)
    lines = {line["video_id"]: line for line in kit.read_ledgers(dataset(tmp_path / "data"))}
    assert lines["v1.mp4"]["dropped"] == {"crashed": {"seconds": 0.0, "count": 1}}
    assert sum(line["clips"] for line in lines.values()) == 6
    assert "crashed" in said


def test_a_disk_that_fills_while_assembling_gives_no_dataset(tmp_path):
    corpus = kit.make_corpus(tmp_path / "in", 2)
    for path in corpus.iterdir():
        path.write_bytes(os.urandom(2000) + path.name.encode())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kit.run_build("video_corpus", corpus, tmp_path / "trial")
    largest = max(p.stat().st_size for p in dataset(tmp_path / "trial").glob("*array_record*"))
    stored = max(p.stat().st_size for p in (tmp_path / "trial" / "extracted").glob("*/*"))
    assert stored >= largest
    shutil.copytree(tmp_path / "trial" / "extracted", tmp_path / "data" / "extracted")
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises((OSError, RuntimeError), match=r"cannot be written.*Free the disk"):
            kit.run_build("video_corpus", corpus, tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not dataset(tmp_path / "data").exists()
    assert not list(tmp_path.glob("data/**/*.tmp"))
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    assert digests(dataset(tmp_path / "data")) == digests(dataset(tmp_path / "trial"))


def test_a_store_file_that_is_damaged_before_assembling_stops_the_build(tmp_path, monkeypatch):
    from tfds_builders import runs

    corpus = kit.make_corpus(tmp_path / "in", 2)
    extract_all = runs.extract_all

    def damaging(*args):
        outcomes = extract_all(*args)
        Path(outcomes[0].file).write_bytes(b"gone")
        return outcomes

    with monkeypatch.context() as patch:
        patch.setattr(runs, "extract_all", damaging)
        with pytest.raises((ValueError, RuntimeError), match="run the build again"):
            kit.run_build("video_corpus", corpus, tmp_path / "data")
    assert not dataset(tmp_path / "data").exists()
    kit.run_build("video_corpus", corpus, tmp_path / "data")
    assert len(kit.read_ledgers(dataset(tmp_path / "data"))) == 2
