"""The drawn faces: recognised by the detector, moved by speech, telling of emotion."""

import functools

import cv2
import numpy as np
import pytest

from memobert_jax.media import faces
from tfds_builders.talking_heads import corpus, expression, face, looks

SIZE = 256
PEOPLE = range(8)


@functools.cache
def head(person: int) -> face.Head:
    return face.Head(looks.look(("female", "male")[person % 2], (0, person)), SIZE)


def drawn(person: int, emotion: str, **pose) -> np.ndarray:
    return head(person).draw(expression.Pose(expression.of_affect(*corpus.AFFECT[emotion]), **pose))


def measured(picture: np.ndarray) -> faces.Face:
    boxes, scores, eyes = faces.detect(picture)
    assert len(boxes) == 1
    points = faces.mesh(picture, boxes[0], eyes[0])
    assert points is not None
    return faces.Face(points, float(scores[0]))


def pixels(picture: np.ndarray) -> np.ndarray:
    """The aligned crop as grey 32x32 without mean and variance: f32 [1024]."""
    crop = cv2.cvtColor(faces.aligned_crop(picture, measured(picture)), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(crop, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return (small - small.mean()) / small.std()


@pytest.mark.parametrize("person", PEOPLE)
def test_one_face_is_detected_and_lies_where_it_was_drawn(person):
    for emotion in corpus.EMOTIONS["seven"]:
        found = measured(drawn(person, emotion, opening=0.5))
        assert found.score > 0.6
        who = head(person).person
        middle = found.anchors[:2].mean(0)
        assert np.abs(middle - (128 + who.centre[0], who.eye_y + who.centre[1])).max() < 20
        distance = np.linalg.norm(found.anchors[0] - found.anchors[1])
        assert distance == pytest.approx(2 * who.eye_dx * who.zoom, rel=0.12)


@pytest.mark.parametrize("person", range(4))
def test_the_measured_mouth_follows_the_drawn_one(person):
    openings = np.linspace(0, 1, 6)
    for emotion in corpus.EMOTIONS["four"]:
        gaps = [measured(drawn(person, emotion, opening=o)).mouth[0] for o in openings]
        assert np.corrcoef(openings, gaps)[0, 1] > 0.8
        assert gaps[-1] - gaps[0] > 0.03


def test_emotions_survive_in_small_grey_crops_of_unseen_people():
    classes = corpus.EMOTIONS["four"]
    crops = {
        (person, emotion): np.mean([pixels(drawn(person, emotion, opening=o)) for o in (0, 0.6)], 0)
        for person in PEOPLE
        for emotion in classes
    }
    known, unseen = range(5), range(5, 8)
    centres = {e: np.mean([crops[p, e] for p in known], 0) for e in classes}
    middle = np.mean(list(centres.values()), 0)
    for person in unseen:
        own = np.mean([crops[person, e] for e in classes], 0)
        for emotion in classes:
            shape = crops[person, emotion] - own
            scores = {e: float(shape @ (centres[e] - middle)) for e in classes}
            assert max(scores, key=scores.get) == emotion


def test_a_blink_covers_the_eyes_with_skin():
    open_, shut = (drawn(1, "neutral", blink=b).astype(np.float32) for b in (0.0, 1.0))
    x, y = measured(drawn(1, "neutral")).anchors[0].round().astype(int)
    lid = slice(y - 3, y), slice(x - 2, x + 3)
    skin = np.array(head(1).person.skin)
    away_from_skin = [np.abs(picture[lid] - skin).mean() for picture in (open_, shut)]
    assert away_from_skin[1] < 0.5 * away_from_skin[0]


def test_the_head_moves_with_the_pose():
    here, there = (measured(drawn(2, "neutral", dx=d)).anchors for d in (0.0, 10.0))
    np.testing.assert_allclose(there - here, np.tile([10.0, 0.0], (3, 1)), atol=1.5)


def test_drawing_is_a_function_of_person_and_pose():
    first = drawn(0, "anger", opening=0.7)
    drawn(0, "happiness", opening=1.0)
    np.testing.assert_array_equal(first, drawn(0, "anger", opening=0.7))
    fresh = face.Head(looks.look("female", (0, 0)), SIZE)
    pose = expression.Pose(expression.of_affect(*corpus.AFFECT["anger"]), opening=0.7)
    np.testing.assert_array_equal(first, fresh.draw(pose))


def test_expressions_are_linear_in_valence_and_arousal():
    rest, valence, arousal, mixed = (
        np.array(expression.of_affect(*affect)) for affect in ((0, 0), (1, 0), (0, 1), (0.4, -0.3))
    )
    parts = 0.4 * (valence - rest) - 0.3 * (arousal - rest)
    np.testing.assert_allclose(mixed - rest, parts, atol=1e-12)


def test_blending_goes_from_one_expression_to_the_other():
    sad, happy = (expression.of_affect(*corpus.AFFECT[e]) for e in ("sadness", "happiness"))
    assert sad.blend(happy, 0.0) == pytest.approx(sad)
    assert sad.blend(happy, 1.0) == pytest.approx(happy)


def test_pictures_can_have_another_size():
    small = face.Head(looks.look("male", (0, 3)), 128).draw(
        expression.Pose(expression.Expression())
    )
    assert small.shape == (128, 128, 3)
    assert small.dtype == np.uint8
