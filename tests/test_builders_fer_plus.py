"""fer_plus: files in the form of the source become crops with the votes of ten people."""

import builders_kit as kit
import cv2
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders.fer_plus import votes
from tfds_builders.listing import Omission

HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
USAGES = ("Training",) * 6 + ("PublicTest",) * 2 + ("PrivateTest",) * 2
VOTES = (
    "0,10,0,0,0,0,0,0,0,0",  # happiness
    "3,0,0,3,4,0,0,0,0,0",  # no majority
    "0,0,0,0,0,0,0,0,1,9",  # not a face
    "2,0,0,0,0,0,0,0,8,0",  # unknown
    "6,1,0,3,0,0,0,0,0,0",  # neutral, the single vote does not count
    "1,1,1,1,1,1,1,1,1,1",  # nothing but single votes
    "0,0,8,0,0,0,2,0,0,0",
    "0,0,0,0,10,0,0,0,0,0",
    "0,0,0,0,0,9,0,0,1,0",
    "0,0,0,0,0,0,0,10,0,0",
)


def write_source(folder, usages=USAGES, all_votes=VOTES, pictures=None):
    """fer2013.csv and fer2013new.csv; picture i is a gradient from dark to the brightness i."""
    folder.mkdir(exist_ok=True)
    lines, voted = ["emotion,pixels,Usage"], [HEADER]
    for i, (usage, given) in enumerate(zip(usages, all_votes, strict=True)):
        row = np.linspace(0, 20 + 20 * i % 230, 48).astype(int)
        picture = np.tile(row, (48, 1)) if pictures is None else pictures[i]
        lines.append(f"0,{' '.join(map(str, picture.ravel()))},{usage}")
        name = "" if given.endswith(",9") else f"fer{i:07d}.png"
        voted.append(f"{usage},{name},{given}")
    (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")
    (folder / "fer2013new.csv").write_text("\n".join(voted) + "\n")
    return folder


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source")


def test_pictures_become_clips_of_one_crop_in_their_official_splits(source, tmp_path):
    report = kit.run_build("fer_plus", source, tmp_path / "data")
    data = kit.read_dataset(tmp_path / "data" / "fer_plus" / "majority" / "1.0.0")
    labels = {
        split: [record.EMOTIONS[clip["emotion"]] for clip in clips] for split, clips in data.items()
    }
    assert labels == {
        "train": ["happiness", "neutral"],
        "validation": ["surprise", "anger"],
        "test": ["disgust", "contempt"],
    }
    assert [clip["id"] for clip in data["train"]] == ["fer0000000.png", "fer0000004.png"]
    crop = cv2.imdecode(np.frombuffer(data["train"][1]["faces"][0], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert crop.shape == (112, 112)
    expected = cv2.resize(np.tile(np.linspace(0, 100, 48), (48, 1)), (112, 112))
    assert np.abs(crop - expected).mean() < 2
    for line in ("no_majority", "unknown_emotion", "not_a_face"):
        assert line in report


def test_votes_are_shares_without_those_that_stand_alone(source, tmp_path):
    kit.run_build("fer_plus", source, tmp_path / "data", config="votes")
    data = kit.read_dataset(tmp_path / "data" / "fer_plus" / "votes" / "1.0.0")
    assert [clip["emotion"] for clip in data["train"]] == [
        record.EMOTIONS.index("happiness"),
        -1,
        record.EMOTIONS.index("neutral"),
    ]
    shares = dict(zip(record.EMOTIONS, data["train"][2]["emotions"], strict=True))
    assert shares["neutral"] == pytest.approx(6 / 9)
    assert shares["sadness"] == pytest.approx(3 / 9)
    assert sum(shares.values()) == pytest.approx(1)


def test_a_configuration_under_another_name_keeps_its_pictures(source, tmp_path):
    kit.run_build("fer_plus", source, tmp_path / "data", config="votes", config_name="mine")
    data = kit.read_dataset(tmp_path / "data" / "fer_plus" / "mine" / "1.0.0")
    assert [clip["emotion"] for clip in data["train"]].count(-1) == 1
    with pytest.raises(ValueError, match="other input or settings: unlabelled was True"):
        kit.run_build("fer_plus", source, tmp_path / "data", config_name="mine")


def test_a_row_without_a_name_gets_one_that_no_other_row_has(tmp_path):
    folder = write_source(tmp_path / "source", ("Training",) * 2, ("9,0,0,0,0,0,0,0,0,0",) * 2)
    path = folder / "fer2013new.csv"
    text = path.read_text().replace("fer0000000.png", "")
    path.write_text(text.replace("fer0000001.png", "fer0000000.png"))
    assert [name for name, *_ in votes.read_votes(folder)] == ["row0000000", "fer0000000.png"]


def test_every_picture_is_counted_under_one_reason(source, tmp_path):
    kit.run_build("fer_plus", source, tmp_path / "data")
    folder = tmp_path / "data" / "fer_plus" / "majority" / "1.0.0"
    listing = kit.read_metadata(folder)["listing"]
    counts = {reason: entry["count"] for reason, entry in listing["omitted"].items()}
    assert counts == {"no_majority": 2, "not_a_face": 1, "unknown_emotion": 1}
    assert (listing["listed"], listing["kept"]) == (10, 6)
    assert listing["omitted"]["not_a_face"]["examples"] == ["row0000002"]


def test_a_built_dataset_is_not_built_again_and_other_votes_are_noticed(source, tmp_path):
    kit.run_build("fer_plus", source, tmp_path / "data")
    assert "already whole" in kit.run_build("fer_plus", source, tmp_path / "data")
    write_source(source, all_votes=(*VOTES[:-1], "10,0,0,0,0,0,0,0,0,0"))
    with pytest.raises(ValueError, match="other input or settings: fingerprint"):
        kit.run_build("fer_plus", source, tmp_path / "data")


def test_other_pictures_of_the_same_size_are_noticed(source, tmp_path):
    kit.run_build("fer_plus", source, tmp_path / "data")
    path = source / "fer2013.csv"
    path.write_text(path.read_text().replace("0,0 0 0", "0,0 0 1", 1))
    with pytest.raises(ValueError, match="other input or settings: fingerprint"):
        kit.run_build("fer_plus", source, tmp_path / "data")


@pytest.mark.parametrize(
    ("line", "by", "message"),
    [
        (2, "0,1 2 3,Training", r"fer2013\.csv line 2: 3 values are no picture"),
        (2, f"0,{'300 ' * 2304},Training", r"line 2: 2304 values are no picture"),
        (2, f"0,{'0 ' * 2304},Practice", r"line 2: usage 'Practice'; expected one of Training"),
        (2, f"0,{'0 ' * 2304},PublicTest", r"row 1 of .* are not of the same picture"),
    ],
)
def test_a_row_that_is_no_picture_is_named(source, tmp_path, line, by, message):
    path = source / "fer2013.csv"
    lines = path.read_text().splitlines()
    lines[line - 1] = by
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=message):
        kit.run_build("fer_plus", source, tmp_path / "data")


def test_a_quote_that_is_never_closed_is_named(source):
    with (source / "fer2013.csv").open("a") as file:
        file.write('0,"' + "0 " * 100_000)
    with pytest.raises(ValueError, match=r"fer2013\.csv, after line 11: .*quote never closed"):
        list(votes.read_pixels(source))


def test_files_of_different_length_are_refused(source, tmp_path):
    path = source / "fer2013.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(ValueError, match=r"row 10 of .* are not of the same picture"):
        kit.run_build("fer_plus", source, tmp_path / "data")


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013new.csv"])
def test_a_missing_file_is_named(source, tmp_path, name):
    (source / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name} in .*manual_dir is a folder with"):
        kit.run_build("fer_plus", source, tmp_path / "data")


def test_odd_votes_are_refused(source, tmp_path):
    path = source / "fer2013new.csv"
    path.write_text(path.read_text().replace("0,10,0,0", "0,-1,0,0"))
    with pytest.raises(ValueError, match=r"fer2013new\.csv line 2: votes .* from 0 to 10"):
        kit.run_build("fer_plus", source, tmp_path / "data")


def test_extraction_settings_are_refused(source, tmp_path):
    with pytest.raises(ValueError, match="has no effect on configuration 'majority'"):
        kit.run_build("fer_plus", source, tmp_path / "data", {"max_faces": 3})


@pytest.mark.parametrize(
    ("given", "reason", "shares"),
    [
        ({"neutral": 5, "sadness": 5}, Omission.NO_MAJORITY, {"neutral": 0.5, "sadness": 0.5}),
        ({"neutral": 6, "sadness": 4}, None, {"neutral": 0.6, "sadness": 0.4}),
        ({"neutral": 1}, Omission.NO_MAJORITY, {}),
        ({"nf": 2}, Omission.NOT_A_FACE, {}),
        ({"neutral": 3, "nf": 7}, Omission.NOT_A_FACE, {}),
        ({"unknown": 4, "neutral": 3, "sadness": 3}, Omission.NO_MAJORITY,
         {"neutral": 0.5, "sadness": 0.5}),
        ({"unknown": 5, "nf": 5}, Omission.NO_MAJORITY, {}),
    ],
)  # fmt: skip
def test_a_majority_is_more_than_half_of_the_votes_that_count(given, reason, shares):
    found = votes.label(given)
    assert found.reason == reason
    named = dict(zip(record.EMOTIONS, found.emotions, strict=False))
    assert {name: share for name, share in named.items() if share} == shares
