"""Prediction: the path of training, one line an utterance, and a bad file costs itself alone."""

import json

import clip_samples
import evaluation_kit as kit
import media_samples
import numpy as np
import pytest

from memobert_jax import (
    checkpoint,
    datasets,
    features,
    featurize,
    predict,
    predictor,
    runtime,
    state,
    views,
)
from memobert_jax.config import (
    SUBSETS,
    ExtractConfig,
    PretrainConfig,
    PromptConfig,
    as_dict,
)
from memobert_jax.media import clips as media
from memobert_jax.models.heads import EmotionHead

CUES = ((0.5, 1.7, "so happy today"), (2.0, 3.4, "and you ?"))
CLASSES = PromptConfig().classes


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    pictures, sound = list(media_samples.talking(4, fps=10)), media_samples.babble(4)
    for name, seen, heard in (("talking", pictures, sound), ("sound", None, sound)):
        path = media_samples.write_media(folder / f"{name}.mp4", seen, heard, fps=10)
        path.with_suffix(".srt").write_text(media_samples.srt(*CUES))
    (folder / "notes.mp4").write_text("not a film")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, films):
    """(features dataset of the film, work directory with a network for it)."""
    folder = tmp_path_factory.mktemp("trained")
    extract = ExtractConfig(min_presence=0.1)
    found = media.extract(films / "talking.mp4", extract).clips
    datasets.write(
        folder / "clips", "clips", {"train": found}, metadata={"extract": as_dict(extract)}
    )
    made_of = featurize.request(folder / "clips")
    featurize.featurize(folder / "clips", folder / "features", made_of)
    widths = features.FeaturesDataset(folder / "features", "train").widths
    kit.save(folder / "run", kit.params(0, widths), folder / "features")
    return folder / "features", folder / "run"


@pytest.fixture(scope="module")
def loaded(trained):
    return predictor.Predictor(trained[1])


def lines_of(loaded, *videos, require=()):
    cfg = predict.extraction(loaded.metadata, require)
    return [
        line
        for lines, _ in predict.predict(loaded, [str(v) for v in videos], cfg)
        for line in lines
    ]


def test_the_features_are_byte_equal_to_those_of_training(trained, films, loaded, monkeypatch):
    seen = []
    prepare = views.prepare

    def watched(item, *rest):
        seen.append(item)
        return prepare(item, *rest)

    monkeypatch.setattr(views, "prepare", watched)
    lines_of(loaded, films / "talking.mp4")
    dataset = features.FeaturesDataset(trained[0], "train")
    assert len(seen) == len(dataset) == 2
    for number, item in enumerate(seen):
        trained_on = dataset[number]
        assert trained_on["face"].shape[0] > 5
        for name in ("face", "speech"):
            assert item[name].dtype == trained_on[name].dtype == np.float16
            assert item[name].tobytes() == trained_on[name].tobytes()
        assert item["text"] == trained_on["text"]


def test_the_extraction_of_training_is_repeated_but_for_what_a_clip_must_have(loaded):
    cfg = predict.extraction(loaded.metadata, ())
    assert cfg == ExtractConfig(min_presence=0.1, require=())


def test_each_utterance_has_a_line_with_its_times_and_all_subsets(loaded, films):
    video = films / "talking.mp4"
    lines = lines_of(loaded, video)
    assert [(line["start_s"], line["end_s"]) for line in lines] == [(0.5, 1.7), (2.0, 3.4)]
    assert [line["text"] for line in lines] == ["so happy today", "and you ?"]
    for line in lines:
        assert line["video"] == str(video)
        assert tuple(line["probabilities"]) == SUBSETS
        for found in line["probabilities"].values():
            assert tuple(found) == CLASSES
            assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert (line["missing"], line["partial"], line["text_cut"]) == ([], [], 0)


def test_a_clip_is_predicted_the_same_whatever_it_is_batched_with(loaded):
    clips = [clip_samples.clip(i, crops=3 + i, seconds=0.5 + 0.2 * i) for i in range(6)]
    together = loaded(clips)
    for number in (0, 5):
        (alone,) = loaded([clips[number]])
        for subset, found in together[number]["probabilities"].items():
            for name, p in found.items():
                assert alone["probabilities"][subset][name] == pytest.approx(p, abs=1e-5)


def test_a_missing_modality_is_named_and_only_what_is_there_is_scored(loaded):
    mute = clip_samples.clip(0, crops=4, seconds=0)
    silent = clip_samples.clip(1, crops=0, seconds=0, text="", words_text=[], words_start_s=[],
                               words_end_s=[])  # fmt: skip
    one, two = loaded([mute, silent])
    assert one["missing"] == ["speech"]
    assert list(one["probabilities"]) == ["T", "F", "TF", "TS", "FS", "TFS"]
    assert one["partial"] == ["TS", "FS", "TFS"]
    assert one["probabilities"]["TS"] == one["probabilities"]["T"]
    assert two["missing"] == ["text", "face", "speech"]
    assert two["probabilities"] == {}


@pytest.mark.parametrize("lacks", ["face", "speech"])
def test_a_network_that_never_had_a_modality_does_not_look_at_it(tmp_path, trained, lacks):
    """Its features were made `--without` it: a clip that has it is said to miss it."""
    clips = trained[0].parent / "clips"
    made_of = featurize.request(clips, without=[lacks])
    featurize.featurize(clips, tmp_path / "features", made_of)
    widths = features.FeaturesDataset(tmp_path / "features", "train").widths
    assert widths[lacks] == 1, "a column of its own, which no clip fills"
    kit.save(tmp_path / "run", kit.params(0, widths), tmp_path / "features")
    blind = predictor.Predictor(tmp_path / "run")
    clip = clip_samples.clip(0, crops=4, seconds=0.8)
    other = clip_samples.clip(1, crops=7, seconds=1.3)
    changed = {key: value for key, value in other.items() if key.startswith(("face", "crop"))}
    if lacks == "speech":
        changed = {"speech": other["speech"]}
    one, two = blind([clip, {**clip, **changed}])
    assert one["missing"] == two["missing"] == [lacks]
    letter = lacks[0].upper()
    assert letter not in one["probabilities"]
    assert one["probabilities"]["TFS"] == one["probabilities"]["TFS".replace(letter, "")]
    for subset, found in one["probabilities"].items():
        assert two["probabilities"][subset] == pytest.approx(found, abs=1e-5)


def test_a_sound_file_is_predicted_without_a_face_unless_one_is_required(loaded, films):
    lines = lines_of(loaded, films / "sound.mp4")
    assert [line["missing"] for line in lines] == [["face"], ["face"]]
    (line,) = lines_of(loaded, films / "sound.mp4", require=("face",))
    assert line["probabilities"] == {}
    assert set(line["reasons"]) == {"no_video"}


def test_what_the_network_does_not_see_of_a_long_clip_is_counted(loaded):
    longest = loaded.longest
    long = clip_samples.clip(0, text="the bus is blue " * 30, crops=longest.face + 3, seconds=9)
    short, line = loaded([clip_samples.clip(1), long])
    assert [short[name] for name in predict.CUTS] == [0, 0, 0]
    assert line["text_cut"] > 50
    assert line["face_cut"] == 3
    assert line["speech_cut"] == pytest.approx(9 - 0.06 * longest.speech)


def test_the_report_sums_up_what_was_cut():
    assert predict.cut([[0, 3, 0.0], [0, 2, 1.5]]) == (
        "not seen, at the end: 5 face frames of 2 utterances, 1.5 s of sound of 1 utterances"
    )
    assert predict.cut([[0, 0, 0.0]]) == predict.cut([]) == "not seen, at the end: nothing"


@pytest.fixture
def loud(loaded, monkeypatch):
    """A front end that gives no number for a clip that says "happy"."""
    made = loaded.featurizer

    def patched(clips):
        items = made(clips)
        for item in items:
            if "happy" in item["text"]:
                item["speech"] = np.full_like(item["speech"], np.nan)
        return items

    monkeypatch.setattr(loaded, "featurizer", patched)


def test_a_clip_without_finite_features_costs_itself_alone(loaded, request):
    clips = [clip_samples.clip(0), clip_samples.clip(1, text="happy"), clip_samples.clip(2)]
    expected = loaded([clips[0], clips[2]])
    request.getfixturevalue("loud")
    one, bad, two = loaded(clips)
    for found, wanted in zip((one, two), expected, strict=True):
        assert "reasons" not in found
        for name, p in wanted["probabilities"]["TFS"].items():
            assert found["probabilities"]["TFS"][name] == pytest.approx(p, abs=1e-5)
    assert (bad["probabilities"], bad["partial"]) == ({}, [])
    assert bad["reasons"] == {"not_finite": {"seconds": pytest.approx(0.5), "count": 1}}


def test_an_utterance_without_finite_features_is_counted_as_dropped(loaded, loud, films):
    cfg = predict.extraction(loaded.metadata, ())
    ((lines, told),) = predict.predict(loaded, [str(films / "talking.mp4")], cfg)
    assert [list(line.get("reasons", ())) for line in lines] == [["not_finite"], []]
    assert told["clips"] == 1
    assert told["dropped"]["not_finite"] == {"seconds": pytest.approx(1.2), "count": 1}
    seconds = sum(entry["seconds"] for entry in told["dropped"].values())
    assert told["kept_s"] + seconds == pytest.approx(told["duration_s"])


@pytest.fixture
def quiet(monkeypatch):
    """Leaves the settings of the test process alone."""
    for name in ("quiet_libraries", "cache_compilations"):
        monkeypatch.setattr(runtime, name, lambda: None)


def test_a_bad_file_costs_itself_alone(quiet, trained, films, capsys):
    videos = [str(films / name) for name in ("notes.mp4", "nowhere.mp4", "talking.mp4")]
    assert predict.main(["--checkpoint", str(trained[1]), *videos]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["video"] for line in lines] == [videos[0], videos[1], videos[2], videos[2]]
    assert [list(line.get("reasons", ())) for line in lines] == [
        ["not_media"],
        ["missing_file"],
        [],
        [],
    ]
    assert "missing_file" in err
    assert "kept" in err
    assert err.endswith("not seen, at the end: nothing\n")


def test_nothing_predicted_is_a_failure_with_its_reasons(quiet, trained, films, capsys):
    assert predict.main(["--checkpoint", str(trained[1]), str(films / "notes.mp4")]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["reasons"]["not_media"]["count"] == 1
    assert "no utterance was found in any video" in err


def fitted(folder, trained, kind, params, prompt):
    """A fitted checkpoint as evaluate leaves it."""
    description = {
        **checkpoint.metadata(checkpoint.resolve(trained[1])),
        "kind": kind,
        "fit": {"prompt": as_dict(prompt), "longest": {"text": 16, "face": 8, "speech": 8}},
    }
    checkpoint.save_params(folder / kind, params, description)
    return folder / kind


TWO = PromptConfig(classes=("sadness", "anger"), label_words=("sad", "angry"))


def test_a_fitted_prompt_brings_its_classes_and_limits(tmp_path, trained):
    widths = {"face": 1024, "speech": 480}
    path = fitted(tmp_path, trained, "prompt", kit.params(0, widths), TWO)
    found = predictor.Predictor(path)
    assert found.longest == views.Longest(16, 8, 8)
    (line,) = found([clip_samples.clip(0)])
    assert set(line["probabilities"]["TFS"]) == {"sadness", "anger"}
    with pytest.raises(ValueError, match=r"fitted prompt .* leave out --template"):
        predictor.Predictor(path, PromptConfig())


def test_a_fitted_head_that_favours_a_class_predicts_it(tmp_path, trained):
    widths = {"face": 1024, "speech": 480}
    cfg = kit.network(widths)
    head = kit.random_tree(state.network(lambda rngs: EmotionHead(cfg, 2, rngs)).shapes, 0)
    head["classifier"]["classes"]["bias"] = np.array([0.0, 30.0], np.float32)
    params = {"memobert": kit.params(0, widths), "head": head}
    found = predictor.Predictor(fitted(tmp_path, trained, "head", params, TWO))
    (line,) = found([clip_samples.clip(0)])
    assert all(p["anger"] > 0.99 for p in line["probabilities"].values())


def test_an_encoder_that_this_code_has_not_is_refused(tmp_path, trained):
    path = checkpoint.resolve(trained[1])
    description = checkpoint.metadata(path)
    description["encoders"]["face"]["version"] = "99"
    checkpoint.save_params(tmp_path / "other", kit.params(), description)
    with pytest.raises(ValueError, match="make the features again"):
        predictor.Predictor(tmp_path / "other")


def test_a_prompt_from_the_command_line(trained):
    args = predict.parse(["--checkpoint=x", "--classes=fear,anger", "--label_words=scared,angry",
                          "a.mp4"])  # fmt: skip
    found = predict.prompt_of(args)
    assert found == PromptConfig(classes=("fear", "anger"), label_words=("scared", "angry"))
    assert predict.prompt_of(predict.parse(["--checkpoint=x", "a.mp4"])) is None
    with pytest.raises(ValueError, match="one word for each class"):
        predict.prompt_of(predict.parse(["--checkpoint=x", "--classes=fear", "a.mp4"]))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        predictor.Predictor(tmp_path)


def test_a_pre_training_has_the_limits_of_its_data(loaded):
    data = PretrainConfig().data
    assert loaded.longest == views.Longest(data.max_text, data.max_face, data.max_speech)
