"""msp_improv: the evaluation file and the files that it names become labelled clips."""

import json
import math
import zipfile

import builders_kit as kit
import media_samples as samples
import msp_improv_samples as corpus
import numpy as np
import pytest
import soundfile

from memobert_jax import record
from tfds_builders.msp_improv import evaluation
from tfds_builders.msp_improv.msp_improv_dataset_builder import Builder


@pytest.fixture
def listed(tmp_path):
    """The listing of a release under a configuration."""

    def read(root, config="other_improvised"):
        return Builder(data_dir=tmp_path / "data", config=config).listing(root)

    return read


def emotions(found):
    """Id, without what all share -> name of its emotion, '' without."""
    return {
        source.utterances[0].fields["id"].removeprefix("MSP-IMPROV-"): (*record.EMOTIONS, "")[
            source.utterances[0].fields["emotion"]
        ]
        for source in found.sources
    }


def test_a_turn_has_its_labels_groups_text_and_file(tmp_path, listed):
    root = corpus.write_release(tmp_path / "in")
    first, second = listed(root).sources
    assert first.video_id == "Video/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.avi"
    assert first.path == str(root / first.video_id)
    (turn,) = first.utterances
    assert (turn.start_s, turn.end_s, turn.region) == (0.0, math.inf, "")
    assert turn.text == "i said S01A-F01-S-FM01\u2019s"
    assert turn.fields == {
        "id": "MSP-IMPROV-S01A-F01-S-FM01",
        "speaker": "F01",
        "session": "session1",
        "dialogue": "session1_S01A",
        "gender": "female",
        "emotion": record.EMOTIONS.index("neutral"),
        "labels": "N,other_improvised",
        "valence": 3.5,
        "arousal": 3.0,
        "dominance": 3.0,
    }
    male = second.utterances[0].fields
    assert (male["speaker"], male["gender"], male["arousal"]) == ("M01", "male", 2.25)
    assert math.isnan(male["dominance"])
    (other,) = (s.utterances[0].fields for s in listed(root, "natural_interaction").sources)
    assert (other["speaker"], other["session"]) == ("M02", "session2")
    assert other["dialogue"] == "session2_S08H"


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ("other_improvised", {"S01A-F01-S-FM01": "neutral", "S01A-M01-S-FM01": "anger"}),
        ("target_improvised", {"S01A-F01-T-FM01": "anger"}),
        ("target_read", {"S01A-F01-R-FF01": "sadness"}),
        ("natural_interaction", {"S08H-M02-P-MF03": "happiness"}),
        (
            "4class",
            {
                "S01A-F01-S-FM01": "neutral",
                "S01A-M01-S-FM01": "anger",
                "S01A-F01-T-FM01": "anger",
                "S01A-F01-R-FF01": "sadness",
                "S08H-M02-P-MF03": "happiness",
            },
        ),
        (
            "all",
            {
                "S01A-F01-S-FM01": "neutral",
                "S01A-M01-S-FM01": "anger",
                "S01A-F01-T-FM01": "anger",
                "S01A-F01-R-FF01": "sadness",
                "S08H-M02-P-MF03": "happiness",
                "S08H-F02-S-MF02": "other",
                "S08H-F02-S-MF04": "",
            },
        ),
    ],
)
@pytest.mark.parametrize("media", ["", "_speech"])
def test_each_configuration_has_its_settings_and_labels(tmp_path, listed, config, labels, media):
    found = listed(corpus.write_release(tmp_path / "in"), config + media)
    assert emotions(found) == labels
    suffix = ".wav" if media else ".avi"
    assert {source.path[-4:] for source in found.sources} == {suffix}


def test_the_published_counts_add_up():
    counts = {c.name: c.published.counts["everything"] for c in Builder.BUILDER_CONFIGS}
    assert counts["other_improvised"] == {
        "clips": 3940,
        "emotion/anger": 470,
        "emotion/happiness": 1048,
        "emotion/neutral": 1789,
        "emotion/sadness": 633,
    }
    settings = [counts[name]["clips"] for name in evaluation.SETTINGS.values()]
    assert sum(settings) == counts["4class"]["clips"] == 7798
    assert counts["all"]["clips"] == 8438
    assert counts["all"]["emotion/other"] == 85


def test_what_is_left_out_is_counted_under_its_reason(tmp_path, listed):
    found = listed(corpus.write_release(tmp_path / "in"))
    assert kit.omitted(found) == {
        "other_setting": [
            "MSP-IMPROV-S01A-F01-T-FM01",
            "MSP-IMPROV-S01A-F01-R-FF01",
            "MSP-IMPROV-S08H-M02-P-MF03",
        ],
        "label_not_in_set": ["MSP-IMPROV-S08H-F02-S-MF02"],
        "no_majority": ["MSP-IMPROV-S08H-F02-S-MF04"],
    }
    assert (found.totals()["listed"], found.totals()["kept"]) == (7, 2)


@pytest.mark.parametrize("name", ["Evalution.txt", "Evaluation.txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_evaluation_file_is_found_and_read_as_it_may_come(tmp_path, listed, name, encoding):
    root = corpus.write_release(tmp_path / "in", evaluation=name, encoding=encoding)
    assert len(listed(root, "all").sources) == 7


def test_turns_may_lie_in_folders_of_sessions_without_those_of_media(tmp_path, listed):
    root = corpus.write_release(tmp_path / "in", sounds=False)
    for session in (root / "Video").iterdir():
        session.rename(root / session.name)
    assert len(listed(root, "all").sources) == 7


def test_files_without_annotation_and_turns_without_file_are_counted(tmp_path, listed):
    root = corpus.write_release(tmp_path / "in")
    folder = root / "Video" / "session1" / "S01A" / "S"
    (folder / "MSP-IMPROV-S01A-F01-S-FM01.avi").rename(folder / "MSP-IMPROV-S01A-F01-S-FM09.avi")
    (root / "All_human_transcriptions" / "MSP-IMPROV-S01A-M01-S-FM01.txt").unlink()
    (folder / "MSP-IMPROV-trailer.avi").touch()  # no turn
    (root / "Video/session1/S01A/T/MSP-IMPROV-S01A-F01-T-FM01.avi").unlink()  # not asked for
    found = listed(root)
    assert kit.omitted(found)["no_media"] == ["MSP-IMPROV-S01A-F01-S-FM01"]
    assert kit.omitted(found)["no_annotation"] == [
        "Video/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM09.avi"
    ]
    (source,) = found.sources
    assert source.utterances[0].text == ""
    said = root / "All_human_transcriptions"
    (said / "MSP-IMPROV-S01A-F01-S-FM01.txt").rename(said / "MSP-IMPROV-S01A-F01-S-FM09.txt")
    notes = Builder(data_dir=tmp_path / "data").listing(root).totals()["notes"]
    assert notes == {"transcripts of turns that are not evaluated": 1}


def test_lines_that_are_no_turn_and_second_ones_are_left_out(tmp_path, listed):
    root = corpus.write_release(tmp_path / "in", [*corpus.TURNS, corpus.TURNS[0]])
    path = root / "Evalution.txt"
    lines = path.read_bytes().count(b"\n")
    more = (
        "UTD-IMPROV-S01A-F01-S.avi; N; A:3.0; V:3.0; D:3.0 ; N:3.0;\n"
        "UTD-IMPROV-../../S01A-F01-S-FM01.avi; N; A:3.0; V:3.0; D:3.0 ; N:3.0;\n"
        "UTD-IMPROV-S01A-F01-S-FM08.avi\n"
    )
    path.write_bytes(path.read_bytes() + more.encode())
    reasons = kit.omitted(listed(root))
    assert reasons["duplicate_id"] == ["MSP-IMPROV-S01A-F01-S-FM01"]
    assert reasons["unreadable"] == [
        f"Evalution.txt line {number}" for number in range(lines + 1, lines + 4)
    ]


def test_values_that_are_no_numbers_are_absent(tmp_path):
    path = tmp_path / "Evaluation.txt"
    path.write_text("MSP-IMPROV-S01A-F01-S-FM07.avi ;N; A:three; V:inf; D:3.0 ;\n")
    ((turn,), unreadable) = evaluation.read(path)
    assert (turn.name, turn.code, unreadable) == ("MSP-IMPROV-S01A-F01-S-FM07", "N", [])
    assert math.isnan(turn.arousal)
    assert math.isnan(turn.valence)
    assert turn.dominance == 3.0


def test_a_label_that_the_release_does_not_have_is_refused_with_its_line(tmp_path, listed):
    turns = [("S01A-F01-S-FM01", "Q", "3.0", "3.0", "3.0")]
    root = corpus.write_release(tmp_path / "in", turns)
    with pytest.raises(ValueError, match=r"Evalution\.txt line 1: label 'Q'; .*A, H, N, O, S, X"):
        listed(root)


def test_two_files_of_one_name_are_refused(tmp_path, listed):
    root = corpus.write_release(tmp_path / "in")
    (root / "copy").mkdir()
    (root / "copy" / "MSP-IMPROV-S01A-F01-S-FM01.avi").touch()
    with pytest.raises(ValueError, match=r"FM01\.avi and .*FM01\.avi have one name"):
        listed(root)


def test_what_is_no_release_is_refused_with_what_to_do(tmp_path, listed):
    root = corpus.write_release(tmp_path / "a", films=False)
    with pytest.raises(FileNotFoundError, match=r"no film \(\.avi\) .*name ends in _speech"):
        listed(root)
    assert len(listed(root, "all_speech").sources) == 7
    (root / "Evalution.txt").write_text("Sehr geehrte Damen und Herren\n")
    with pytest.raises(ValueError, match="has no line of a turn"):
        listed(root)
    (root / "Evalution.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no Evalution\.txt in .*Evaluation\.txt"):
        listed(root)
    archive = tmp_path / "b" / "MSP-IMPROV.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("Evalution.txt", "")
    for given in (archive, archive.parent):
        with pytest.raises(OSError, match="extract"):
            listed(given)


def test_a_build_says_loudly_how_it_differs_from_the_published_counts(fake, tmp_path):
    root = corpus.write_release(tmp_path / "in")
    report = kit.run_build("msp_improv", root, tmp_path / "data")
    folder = tmp_path / "data" / "msp_improv" / "other_improvised" / "1.0.0"
    (part,) = kit.read_dataset(folder).values()
    assert {clip["id"]: clip["speaker"] for clip in part} == {
        "MSP-IMPROV-S01A-F01-S-FM01": "F01",
        "MSP-IMPROV-S01A-M01-S-FM01": "M01",
    }
    assert "COUNTS DIFFER" in report
    assert "emotion/anger: built 1, published 470 (-469)" in report
    assert "other_setting" in report
    assert json.loads((folder / "metadata.json").read_text())["listing"]["kept"] == 2


def test_a_real_film_and_a_real_sound_file_become_clips(tmp_path):
    turns = corpus.TURNS[:1]
    root = corpus.write_release(tmp_path / "in", turns)
    film = kit.make_media(tmp_path / "film.avi", seconds=2.0)
    place = "session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01"
    film.rename(root / "Video" / f"{place}.avi")
    soundfile.write(root / "Audio" / f"{place}.wav", np.tile(samples.babble(2.0), 3), 48_000)
    for config in ("other_improvised", "other_improvised_speech"):
        report = kit.run_build("msp_improv", root, tmp_path / "data", config=config)
        folder = tmp_path / "data" / "msp_improv" / config / "1.0.0"
        ((clip,),) = kit.read_dataset(folder).values()
        assert clip["text"] == "i said S01A-F01-S-FM01\u2019s"
        assert clip["speech"].startswith(b"fLaC")
        assert clip["end_s"] == pytest.approx(2.0, abs=0.31)
        assert "modality_missing:face" in report
