"""Faces followed over the pictures of a video, so that one person is one track within a shot."""

import contextlib
import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np

from memobert_jax.config import ExtractConfig
from memobert_jax.media import faces

Stage = Callable[[str], contextlib.AbstractContextManager]
"""Measures what runs inside it, under a name."""

_LONGEST_GAP_S = 0.35
_NEXT_PICTURE_S = 0.15
_SAME_TRACK_IOU = 0.3
_GREY_SHAPE = (96, 96)
_GREY_KERNEL = np.bartlett(33) / 16
"""Smooths histograms, so that a little more light is a little distance."""


@dataclasses.dataclass(frozen=True)
class Sighting:
    """A face in one picture: its track, detector score, mouth (`faces.Face.mouth`), crop and place.

    `crop` is u8 [112, 112, 3] RGB; `x` is the face's centre as a share of the picture's width.
    """

    track: int
    score: float
    mouth: tuple[float, float]
    crop: np.ndarray
    x: float


@dataclasses.dataclass
class _Track:
    number: int
    face: faces.Face
    time_s: float


class Tracker:
    """Gives the faces of one video their track numbers; pictures come in order of time.

    Faces are detected every `config.detect_every_s`, after a shot change, and while one that was
    lost may come back; in between, each is followed by its landmarks, which are looked for where
    they were in the picture before. A detected face continues the track that it overlaps best
    (intersection over union above 0.3) if that was seen at most three pictures at 10 fps ago. A
    shot change ends all tracks.
    """

    def __init__(self, config: ExtractConfig, stage: Stage = contextlib.nullcontext):
        self._config, self._stage = config, stage
        self._open: list[_Track] = []
        self._count = 0
        self._greys: np.ndarray | None = None
        self._detected_s = self._seen_s = -math.inf

    def see(self, time_s: float, picture: np.ndarray) -> list[Sighting]:
        """The faces of the picture u8 [height, width, 3] RGB."""
        if self._shot_changed(picture):
            self._open, self._detected_s = [], -math.inf
        self._open = [t for t in self._open if time_s - t.time_s <= _LONGEST_GAP_S]
        due = (
            time_s - self._detected_s > self._config.detect_every_s - 1e-6
            or time_s - self._seen_s > _NEXT_PICTURE_S
            or any(track.time_s != self._seen_s for track in self._open)
        )
        if due or not self._follow(time_s, picture):
            self._assign(time_s, self._find(picture))
            self._detected_s = time_s
        self._seen_s = time_s
        with self._stage("crop"):
            return [
                Sighting(
                    track.number,
                    track.face.score,
                    track.face.mouth,
                    faces.aligned_crop(picture, track.face),
                    float(track.face.box[[0, 2]].mean()) / picture.shape[1],
                )
                for track in self._open
                if track.time_s == time_s
            ]

    def _shot_changed(self, picture: np.ndarray) -> bool:
        """Whether half the L1 distance of smoothed grey histograms exceeds the configured share."""
        few = cv2.resize(picture, _GREY_SHAPE, interpolation=cv2.INTER_NEAREST)
        grey = cv2.cvtColor(few, cv2.COLOR_RGB2GRAY)
        counts = np.bincount(grey.ravel(), minlength=256) / grey.size
        greys, before = np.convolve(counts, _GREY_KERNEL), self._greys
        self._greys = greys
        return before is not None and np.abs(greys - before).sum() / 2 > self._config.shot_change

    def _follow(self, time_s: float, picture: np.ndarray) -> bool:
        """Moves the tracks of the picture before to this one; False as soon as one is lost."""
        moved: list[tuple[_Track, faces.Face]] = []
        with self._stage("mesh"):
            for track in self._open:
                points = faces.mesh(picture, track.face.box, track.face.anchors[:2])
                if points is None:
                    return False
                face = faces.Face(points, track.face.score)
                others = np.array([other.box for _, other in moved]).reshape(-1, 4)
                if np.any(faces.iou(face.box, others) > _SAME_TRACK_IOU):
                    return False
                moved.append((track, face))
        for track, face in moved:
            track.face, track.time_s = face, time_s
        return True

    def _find(self, picture: np.ndarray) -> list[faces.Face]:
        with self._stage("detect"):
            boxes, scores, eyes = faces.detect(picture, self._config.min_face_score)
        widths = boxes[:, 2] - boxes[:, 0]
        largest = np.argsort(-widths, kind="stable")[: self._config.max_faces]
        found = []
        with self._stage("mesh"):
            for i in largest[widths[largest] >= self._config.min_face_px]:
                points = faces.mesh(picture, boxes[i], eyes[i])
                if points is not None:
                    found.append(faces.Face(points, float(scores[i])))
        return found

    def _assign(self, time_s: float, found: list[faces.Face]) -> None:
        """Gives each face a track, old or new; the pairs that overlap best are matched first."""
        pairs = [
            (-float(faces.iou(track.face.box, face.box[None])[0]), i, j)
            for i, face in enumerate(found)
            for j, track in enumerate(self._open)
        ]
        left, free = set(range(len(found))), set(range(len(self._open)))
        for overlap, i, j in sorted(pairs):
            if -overlap > _SAME_TRACK_IOU and i in left and j in free:
                left.remove(i)
                free.remove(j)
                self._open[j].face, self._open[j].time_s = found[i], time_s
        for i in sorted(left):
            self._open.append(_Track(self._count, found[i], time_s))
            self._count += 1
