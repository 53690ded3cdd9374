"""Backdrops: by chance alone, of any size, from the store or from a folder."""

import cv2
import numpy as np
import pytest

from data.synthetic.noise import to_linear
from data.synthetic.portraits import backdrop
from data.synthetic.portraits.backdrop import Backdrops, painted
from data.synthetic.portraits.grain import TILE, cover, tile
from util.errors import InputError


@pytest.fixture
def few(monkeypatch):
    """A store of two, as painting takes its time."""
    monkeypatch.setattr(backdrop, "STORE", 2)
    painted.cache_clear()
    yield
    painted.cache_clear()


def test_the_generator_alone_decides(few):
    first = Backdrops().draw(np.random.default_rng(4), 96, 80)
    others = np.random.default_rng(5)
    backdrops = Backdrops()
    for _ in range(3):
        different = backdrops.draw(others, 50, 60)
    assert different.shape == (50, 60, 3)
    np.testing.assert_array_equal(backdrops.draw(np.random.default_rng(4), 96, 80), first)
    painted.cache_clear()
    np.testing.assert_array_equal(Backdrops().draw(np.random.default_rng(4), 96, 80), first)


@pytest.mark.parametrize("size", [(64, 64), (600, 450), (33, 401), (7, 5)])
def test_any_size(few, size):
    rng = np.random.default_rng(0)
    for _ in range(6):
        picture = Backdrops().draw(rng, *size)
        assert picture.shape == (*size, 3)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()
        assert picture.min() >= 0


def test_no_two_look_the_same(few):
    rng = np.random.default_rng(1)
    small = [cv2.resize(Backdrops().draw(rng, 64, 64), (8, 8), interpolation=cv2.INTER_AREA) for _ in range(10)]
    apart = [np.abs(a - b).mean() for i, a in enumerate(small) for b in small[:i]]
    assert min(apart) > 0.005


@pytest.mark.parametrize("index", [0, 50, 63])
def test_painted_backdrops(index):
    picture = painted(index)
    assert picture.shape == (backdrop.PAINTED_SIZE, backdrop.PAINTED_SIZE, 3)
    assert picture.dtype == np.uint16
    mean = picture.mean() * backdrop.BRIGHTEST / 65535
    assert 0.001 < mean < 3


def test_pictures_of_a_folder(tmp_path):
    (tmp_path / "deeper").mkdir()
    colours = {"b.png": (200, 30, 30), "deeper/a.png": (30, 200, 30), "notes.txt": None}
    for name, colour in colours.items():
        if colour:
            cv2.imwrite(str(tmp_path / name), np.full((40, 70, 3), colour[::-1], np.uint8))
        else:
            (tmp_path / name).write_text("no picture")
    backdrops = Backdrops(tmp_path)
    assert [path.name for path in backdrops.files] == ["b.png", "a.png"]
    rng, seen = np.random.default_rng(0), set()
    for _ in range(12):
        picture = backdrops.draw(rng, 48, 48)
        # one colour all over stays one, whatever part is taken and however it is blurred
        np.testing.assert_allclose(picture, np.broadcast_to(picture[:1, :1], picture.shape), rtol=1e-4)
        strongest = int(picture[0, 0].argmax())
        seen.add(strongest)
        light = to_linear(np.array([200, 30]) / 255)
        # brightness and tint differ, by exp of normal numbers with deviations 0.2 and 0.05
        ratio = picture[0, 0, strongest] / picture[0, 0, 2]
        assert light[0] / light[1] * 0.6 < ratio < light[0] / light[1] * 1.6
    assert seen == {0, 1}


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        Backdrops(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"wanted pictures \(.bmp, .*\), got none"):
        Backdrops(tmp_path)
    for name, data in (("broken.jpg", b"no picture"), ("empty.png", b"")):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: wanted a picture, got {len(data)} bytes"):
            Backdrops(folder).draw(np.random.default_rng(0), 32, 32)


@pytest.mark.parametrize("size", [(20, 30), (TILE, TILE), (TILE + 90, 3 * TILE + 7)])
def test_tiles_cover_each_pixel_once_and_go_on(size):
    picture = np.zeros((*size, 3), np.float32)
    for part, noise in cover(np.random.default_rng(2), 0, picture):
        part += noise
    row, column = np.random.default_rng(2).integers(TILE, size=2)
    rows, columns = (row + np.arange(size[0])) % TILE, (column + np.arange(size[1])) % TILE
    np.testing.assert_array_equal(picture, tile(0)[rows][:, columns])


@pytest.mark.parametrize("kind", range(4))
def test_tiles_have_deviation_one(kind):
    noise = tile(kind)
    assert noise.shape == (TILE, TILE, 3)
    assert noise.dtype == np.float32
    assert abs(float(noise.mean())) < 0.02
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)
