"""voxceleb2: a tree of speakers, videos and utterances; no speaker in two splits."""

import builders_kit as kit
import pytest

from memobert_jax.media import clips

META = (
    "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n"
    "id00012 ,n000012 ,m ,dev \nid00017 ,n000017 ,f ,test \n"
)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


def write_tree(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"content of {name}")
    return root


@pytest.fixture
def tree(tmp_path):
    names = [
        f"dev/mp4/id{speaker:05d}/21Uxsk56VDQ/{utterance:05d}.mp4"
        for speaker in (12, 15, 19, 23)
        for utterance in (1, 2)
    ]
    names += ["test/mp4/id00017/5MkXgwdrmJw/00001.mp4", "dev/aac/id00012/21Uxsk56VDQ/00001.m4a"]
    return write_tree(tmp_path / "in", names)


def folder_of(data_dir, config="default"):
    return data_dir / "voxceleb2" / config / "1.0.0"


def test_splits_are_the_official_ones_and_no_speaker_is_in_two(tree, tmp_path):
    kit.run_build("voxceleb2", tree, tmp_path / "data")
    data = kit.read_dataset(folder_of(tmp_path / "data"))
    speakers = {split: {clip["speaker"] for clip in part} for split, part in data.items()}
    assert speakers["test"] == {"id00017"}
    assert speakers["train"] | speakers["validation"] == {
        "id00012",
        "id00015",
        "id00019",
        "id00023",
    }
    assert not speakers["train"] & speakers["validation"]
    clip = data["test"][0]
    assert (clip["video_id"], clip["session"]) == (
        "test/mp4/id00017/5MkXgwdrmJw/00001.mp4", "5MkXgwdrmJw",
    )  # fmt: skip
    assert clip["gender"] == ""


def test_the_table_of_speakers_gives_gender_and_set(tree, tmp_path):
    (tree / "vox2_meta.csv").write_text(META)
    (tree / "test").rename(tree / "held")  # the table says it, not the folder
    kit.run_build("voxceleb2", tree, tmp_path / "data")
    data = kit.read_dataset(folder_of(tmp_path / "data"))
    assert {clip["gender"] for clip in data["test"]} == {"female"}
    others = {c["speaker"]: c["gender"] for s in ("train", "validation") for c in data[s]}
    assert others["id00012"] == "male"
    assert others["id00015"] == ""


def test_files_of_the_other_kind_or_at_another_place_are_counted(tree, tmp_path):
    write_tree(tree, ["dev/mp4/id00012/trailer.mp4", "dev/mp4/notes.txt"])
    kit.run_build("voxceleb2", tree, tmp_path / "data")
    listing = kit.read_metadata(folder_of(tmp_path / "data"))["listing"]
    assert (listing["listed"], listing["kept"]) == (11, 9)
    assert {reason: entry["examples"] for reason, entry in listing["omitted"].items()} == {
        "no_annotation": ["dev/mp4/id00012/trailer.mp4"],
        "other_modality": ["dev/aac/id00012/21Uxsk56VDQ/00001.m4a"],
    }


def test_sound_files_alone_are_read_where_no_face_is_wanted(tree, tmp_path):
    kit.run_build("voxceleb2", tree, tmp_path / "data", config="speech")
    data = kit.read_dataset(folder_of(tmp_path / "data", "speech"))
    assert set(data) == {"train"}
    assert {c["video_id"] for c in data["train"]} == {"dev/aac/id00012/21Uxsk56VDQ/00001.m4a"}


def test_a_copy_in_another_set_is_dropped_and_an_empty_set_is_an_error(tree, tmp_path):
    copy = tree / "test/mp4/id00017/5MkXgwdrmJw/00001.mp4"
    copy.write_text((tree / "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4").read_text())
    with pytest.raises(ValueError, match=r"(?s)no clip of split 'test' is left.*copy"):
        kit.run_build("voxceleb2", tree, tmp_path / "data")


def test_a_table_of_speakers_that_cannot_be_meant_is_refused(tree, tmp_path):
    (tree / "vox2_meta.csv").write_text(META.replace(",m ,dev", ",male ,dev"))
    with pytest.raises(ValueError, match=r"vox2_meta\.csv line 2: gender 'male', set 'dev'"):
        kit.run_build("voxceleb2", tree, tmp_path / "data")


def test_a_tree_without_videos_says_what_belongs_there(tmp_path):
    write_tree(tmp_path / "in", ["dev/aac/id00012/21Uxsk56VDQ/00001.m4a", "vox2_mp4.zip"])
    with pytest.raises(
        FileNotFoundError, match=r"no file such as id00012.*Extract .*vox2_mp4\.zip"
    ):
        kit.run_build("voxceleb2", tmp_path / "in", tmp_path / "data")
