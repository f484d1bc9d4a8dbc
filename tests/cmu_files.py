"""Small generated files in the formats in which CMU-MOSI, CMU-MOSEI and IEMOCAP features come."""

import json

import h5py
import numpy as np

METADATA = (
    "root name",
    "computational sequence description",
    "dimension names",
    "computational sequence version",
    "alignment compatible",
    "dataset name",
    "dataset version",
    "creator",
    "contact",
    "featureset bib citation",
    "dataset bib citation",
    "uuid",
    "md5",
)
FILES = {
    "words": ("CMU_MOSEI_TimestampedWords.csd", "words"),
    "text_features": ("CMU_MOSEI_TimestampedWordVectors.csd", "glove_vectors"),
    "speech": ("CMU_MOSEI_COVAREP.csd", "COVAREP"),
    "face": ("CMU_MOSEI_VisualFacet42.csd", "FACET 4.2"),
    "labels": ("CMU_MOSEI_Labels.csd", "All Labels"),
}
"""Sequence -> file, and the name of its root."""

RATES = {"speech": (74, 100.0), "face": (35, 30.0)}
VIDEOS = ("vidA", "vidB", "vidC", "vidD")


def write_csd(path, root, videos, json_metadata=True, without=()):
    """A .csd of {video: (features, intervals)}; old files have metadata that are not JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_group(f"{root}/data")
        for video, (features, intervals) in videos.items():
            entry = data.create_group(video)
            entry.create_dataset("features", data=features, compression="gzip")
            entry.create_dataset("intervals", data=intervals, compression="gzip")
        metadata = file.create_group(f"{root}/metadata")
        for key in METADATA:
            if key in without:
                continue
            value = root if key == "root name" else "generated"
            text = metadata.create_dataset(key, (1,), dtype=h5py.special_dtype(vlen=str))
            text[0] = json.dumps(value) if json_metadata else value
    return path


def words_of(rng, count=24):
    """(words bytes [count, 1], intervals): pauses, gaps, and a word of no length."""
    words, times, at = [], [], rng.uniform(0, 0.5)
    for number in range(count):
        length = 0.0 if number == 11 else rng.uniform(0.1, 0.6)
        words.append(b"sp" if number % 5 == 4 else b"word%d" % number)
        times.append((at, at + length))
        at += length + (rng.uniform(0, 0.2) if number % 3 == 0 else 0.0)
    return np.array(words, "S32")[:, None], np.array(times)


def labels_of(rng, times, columns=7):
    """(features, intervals): three segments, not in order; the first starts before zero, borders
    cut words in two, and two segments overlap."""
    cuts = [(0, 8), (8, 15), (14, 24)]
    middle = [*times.mean(1), times[-1, 1]]
    spans = [(-0.3 if a == 0 else middle[a], middle[b]) for a, b in cuts]
    values = [
        np.r_[rng.integers(-9, 10) / 3, rng.integers(0, 10, 6) * (rng.random(6) < 0.35) / 3]
        for _ in cuts
    ]
    order = [2, 0, 1]
    return np.array(values, "f4")[order, :columns], np.array(spans)[order]


def sequences(videos=VIDEOS, seed=0, columns=7):
    """Sequence -> {video: (features, intervals)}, with the quirks of the real files.

    COVAREP has minus infinity and NaN; FACET ends early in the first video, and in the second has
    overlapping rows out of order.
    """
    rng = np.random.default_rng(seed)
    out = {name: {} for name in FILES}
    for place, video in enumerate(videos):
        words, times = words_of(rng)
        vectors = rng.normal(size=(len(words), 300)).astype("f4")
        vectors[words[:, 0] == b"sp"] = 0
        out["words"][video] = words, times
        out["text_features"][video] = vectors, times
        for name, (width, rate) in RATES.items():
            count = int(times[-1, 1] * rate)
            if name == "face" and place == 0:
                count = int(count * 0.6)
            starts = np.arange(count) / rate
            intervals = np.stack([starts, starts + 1 / rate], 1)
            features = rng.normal(size=(count, width)).astype("f4")
            if name == "speech":
                features[0, 0], features[1, 1] = -np.inf, np.nan
            if name == "face" and place == 1:
                intervals[5, 1] += 0.2
                order = rng.permutation(count)
                features, intervals = features[order], intervals[order]
            out[name][video] = features, intervals
        out["labels"][video] = labels_of(rng, times, columns)
    return out


def write_corpus(folder, data=None, **options):
    """All files of `sequences`, as they are called in CMU-MOSEI."""
    for name, videos in (data or sequences()).items():
        file, root = FILES[name]
        write_csd(folder / file, root, videos, **options)
    return folder


FOLDS = {"train": ["vidA", "vidD"], "valid": ["vidB"], "test": ["vidC"]}


def write_folds(folder, name="cmu_mosei_std_folds.py", **changes):
    """The SDK's file of standard folds; `changes`: other videos of a split."""
    lists = FOLDS | changes
    text = "".join(f"standard_{split}_fold = {videos!r}\n" for split, videos in lists.items())
    (folder / name).write_text(text)
