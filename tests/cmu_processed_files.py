"""Generated files in the formats of the processed sets, and what was put into them."""

import pickle
import struct

import h5py
import numpy as np

COUNTS = {"train": 6, "valid": 3, "test": 4}
HERE = {"train": "train", "valid": "validation", "test": "test"}
WIDTHS = {"text": 300, "audio": 74, "vision": 35}


def truth(seed=0, widths=WIDTHS, steps=None, longest=9):
    """Split -> segments {text, audio, vision, sentiment, id}: rows of each modality, unpadded.

    With `steps` (modality -> most rows) the modalities have lengths of their own.
    """
    rng = np.random.default_rng(seed)
    out = {}
    for split, count in COUNTS.items():
        out[split] = []
        for number in range(count):
            shared = int(rng.integers(1, longest))
            segment = {}
            for name, width in widths.items():
                rows = int(rng.integers(1, steps[name])) if steps else shared
                segment[name] = rng.normal(size=(rows, width)).astype("f4")
            if not steps and shared > 2:
                segment["text"][1] = 0  # a pause: no zero step, as there is sound
            segment["sentiment"] = float(rng.integers(-9, 10) / 3)
            segment["id"] = f"{split}{number // 2}", 10.0 * number, 10.0 * number + 2.5
            out[split].append(segment)
    return out


def padded(segments, name, steps, right=False):
    """[segments, steps, width] with zeros before or after the rows of each segment."""
    array = np.zeros((len(segments), steps, segments[0][name].shape[1]), "f4")
    for number, segment in enumerate(segments):
        rows = segment[name][-steps:]
        where = slice(0, len(rows)) if right else slice(steps - len(rows), steps)
        array[number, where] = rows
    return array


def mult(segments, steps, right=False, clips=False):
    """One split of the pickle of 50 steps; `clips`: ids as in CMU-MOSI, bytes."""
    part = {name: padded(segments, name, steps[name], right) for name in WIDTHS}
    part["labels"] = np.array([s["sentiment"] for s in segments], "f4").reshape(-1, 1, 1)
    part["id"] = np.array(
        [[f"{s['id'][0]}_{n}".encode()] for n, s in enumerate(segments)]
        if clips
        else [[s["id"][0], f"{s['id'][1]:.3f}", f"{s['id'][2]:.3f}"] for s in segments]
    )
    return part


def mmsa(segments, steps, text_steps=12):
    """One split of MMSA's pickles; with `steps` (audio, vision) the unaligned one."""
    most = {"audio": text_steps, "vision": text_steps, "text": text_steps} | (steps or {})
    part = {name: padded(segments, name, most[name], right=True) for name in WIDTHS}
    mask = np.zeros((len(segments), text_steps), "f4")
    for number, segment in enumerate(segments):
        mask[number, : len(segment["text"])] = 1
        part["text"][number, len(segment["text"]) :] = 0.25  # BERT does not give zeros for [PAD]
    labels = np.array([s["sentiment"] for s in segments], "f4")
    part |= {
        "text_bert": np.stack([mask * 7, mask, 0 * mask], 1),
        "raw_text": np.array([f"some words {n}" for n in range(len(segments))]),
        "id": np.array([f"{s['id'][0]}$_${n}" for n, s in enumerate(segments)]),
        "annotations": np.array(["Positive"] * len(segments)),
        "classification_labels": np.sign(labels) + 1,
        "regression_labels": labels,
    }
    if steps:
        part["audio_lengths"] = [len(s["audio"]) for s in segments]
        part["vision_lengths"] = [len(s["vision"]) for s in segments]
    return part


def dump(path, splits):
    path.write_bytes(pickle.dumps(splits, 4))
    return path


def intensities(segments, seed=0):
    """f4 [segments, 6] in the order anger, disgust, fear, happiness, sadness, surprise."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 11, (len(segments), 6)) / 3).astype("f4")


def write_h5(folder, splits, steps=9):
    """The files of CMU-MOSEI of 20 steps (here `steps`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, segments in splits.items():
        arrays = {
            f"text_{split}_emb": padded(segments, "text", steps),
            f"audio_{split}": padded(segments, "audio", steps),
            f"video_{split}": padded(segments, "vision", steps),
            f"ey_{split}": intensities(segments),
            f"y_{split}": np.array([[s["sentiment"]] for s in segments], "f4"),
        }
        for name, array in arrays.items():
            with h5py.File(folder / f"{name}.h5", "w") as file:
                file["d1"] = array
    return folder


def iemocap_4(segments, steps):
    """One split of iemocap_data.pkl: pairs [no, yes] for neutral, happy, sad, angry; no id."""
    part = {name: padded(segments, name, steps) for name in WIDTHS}
    labels = np.zeros((len(segments), 4, 2), np.int64)
    labels[:, :, 0] = 1
    labels[np.arange(len(segments)), np.arange(len(segments)) % 4] = 0, 1
    return part | {"labels": labels}


def python_2(array):
    """A float64 array as a pickle that Python 2 wrote, with protocol 2."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"t"
    raw = np.ascontiguousarray(array, "<f8").tobytes()
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
        b"q\x03(K\x01" + shape + b"cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(raw))
        + raw
        + b"tb."
    )


def write_iemocap_9(folder, splits, steps=9):
    """The files of IEMOCAP of 21 steps (here `steps`); segment n has label n of eleven."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, segments in splits.items():
        files = {"text": "text", "covarep": "audio", "facet": "vision"}
        for file, name in files.items():
            array = padded(segments, name, steps)
            (folder / f"{file}_{split}.p").write_bytes(python_2(array))
        labels = np.eye(11)[np.arange(len(segments)) % 11]
        (folder / f"y_{split}.p").write_bytes(python_2(labels))
    return folder
