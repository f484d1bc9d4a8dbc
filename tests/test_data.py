"""Training rows: position in the data is the step, for any number of hosts and after restarts."""

import collections
import dataclasses
import itertools
import shutil

import numpy as np
import pytest
import runs
import samples

from memobert_jax import datasets, features, packing, sources, tokenizer
from memobert_jax.batch import MODALITY_OF
from memobert_jax.config import SUBSETS
from memobert_jax.data import TrainData
from memobert_jax.features import FeaturesDataset
from memobert_jax.sources import token_lengths


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return samples.dataset(tmp_path_factory.mktemp("data") / "corpus", widths=runs.WITH_EMOTION)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "other"
    return samples.dataset(folder, {"train": 20, "validation": 8}, widths=runs.WITH_EMOTION)


@pytest.fixture(scope="module")
def tokens():
    return runs.tokens()


@pytest.fixture(scope="module")
def data(corpus, tokens):
    return TrainData(runs.config(corpus), tokens)


def assert_same(a: dict, b: dict):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("hosts", [2, 4])
@pytest.mark.parametrize("step", [0, 5])
def test_the_hosts_together_get_the_batch_of_one_host(data, hosts, step):
    parts = [data.batch(step, host, hosts) for host in range(hosts)]
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert_same(together, data.batch(step))


@pytest.mark.parametrize("hosts", [1, 2])
def test_the_clips_of_a_step_are_named_by_dataset_without_its_arrays(corpus, other, tokens, hosts):
    data = TrainData(runs.config(corpus, other), tokens)
    folders = {str(corpus): 0, str(other): 1}
    for step, host in itertools.product((0, 5), range(hosts)):
        found = data.clip_ids(step, host, hosts)
        rows = range(step * 8 + host * (8 // hosts), step * 8 + (host + 1) * (8 // hosts))
        expected = {}
        for number in rows:
            source, _ = data.locate(number)
            ids = [data.sources[source].dataset[view.index]["id"] for view in data.views(number)]
            expected.setdefault(source, []).extend(ids)
        assert {folders[name]: ids for name, ids in found.items()} == expected


def test_clips_of_a_step_whose_features_are_not_finite_are_named(tmp_path, tokens):
    clips = [samples.clip(i, np.random.default_rng(i), widths=runs.WITH_EMOTION) for i in range(12)]
    for number, name in ((2, "face"), (5, "face_emotion"), (9, "speech")):
        clips[number][name] = np.full_like(clips[number][name], np.nan)
    folder = _written(tmp_path, clips, runs.WITH_EMOTION)
    data = TrainData(runs.config(folder), tokens)
    named = [clip for step in range(3) for ids in data.broken_ids(step).values() for clip in ids]
    assert set(named) == {"clip2", "clip5", "clip9"}
    for step, host in itertools.product(range(3), range(2)):
        mine = {clip for ids in data.clip_ids(step, host, 2).values() for clip in ids}
        broken = {clip for ids in data.broken_ids(step, host, 2).values() for clip in ids}
        assert broken == mine & {"clip2", "clip5", "clip9"}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_run_that_starts_later_gets_the_batches_that_it_would_have_got(corpus, tokens, threads):
    cfg = runs.config(corpus, data={"read_threads": threads})
    whole = list(TrainData(cfg, tokens).batches(0))
    assert len(whole) == cfg.steps
    for batch, again in zip(whole[5:], TrainData(cfg, tokens).batches(5), strict=True):
        assert_same(batch, again)


def test_a_finished_run_gets_no_batch(data):
    assert list(data.batches(data.cfg.steps)) == []


def test_two_steps_and_two_seeds_differ(data, corpus, tokens):
    reseeded = TrainData(runs.config(corpus, seed=1), tokens)
    for batch in (data.batch(1), reseeded.batch(0)):
        assert not np.array_equal(batch["text_ids"], data.batch(0)["text_ids"])


def test_masks_of_a_clip_change_from_epoch_to_epoch(data):
    rows = len(data.sources[0].plan)
    by_clip = collections.defaultdict(set)
    for number in range(4 * rows):
        for view in data.views(number):
            by_clip[view.index].add(view.targets["msr"].tobytes())
    assert all(len(masks) > 1 for masks in by_clip.values())


def test_every_epoch_has_each_row_once_in_another_order(data):
    rows = len(data.sources[0].plan)
    epochs = [
        [data.locate(number)[1] for number in range(first * rows, (first + 1) * rows)]
        for first in range(3)
    ]
    assert all(sorted(epoch) == list(range(rows)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_every_clip_of_the_corpus_is_seen_in_an_epoch(data):
    rows = len(data.sources[0].plan)
    seen = [view.index for number in range(rows) for view in data.views(number)]
    assert sorted(seen) == list(range(48))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1.0, 3.0), (1024, 3072)), ((0.7, 0.3), (2867, 1229)), ((1e9, 1.0), (4095, 1))],
)
def test_4096_rows_hold_the_weighted_shares_of_the_sources(
    corpus, other, tokens, weights, expected
):
    cfg = runs.config((corpus, weights[0]), (other, weights[1]))
    data = TrainData(cfg, tokens)
    drawn = [data.locate(number) for number in range(2 * 4096)]
    for part in (drawn[:4096], drawn[4096:]):
        counts = collections.Counter(source for source, _ in part)
        assert (counts[0], counts[1]) == expected
    for source in (0, 1):
        own = [row for number, row in drawn if number == source]
        rows = len(data.sources[source].plan)
        for epoch in range(len(own) // rows):
            assert sorted(own[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_must_be_above_zero(corpus, other, tokens, weight):
    with pytest.raises(ValueError, match=r"data\.sources weights are .* must be above 0"):
        TrainData(runs.config(corpus, (other, weight)), tokens)


def test_no_source_says_how_to_give_one(tokens):
    with pytest.raises(ValueError, match=r"data\.sources is empty: give --config\.data\.sources"):
        TrainData(runs.config(), tokens)


@pytest.mark.parametrize("key", ["encoders", "normalisation"])
def test_sources_of_different_encoders_are_refused(corpus, tokens, tmp_path, key):
    changed = {"encoders": samples.ENCODERS | {"face": {"name": "other"}}}
    changed |= {"normalisation": {"speech": {"mean": [0.0]}}}
    odd = samples.dataset(
        tmp_path, {"train": 4}, widths=runs.WITH_EMOTION, metadata={key: changed[key]}
    )
    with pytest.raises(ValueError, match=rf"differ in the .* of their {key}: .*--like"):
        TrainData(runs.config(corpus, odd), tokens)


def test_joint_masks_every_modality_of_every_clip(corpus, tokens):
    data = TrainData(runs.config(corpus, objectives={"schedule": "joint"}), tokens)
    for view in itertools.chain.from_iterable(map(data.views, range(12))):
        assert set(view.targets) == {"mlm", "mfr", "mfc", "msr"}
        assert all(len(places) for places in view.targets.values())
        assert view.targets["mfr"].tolist() == view.targets["mfc"].tolist()


def test_per_clip_masks_one_objective_a_clip_in_the_configured_shares(corpus, tokens):
    data = TrainData(runs.config(corpus, objectives={"schedule": "per_clip"}), tokens)
    drawn = collections.Counter()
    for view in itertools.chain.from_iterable(map(data.views, range(300))):
        (name,) = view.targets
        drawn[name] += 1
        assert view.face_mask.targets.any() == (name in ("mfr", "mfc"))
        assert view.speech_mask.targets.any() == (name == "msr")
        assert not (view.ids != view.labels).any() or name == "mlm"
    total = sum(drawn.values())
    for name, share in (("mlm", 0.4), ("mfr", 0.2), ("mfc", 0.2), ("msr", 0.2)):
        assert drawn[name] / total == pytest.approx(share, abs=0.06)


def test_per_step_masks_one_objective_a_step_in_the_configured_shares(corpus, tokens):
    cfg = runs.config(corpus, data={"batch_rows": 2}, objectives={"schedule": "per_step"})
    data = TrainData(cfg, tokens)
    drawn = collections.Counter()
    for step in range(300):
        rows = data.views(2 * step) + data.views(2 * step + 1)
        (name,) = {name for view in rows for name in view.targets}
        drawn[name] += 1
    for name, share in (("mlm", 0.4), ("mfr", 0.2), ("mfc", 0.2), ("msr", 0.2)):
        assert drawn[name] / 300 == pytest.approx(share, abs=0.08)


def test_without_expression_posteriors_their_objective_is_off(tmp_path, tokens):
    data = TrainData(runs.config(samples.dataset(tmp_path)), tokens)
    assert data.shares == {"mlm": 0.5, "mfr": 0.25, "msr": 0.25}
    assert "face_emotion" not in data.batch(0)
    assert all(set(view.targets) == {"mlm", "mfr", "msr"} for view in data.views(0))


def test_frames_beyond_the_longest_are_cut_from_the_end(corpus, tokens):
    data = TrainData(runs.config(corpus, data={"max_face": 5, "max_speech": 12}), tokens)
    for view in data.views(0):
        record = data.sources[0].dataset[view.index]
        assert len(view.face) <= 5
        assert len(view.face_emotion) == len(view.face)
        np.testing.assert_array_equal(view.speech, record["speech"][:12])


@pytest.mark.parametrize(("field", "place"), [("max_face", 1), ("max_speech", 2)])
def test_a_modality_of_no_length_is_left_out_of_the_run(corpus, tokens, field, place):
    off = {"mfr": 0.0, "mfc": 0.0} if field == "max_face" else {"msr": 0.0}
    data = TrainData(runs.config(corpus, data={field: 0}, objectives=off), tokens)
    for view in itertools.chain.from_iterable(map(data.views, range(8))):
        assert view.lengths[place] == 0
        assert set(view.targets) == set(data.shares)
    assert data.batch(0)["clip_valid"].any()


def test_a_clip_whose_text_is_too_long_is_dropped_and_counted(tmp_path, tokens):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(6)]
    clips[2]["text"], clips[3]["text"], clips[4]["text"] = ("sad " * n for n in (31, 30, 200))
    folder = _written(tmp_path, clips)
    data = TrainData(runs.config(folder), tokens)
    assert data.sources[0].clips.tolist() == [0, 1, 3, 5]
    assert data.sources[0].dropped["text longer than 32 tokens"] == 2
    assert "2 dropped: text longer than 32 tokens" in data.describe()
    seen = {view.index for number in range(20) for view in data.views(number)}
    assert seen == {0, 1, 3, 5}


def test_clips_of_which_the_end_is_cut_are_counted(tmp_path, tokens):
    rng = np.random.default_rng(0)
    clips = [samples.clip(i, rng) for i in range(4)]
    for clip, faces, rows in zip(clips, (5, 6, 9, 3), (11, 12, 13, 40), strict=True):
        clip |= {
            "face": np.ones((faces, 24), np.float16),
            "speech": np.ones((rows, 20), np.float16),
        }
        clip |= {name: np.ones(faces, np.float32) for name in ("face_time_s", "face_score")}
    folder = _written(tmp_path, clips)
    cut = TrainData(runs.config(folder, data={"max_face": 5, "max_speech": 12}), tokens)
    assert "all used; 2 cut to their first 5 face frames; 2 cut to their first 12 speech rows" in (
        cut.describe()
    )
    assert "cut to" not in TrainData(runs.config(folder), tokens).describe()


@pytest.mark.parametrize("absent", ["text", "face", "speech"])
def test_objectives_of_a_modality_that_no_source_has_are_known(tmp_path, tokens, absent):
    clips = [samples.clip(i, np.random.default_rng(i), widths=runs.WITH_EMOTION) for i in range(3)]
    without = _written(tmp_path / "none", [c | _without(absent) for c in clips], runs.WITH_EMOTION)
    gone = {"text": ["mlm"], "face": ["mfr", "mfc"], "speech": ["msr"]}[absent]
    assert TrainData(runs.config(without), tokens).idle() == gone
    some = _written(tmp_path / "some", clips, runs.WITH_EMOTION)
    assert TrainData(runs.config(without, some), tokens).idle() == []


def test_asked_for_expression_posteriors_alone_a_corpus_without_them_is_refused(tmp_path, tokens):
    only = {"mlm": 0.0, "mfr": 0.0, "msr": 0.0}
    with pytest.raises(ValueError, match=r"mfc is off: the features have no face_emotion\): give"):
        TrainData(runs.config(samples.dataset(tmp_path), objectives=only), tokens)


def test_a_clip_without_any_modality_is_dropped_and_counted(tmp_path, tokens):
    clips = [samples.clip(i, np.random.default_rng(i)) for i in range(3)]
    clips[1] |= _without("text", "face", "speech")
    data = TrainData(runs.config(_written(tmp_path, clips)), tokens)
    assert data.sources[0].clips.tolist() == [0, 2]
    assert "1 dropped: no modality" in data.describe()


@pytest.mark.parametrize("absent", ["text", "face", "speech"])
def test_a_modality_that_no_clip_has_is_said_once(tmp_path, tokens, absent):
    clips = [samples.clip(i, np.random.default_rng(i)) for i in range(3)]
    clips[1] |= _without("text", "face")
    described = TrainData(runs.config(_written(tmp_path / "some", clips)), tokens).describe()
    assert "no clip has" not in described
    folder = _written(tmp_path / "none", [clip | _without(absent) for clip in clips])
    data = TrainData(runs.config(folder), tokens)
    assert data.describe().count(f"no clip has {absent}") == 1
    assert data.sources[0].absent == (absent,)


def test_settings_that_would_fill_rows_better_are_named(tmp_path, tokens):
    folder = samples.dataset(tmp_path, {"train": 48})
    narrow = runs.config(folder, data={"text_cap": 32, "speech_cap": 40, "row_width": 128})
    (source,) = TrainData(narrow, tokens).sources
    assert "data.row_width=128 text_cap=" in source.describe()
    assert "would fill up to 9" in source.describe()


def test_a_split_of_which_no_clip_can_be_used_is_refused_with_the_reasons(tmp_path, tokens):
    clips = [samples.clip(0, np.random.default_rng(0)) | _without("text", "face", "speech")]
    with pytest.raises(ValueError, match=r"no clip of .* can be used: .*'no modality': 1"):
        TrainData(runs.config(_written(tmp_path, clips)), tokens)


@pytest.mark.parametrize("schedule", ["joint", "per_clip", "per_step"])
@pytest.mark.parametrize("absent", ["text", "face", "speech"])
def test_a_clip_without_a_modality_has_targets_in_the_others_only(
    tmp_path, tokens, schedule, absent
):
    clips = [samples.clip(0, np.random.default_rng(0), widths=runs.WITH_EMOTION)]
    clips[0] |= _without(absent)
    folder = _written(tmp_path, clips, widths=runs.WITH_EMOTION)
    cfg = runs.config(folder, data={"batch_rows": 1}, objectives={"schedule": schedule})
    data = TrainData(cfg, tokens)
    gone = {"text": {"mlm"}, "face": {"mfr", "mfc"}, "speech": {"msr"}}[absent]
    seen = set()
    for number in range(60):
        (view,) = data.views(number)
        seen |= set(view.targets)
        assert view.lengths[("text", "face", "speech").index(absent)] == (absent == "text")
    assert seen == {"mlm", "mfr", "mfc", "msr"} - gone


def test_a_share_of_the_clips_shows_only_some_modalities_each_subset_alike(corpus, tokens):
    data = TrainData(runs.config(corpus, masking={"fewer": 0.6}), tokens)
    seen = collections.Counter()
    for view in itertools.chain.from_iterable(map(data.views, range(400))):
        text, face, speech = view.lengths
        shown = "T" * (text > 1) + "F" * (face > 0) + "S" * (speech > 0)
        seen[shown] += 1
        assert len(view.face_emotion) == face
        assert set(view.targets) == set(_OBJECTIVES_OF[shown])
    for subset in SUBSETS:
        share = 0.4 if subset == "TFS" else 0.1
        assert seen[subset] / sum(seen.values()) == pytest.approx(share, abs=0.04)


_OBJECTIVES_OF = {
    subset: [k for k in MODALITY_OF if MODALITY_OF[k][0].upper() in subset] for subset in SUBSETS
}


def _without(*modalities: str) -> dict:
    """Fields of a clip that has not these modalities."""
    none = {
        "text": {"text": "", "words/text": [], "words/start_s": [], "words/end_s": []},
        "face": {"face": np.zeros((0, 24), np.float16), "face_time_s": [], "face_score": []}
        | {"face_emotion": np.zeros((0, 4), np.float16)},
        "speech": {"speech": np.zeros((0, 20), np.float16)},
    }
    fields = {name: value for m in modalities for name, value in none[m].items()}
    return {k: np.zeros(0, np.float32) if isinstance(v, list) and k != "words/text" else v
            for k, v in fields.items()}  # fmt: skip


def _written(folder, clips, widths=None):
    metadata = {"encoders": samples.ENCODERS}
    widths = widths or samples.WIDTHS
    if "face_emotion" not in widths:
        for clip in clips:
            clip["face_emotion"] = np.zeros((0, 1), np.float16)
    return features.write(folder, {"train": clips}, metadata=metadata, widths=widths)


@pytest.fixture
def damaged(tmp_path):
    """A corpus of which clip 3 cannot be read."""
    folder = samples.dataset(tmp_path / "damaged", {"train": 8, "validation": 4})
    (shard,) = folder.glob("*train*.array_record*")
    content = bytearray(shard.read_bytes())
    at = content.index(b"clip3")
    content[at : at + 5] = bytes(255 - byte for byte in content[at : at + 5])
    shard.write_bytes(content)
    return folder


def test_a_damaged_record_ends_the_run_by_name(damaged, tokens):
    data = TrainData(runs.config(damaged), tokens)
    with pytest.raises(ValueError, match=r"train.*record 3 .* is damaged"):
        list(map(data.views, range(8)))


def test_an_error_while_loading_reaches_the_caller_and_is_not_the_end_of_the_data(damaged, tokens):
    batches = TrainData(runs.config(damaged), tokens).batches(0)
    with pytest.raises(ValueError, match="is damaged"):
        list(batches)


def test_a_damaged_record_that_is_skipped_shifts_no_other(damaged, tokens):
    whole = samples.dataset(damaged.parent / "whole", {"train": 8, "validation": 4})
    config = runs.config(damaged, data={"skip_corrupt": True})
    skipping = TrainData(config, tokens)
    sound = TrainData(runs.config(whole), tokens)
    for number in range(len(sound.sources[0].plan)):
        views, expected = skipping.views(number), sound.views(number)
        assert [v.index for v in views] == [v.index for v in expected]
        for view, same in zip(views, expected, strict=True):
            if view.index == 3:
                assert view.lengths == (1, 0, 0)
                assert not view.targets
            else:
                assert view.lengths == same.lengths
            assert view.damaged == (view.index == 3)
    rows = len(sound.sources[0].plan)
    assert sum(int(skipping.batch(k)["damaged"].sum()) for k in range(rows)) == 8, "8 rows a batch"


def test_token_lengths_are_those_of_the_clips_and_cached_beside_them(corpus, tokens):
    dataset = FeaturesDataset(corpus, "train")
    lengths = token_lengths(dataset, tokens)
    assert lengths.dtype == np.int32
    assert lengths[5] == len(tokens.encode(dataset[5]["text"]).ids) + 2
    (cache,) = corpus.glob(f"tokens-train-*-{tokens.fingerprint}-*.npy")
    np.save(cache, lengths + 1)
    assert (token_lengths(dataset, tokens) == lengths + 1).all(), "the cache was not read"
    cache.unlink()
    assert (token_lengths(dataset, tokens) == lengths).all()


def test_another_tokenizer_does_not_use_the_cache_of_the_first(corpus, tokens):
    dataset = FeaturesDataset(corpus, "train")
    characters = tokenizer.train(["".join(runs.TEXTS)], 40)
    assert token_lengths(dataset, characters).sum() > token_lengths(dataset, tokens).sum()


def test_a_dataset_in_a_read_only_folder_is_used_without_a_cache(tmp_path, tokens, monkeypatch):
    folder = samples.dataset(tmp_path, {"train": 4})

    def refuse(path, write):
        raise PermissionError(f"{path} is read-only")

    monkeypatch.setattr(sources.datasets, "write_atomically", refuse)
    lengths = token_lengths(FeaturesDataset(folder, "train"), tokens)
    assert len(lengths) == 4
    assert not list(folder.glob("tokens-*"))
    assert datasets is sources.datasets


def test_rows_do_not_depend_on_where_the_sources_lie(corpus, tokens, tmp_path, data):
    moved = tmp_path / "moved"
    shutil.copytree(corpus, moved)
    assert_same(TrainData(runs.config(moved), tokens).batch(3), data.batch(3))


def test_a_configuration_in_another_order_of_sources_is_another_run(corpus, other, tokens):
    one = TrainData(runs.config(corpus, other), tokens)
    two = TrainData(runs.config(other, corpus), tokens)
    assert one.layout == two.layout
    assert [s.dataset.path for s in one.sources] != [s.dataset.path for s in two.sources]


def test_eval_settings_do_not_change_the_training_rows(corpus, tokens, data):
    cfg = dataclasses.replace(data.cfg, eval_rows=2, eval_every=1, log_every=5)
    assert_same(TrainData(cfg, tokens).batch(2), data.batch(2))


def test_rows_that_took_long_to_plan_are_kept_beside_the_data(corpus, tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    dataset, limits = FeaturesDataset(folder, "train"), packing.Limits(64, (24, 24, 48), 8)
    lengths = np.tile([[3, 5, 9], [4, 6, 12]], (10, 1)).astype(np.int32)
    planned = []
    monkeypatch.setattr(sources, "pack", lambda *given: planned.append(1) or packing.pack(*given))
    monkeypatch.setattr(sources, "_LONG_S", -1.0)
    first, again = (sources.packed(dataset, lengths, limits) for _ in range(2))
    assert len(planned) == 1
    assert again.report() == first.report()
    assert again.fingerprint == first.fingerprint
    assert again.bound == first.bound
    wider = dataclasses.replace(limits, width=72)
    assert sources.packed(dataset, lengths, wider).fingerprint != first.fingerprint
    sources.packed(dataset, lengths[1:], limits)
    monkeypatch.setattr(sources, "VERSION", 0)
    sources.packed(dataset, lengths, limits)
    assert len(planned) == 4


@pytest.mark.parametrize("left", [0, 100, -30])
def test_kept_rows_that_are_damaged_are_planned_again(corpus, tmp_path, monkeypatch, left):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    dataset, limits = FeaturesDataset(folder, "train"), packing.Limits(64, (24, 24, 48), 8)
    lengths = np.tile([[3, 5, 9], [4, 6, 12]], (10, 1)).astype(np.int32)
    monkeypatch.setattr(sources, "_LONG_S", -1.0)
    first = sources.packed(dataset, lengths, limits)
    (kept,) = folder.glob("rows-*.npz")
    kept.write_bytes(kept.read_bytes()[:left])
    assert sources.packed(dataset, lengths, limits).fingerprint == first.fingerprint
