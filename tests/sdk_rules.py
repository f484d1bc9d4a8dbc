"""The alignment rules of the CMU-MultimodalSDK, restated with loops, to compare with.

A sequence is {key: (features, intervals)}; a key is a video, or video[number] once it is aligned.
"""

import numpy as np

EPS = 1e-5


def in_order(sequence):
    """Video -> its rows in order of time, also of one that was aligned before."""
    by_video = {}
    for key, rows in sequence.items():
        by_video.setdefault(key.split("[")[0], []).append(rows)
    out = {}
    for video, parts in by_video.items():
        features = np.concatenate([part[0] for part in parts])
        intervals = np.concatenate([part[1] for part in parts])
        order = np.argsort(intervals[:, 0], kind="stable")
        out[video] = features[order], intervals[order]
    return out


def align(sequences, reference, collapse=None):
    common = set.intersection(*({k.split("[")[0] for k in s} for s in sequences.values()))
    others = {name: in_order(s) for name, s in sequences.items() if name != reference}
    out = {name: {} for name in sequences}
    for video, (own, times) in sequences[reference].items():
        if video not in common:
            continue
        for number, (start, end) in enumerate(times):
            if abs(end - start) < EPS:
                continue
            for name in sequences:
                if name == reference:
                    features, intervals = own[number][None], times[number][None]
                else:
                    features, intervals = others[name][video]
                    meets = (intervals[:, 0] < end + EPS) & (intervals[:, 1] > start - EPS)
                    features, intervals = features[meets], np.clip(intervals[meets], start, end)
                    long = np.abs(intervals[:, 0] - intervals[:, 1]) > EPS
                    features, intervals = features[long], intervals[long]
                if not len(intervals):
                    continue
                if collapse is not None:
                    features = collapse(intervals, features)[None]
                    intervals = np.array([[intervals.min(), intervals.max()]])
                out[name][f"{video}[{number}]"] = features, intervals
    return out


def impute(sequences, reference):
    for key, (_, intervals) in sequences[reference].items():
        for sequence in sequences.values():
            if key not in sequence:
                width = next(iter(sequence.values()))[0].shape[1:]
                sequence[key] = np.zeros((len(intervals), *width)), intervals


def tensors(sequences, length, videos, whole=(), right=False):
    """Name -> [segments, length, width] of the segments that all sequences have, and their keys."""
    keys = set.intersection(*(set(s) for s in sequences.values()))
    first = next(iter(sequences.values()))
    keys = [key for key in first if key in keys and key.split("[")[0] in videos]
    out = {}
    for name, sequence in sequences.items():
        rows = []
        for features, _ in (sequence[key] for key in keys):
            zeros = np.zeros((length, *features.shape[1:]))
            if name not in whole and right:
                features = np.concatenate([features, zeros])[:length]
            elif name not in whole:
                features = np.concatenate([zeros, features])[-length:]
            rows.append(features)
        out[name] = np.array(rows)
    return out, keys
