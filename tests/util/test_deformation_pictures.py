"""The turning picture of a deformation: where and in which colours meshes of a few triangles are drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import bowl
from util.deformation_pictures import BACKGROUND, FILLED, FRAMES, MILLISECONDS, TILE, gif_bytes, turning_pictures

TRIANGLES = np.int32([[0, 1, 2], [0, 2, 3]])
# Below the text, which is 18 pixels from the top.
BELOW_TEXT = 24


def square(side: float) -> np.ndarray:
    """(4, 3) an upright square that looks to the front."""
    return side / 2 * np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])


def drawn(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of a tile that a mesh covers."""
    rows, columns = np.nonzero((tile[BELOW_TEXT:] != BACKGROUND).any(axis=2))
    return columns, rows + BELOW_TEXT


def tiles(picture: np.ndarray) -> list[np.ndarray]:
    return np.split(picture, picture.shape[1] // TILE, axis=1)


def test_meshes_stand_side_by_side_at_one_scale_and_turn_once():
    pictures = turning_pictures([(square(0.1), TRIANGLES), (square(0.05), TRIANGLES)])
    assert len(pictures) == FRAMES == 36
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((TILE, 2 * TILE, 3), np.dtype(np.uint8))}
    for frame, share in (0, 1.0), (3, np.cos(np.radians(30))), (6, 0.5), (12, 0.5), (18, 1.0), (30, 0.5):
        for tile, part in zip(tiles(pictures[frame]), (1.0, 0.5), strict=True):
            columns, rows = drawn(tile)
            # edges lie between pixels, and samples of half a pixel mix with the background
            assert np.ptp(columns) + 1 == pytest.approx(FILLED * TILE * part * share, abs=2)
            assert np.mean([columns.min(), columns.max()]) == pytest.approx(TILE / 2 - 0.5, abs=0.5)
            assert rows.max() + 0.5 == pytest.approx(TILE / 2 * (1 + FILLED * part), abs=1)


def test_the_inside_has_another_colour():
    pictures = turning_pictures([(square(1.0), TRIANGLES)])
    middles = np.array([picture[TILE // 2, TILE // 2] for picture in pictures]).astype(int)
    warm, cold = middles[:, 0] > middles[:, 2], middles[:, 0] < middles[:, 2]
    # in frames 9 and 27 it is seen from the side
    np.testing.assert_array_equal(np.flatnonzero(warm), [*range(9), *range(28, 36)])
    np.testing.assert_array_equal(np.flatnonzero(cold), range(10, 27))


def test_what_is_in_front_goes_to_the_right():
    front = 0.2 * square(1.0) + np.float32([0, 0, 0.5])
    back = 0.2 * square(1.0) - np.float32([0, 0, 0.5])
    mesh = np.concatenate([front, back]), np.concatenate([TRIANGLES, TRIANGLES[:, ::-1] + 4])
    pictures = turning_pictures([mesh])
    # only of the front one the outside is seen, which is warm
    for frame, side in (3, 1), (33, -1):
        warm = pictures[frame][BELOW_TEXT:, :, 0].astype(int) > pictures[frame][BELOW_TEXT:, :, 2]
        middle = np.nonzero(warm & (pictures[frame][BELOW_TEXT:] != BACKGROUND).any(axis=2))[1].mean()
        scale = FILLED * TILE / 2 / np.hypot(0.1, 0.5)
        assert middle - (TILE / 2 - 0.5) == pytest.approx(side * 0.5 * np.sin(np.radians(30)) * scale, abs=1)


def test_nothing_leaves_its_tile():
    verts, triangles = bowl()
    pictures = turning_pictures([(3 * verts + np.float32([0.05, 0, 0]), triangles), (verts, triangles)])
    for picture in pictures:
        for tile in tiles(picture):
            border = np.concatenate([tile[0], tile[-1], tile[:, 0], tile[:, -1]])
            assert (border == BACKGROUND).all()
            assert len(drawn(tile)[0]) > 20


def test_the_gif_has_the_pictures_and_never_ends():
    verts, triangles = bowl()
    pictures = turning_pictures([(verts, triangles), (0.8 * verts, triangles)])
    with Image.open(io.BytesIO(gif_bytes(pictures))) as film:
        assert (film.n_frames, film.info["loop"], film.info["duration"]) == (FRAMES, 0, MILLISECONDS)
        for number in 0, 5, 20, 35:
            film.seek(number)
            shown = np.array(film.convert("RGB")).astype(int)
            # few colours: shades are several levels apart, and edges are mixed of them
            assert np.abs(shown - pictures[number]).mean() < 3
