"""One person is one track within a shot, and detection runs only when it must."""

import dataclasses

import media_samples as samples
import numpy as np
import pytest

from memobert_jax.config import ExtractConfig
from memobert_jax.media import faces, tracks

SHAPE = np.random.default_rng(0).uniform(0, 1, (468, 2)).astype(np.float32)
PICTURE = np.full((100, 200, 3), 128, np.uint8)


@dataclasses.dataclass
class Scene:
    """Stands in for the networks: `boxes` are what there is to see now."""

    boxes: list = dataclasses.field(default_factory=list)
    detections: int = 0

    def detect(self, picture, min_score):
        self.detections += 1
        boxes = np.array(self.boxes, np.float32).reshape(-1, 4)
        return boxes, np.full(len(boxes), 0.9, np.float32), np.zeros((len(boxes), 2, 2))

    def mesh(self, picture, box, eyes):
        boxes = np.array(self.boxes, np.float32).reshape(-1, 4)
        overlaps = faces.iou(np.asarray(box), boxes)
        if not len(boxes) or overlaps.max() < 0.2:
            return None
        low, high = boxes[overlaps.argmax()].reshape(2, 2)
        return low + (high - low) * (SHAPE - SHAPE.min(0)) / np.ptp(SHAPE, axis=0)


@pytest.fixture
def scene(monkeypatch):
    scene = Scene()
    monkeypatch.setattr(faces, "detect", scene.detect)
    monkeypatch.setattr(faces, "mesh", scene.mesh)
    return scene


def at(x, y=20, size=40):
    return (x, y, x + size, y + size)


def run(scene, pictures, config=None):
    """Track numbers of each step; a step is the boxes, or (boxes, picture)."""
    tracker = tracks.Tracker(config or ExtractConfig())
    out = []
    for k, boxes in enumerate(pictures):
        scene.boxes = boxes
        out.append(sorted(sighting.track for sighting in tracker.see(k / 10, PICTURE)))
    return out


def test_a_moving_face_stays_one_track_with_few_detections(scene):
    config = ExtractConfig(detect_every_s=0.5)
    assert run(scene, [[at(4 * k)] for k in range(20)], config) == [[0]] * 20
    assert scene.detections == 4


def test_without_following_each_picture_is_detected(scene):
    config = ExtractConfig(detect_every_s=0.0)
    assert run(scene, [[at(4 * k)] for k in range(10)], config) == [[0]] * 10
    assert scene.detections == 10


def test_a_jump_is_another_person_and_detected_at_once(scene):
    assert run(scene, [[at(0)], [at(0)], [at(100)], [at(100)]]) == [[0], [0], [1], [1]]
    # At the start, at the jump, and while the first person may come back.
    assert scene.detections == 3


def test_two_faces_keep_their_numbers_whichever_is_surer(scene):
    steps = [[at(0), at(100)], [at(100), at(2)]] * 4
    assert run(scene, steps, ExtractConfig(detect_every_s=0.0)) == [[0, 1]] * 8


def test_a_face_that_enters_is_found_by_the_next_detection(scene):
    config = ExtractConfig(detect_every_s=0.5)
    seen = run(scene, [[at(0)]] * 2 + [[at(0), at(100)]] * 5, config)
    assert seen == [[0]] * 5 + [[0, 1]] * 2


def test_a_short_absence_keeps_the_track_and_a_long_one_ends_it(scene):
    seen = run(scene, [[at(0)], [], [], [at(0)], [], [], [], [], [at(0)]])
    assert seen[:4] == [[0], [], [], [0]] or seen[:4] == [[0], [], [], []]
    assert [0] not in seen[5:]


def test_two_tracks_never_end_on_one_face(scene):
    seen = run(scene, [[at(0), at(44)], [at(10)], [at(10)], [at(10)]])
    assert seen[0] == [0, 1]
    assert [len(numbers) for numbers in seen[1:]] == [1, 1, 1]


def test_a_shot_change_ends_the_track(scene):
    tracker = tracks.Tracker(ExtractConfig())
    scene.boxes = [at(0)]
    numbers = []
    for k, level in enumerate((100, 104, 240, 240)):
        picture = np.full_like(PICTURE, level)
        numbers.append([s.track for s in tracker.see(k / 10, picture)])
    assert numbers == [[0], [0], [1], [1]]


def test_a_gap_between_utterances_is_detected_anew(scene):
    tracker = tracks.Tracker(ExtractConfig())
    scene.boxes = [at(0)]
    assert [s.track for s in tracker.see(0.0, PICTURE)] == [0]
    assert [s.track for s in tracker.see(0.3, PICTURE)] == [0]
    assert [s.track for s in tracker.see(5.0, PICTURE)] == [1]
    assert scene.detections == 3


def test_small_faces_and_more_than_the_most_are_ignored(scene):
    config = ExtractConfig(min_face_px=30, max_faces=2)
    boxes = [at(0, size=20), at(30, size=31), at(70, size=45), at(120, size=60)]
    tracker = tracks.Tracker(config)
    scene.boxes = boxes
    assert [s.crop.shape for s in tracker.see(0.0, PICTURE)] == [(112, 112, 3)] * 2
    scene.boxes = boxes[:2]
    assert len(tracks.Tracker(config).see(0.0, PICTURE)) == 1


def test_following_gives_nearly_the_crops_of_detection():
    pictures = list(samples.talking(1.0, fps=10))
    followed, detected = (
        [tracker.see(k / 10, picture)[0].crop.astype(int) for k, picture in enumerate(pictures)]
        for tracker in (
            tracks.Tracker(ExtractConfig()),
            tracks.Tracker(ExtractConfig(detect_every_s=0.0)),
        )
    )
    assert np.abs(np.array(followed) - np.array(detected)).mean() < 4
