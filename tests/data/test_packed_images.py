"""Packed images give the windows that the files give, and what is not as it was packed is told."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.augment import needed_margin
from data.image_packing import pack_image, pack_images
from data.jpeg import crop_jpeg, decode_rgb
from data.packed_images import (
    RECORD,
    PackedImage,
    PackedImages,
    PackHeader,
    header_path,
    packing_images,
    slot_paths,
)
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset
from data.windows import WINDOWS, Picture, face_box
from tests.data.test_jpeg import SAMPLINGS, encode, photo, with_exif
from tests.data.test_windows import upright_landmarks
from util.errors import InputError

LOSSLESS = PackHeader("digest", "lossless", 0.15, 256, (96, 96))
JITTER = 0.1


def pack(directory, root, header=LOSSLESS, stop_after=None, split="train"):
    """Packs the root's list; gives how many images an earlier attempt had left."""
    samples = root.samples(split)
    with packing_images(directory, split, header) as (done, append):
        for number, image in enumerate(pack_images(root, header, samples[done:], 0), start=done):
            if number == stop_after:
                raise KeyboardInterrupt
            append(image)
    return done


def interrupted(directory, root, stop_after, header=LOSSLESS):
    with pytest.raises(KeyboardInterrupt):
        pack(directory, root, header, stop_after)


def opened(directory, root, **settings):
    return PackedImages(directory, "train", root.samples("train"), "digest", **{"window_size": 64, **settings})


def content(directory):
    """The bytes of the pack in place."""
    slot = json.loads(header_path(directory, "train").read_text())["slot"]
    return [path.read_bytes() for path in slot_paths(directory, "train", slot)]


@pytest.fixture
def large_root(tmp_path, root_template):
    """The tiny root with noisy images of 400 x 304 pixels, in all kinds of JPEG, and faces everywhere, also beyond the
    images' edges."""
    folder = Path(shutil.copytree(root_template, tmp_path / "large"))
    root, random = WcpaRoot(folder), np.random.default_rng(0)
    for number, sample in enumerate(root.samples("train")):
        kind = list(SAMPLINGS.values())[number % len(SAMPLINGS)]
        parameters = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, kind, cv2.IMWRITE_JPEG_PROGRESSIVE, number % 2]
        image = random.integers(0, 256, (304, 400, 3), np.uint8)
        root.image_path(sample).write_bytes(encode(image, *parameters, cv2.IMWRITE_JPEG_QUALITY, 80))
        centre, extent = random.uniform([0, 0], [400, 304]), random.uniform(10, 120)
        np.savetxt(root.landmarks_path(sample), centre + random.uniform(-extent, extent, (68, 2)), fmt="%.2f")
    return root


@pytest.mark.parametrize("jitter", [0.0, JITTER])
def test_lossless_windows_are_those_of_the_files_to_the_bit(tmp_path, large_root, jitter):
    header = replace(LOSSLESS, image_size=(400, 304))
    pack(tmp_path, large_root, header)
    images = opened(tmp_path, large_root, augmentation={"box": jitter})
    look = large_root.samples("train"), large_root.topology(), ("local", "global"), 64, True, {"box": jitter}
    packed, files = WcpaDataset(large_root, *look, images=images), WcpaDataset(large_root, *look)
    for epoch in range(10 if jitter else 1):
        packed.epoch = files.epoch = epoch
        for index in range(len(files)):
            ours, wanted = packed[index], files[index]
            assert all(ours[name].equal(tensor) for name, tensor in wanted.items()), (epoch, index)
    assert not all(images[index].complete for index in range(len(files)))


def test_lossless_aligned_windows_are_those_of_the_files_to_the_bit(tmp_path, large_root):
    """Faces that look at the camera, turned by up to 17 degrees in the picture, with the margin that is asked for."""
    samples, random = large_root.samples("train"), np.random.default_rng(1)
    for number, sample in enumerate(samples):
        face = (upright_landmarks(0.3 * number / len(samples)) - [400, 380]) * 0.3 + random.uniform(
            [80, 70], [320, 230]
        )
        np.savetxt(large_root.landmarks_path(sample), face, fmt="%.2f")
    pack(tmp_path, large_root, replace(LOSSLESS, image_size=(400, 304), margin=0.535))
    images = opened(tmp_path, large_root, augmentation={"box": 0.1}, windows=("aligned",))
    look = samples, large_root.topology(), ("aligned",), 64, True, {"box": 0.1}
    packed, files = WcpaDataset(large_root, *look, images=images), WcpaDataset(large_root, *look)
    for index in range(len(files)):
        assert packed[index]["aligned"].equal(files[index]["aligned"]), index
    assert not all(images[index].complete for index in range(len(files)))


def test_lossless_turned_windows_are_those_of_the_files_to_the_bit(tmp_path, large_root):
    """With the margin that is asked for."""
    samples, random = large_root.samples("train"), np.random.default_rng(1)
    for sample in samples:
        face = (upright_landmarks() - [400, 380]) * 0.3 + random.uniform([150, 100], [250, 200])
        np.savetxt(large_root.landmarks_path(sample), face, fmt="%.2f")
    moves, windows = {"box": 0.05, "scale": 0.1, "rotation": 15.0}, ("local", "global", "five_points")
    margin = needed_margin(moves, windows)
    pack(tmp_path, large_root, replace(LOSSLESS, image_size=(400, 304), margin=margin))
    images = opened(tmp_path, large_root, augmentation=moves, windows=windows)
    look = samples, large_root.topology(), windows, 64, True, moves
    packed, files = WcpaDataset(large_root, *look, images=images), WcpaDataset(large_root, *look)
    for index in range(len(files)):
        ours, wanted = packed[index], files[index]
        assert all(ours[name].equal(tensor) for name, tensor in wanted.items()), index
    assert not all(images[index].complete for index in range(len(files)))


def test_the_margin_by_hand():
    assert needed_margin({}, ("local", "whole")) == 0
    assert needed_margin({"box": 0.1, "scale": 0.2}, ("global",)) == pytest.approx(0.1 + 1.1 * 1.2 * 0.5 - 0.5)
    wide = needed_margin({"box": 0.1, "rotation": 30.0}, ("local", "aligned"))
    assert wide == pytest.approx((0.1 + 1.1 * 0.85) * (np.sqrt(3) / 2 + 1.3 / 2) + 0.18 / 2 - 0.5)
    assert needed_margin({"rotation": 45.0}, ()) == needed_margin({"rotation": 180.0}, ())


def test_a_jitter_beyond_the_margin_is_refused(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root)
    opened(tmp_path, wcpa_root, augmentation={"box": 0.1})
    with pytest.raises(
        InputError, match=r"--box_jitter 0.2 wants a margin of 0.3, .* --pack lossless --pack_margin 0.3"
    ):
        opened(tmp_path, wcpa_root, augmentation={"box": 0.2})
    # 1.5 times the jitter, and what the window reaches beyond the box, grown by it
    wanted = r"--box_jitter 0.1 of window aligned wants a margin of 0.535, .* --pack_margin 0.535"
    with pytest.raises(InputError, match=wanted):
        opened(tmp_path, wcpa_root, augmentation={"box": 0.1}, windows=("local", "aligned"))
    moves = {"box": 0.1, "scale": 0.0, "rotation": 10.0}
    with pytest.raises(InputError, match=r"--box_jitter 0.1 --rotation 10 wants a margin of 0.3182, ") as refused:
        opened(tmp_path, wcpa_root, augmentation=moves)
    # what is told is enough
    margin = float(str(refused.value).split("--pack_margin ")[1])
    pack(tmp_path, wcpa_root, replace(LOSSLESS, margin=margin))
    opened(tmp_path, wcpa_root, augmentation=moves)


def test_windows_larger_than_what_was_reencoded_are_refused(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root, replace(LOSSLESS, mode="reencoded", size=32))
    opened(tmp_path, wcpa_root, window_size=32)
    with pytest.raises(InputError, match=r"--img_size 64 wants .* packed with 32; run .* --pack_size 64"):
        opened(tmp_path, wcpa_root)


def test_a_large_margin_packs_images_whole(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root, replace(LOSSLESS, margin=10.0))
    for index, sample in enumerate(wcpa_root.samples("train")):
        picture = opened(tmp_path, wcpa_root)[index]
        assert picture.complete
        np.testing.assert_array_equal(picture.pixels, wcpa_root.read_image(sample))


def test_the_whole_window_of_a_part_is_refused(tmp_path, large_root):
    pack(tmp_path, large_root, replace(LOSSLESS, image_size=(400, 304)))
    look = large_root.samples("train"), large_root.topology(), ("whole",), 64, True
    with pytest.raises(InputError, match="wanted whole images, got parts of them; use --data files, or run step01"):
        WcpaDataset(large_root, *look, images=opened(tmp_path, large_root)).read_batch(range(20))


@pytest.mark.parametrize("stop_after", [0, 1, 7, 20])
def test_an_interrupted_pack_goes_on(tmp_path, wcpa_root, stop_after):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    pack(tmp_path / "whole", wcpa_root)
    if stop_after < 20:
        interrupted(tmp_path / "cut", wcpa_root, stop_after)
        with pytest.raises(InputError, match="wanted packed train images, no "):
            opened(tmp_path / "cut", wcpa_root)
    assert pack(tmp_path / "cut", wcpa_root) == stop_after % 20
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_pack_that_was_cut_anywhere_goes_on(tmp_path, wcpa_root):
    """Killed, or the machine with it: the two files end anywhere, or in zeros."""
    pack(tmp_path, wcpa_root)
    wanted, random = content(tmp_path), np.random.default_rng(0)
    header_path(tmp_path, "train").unlink()
    for _ in range(20):
        interrupted(tmp_path, wcpa_root, 19)
        for path in slot_paths(tmp_path, "train", "a"):
            whole = path.read_bytes()
            keep = int(random.integers(0, len(whole) + 1))
            path.write_bytes(whole[:keep] + bytes(int(random.integers(0, 2)) * (len(whole) - keep)))
        pack(tmp_path, wcpa_root)
        assert content(tmp_path) == wanted
        header_path(tmp_path, "train").unlink()


@pytest.mark.parametrize("change", [{"digest": "other"}, {"margin": 0.2}, {"mode": "reencoded"}])
def test_another_pack_starts_anew(tmp_path, wcpa_root, change):
    interrupted(tmp_path, wcpa_root, 5)
    assert pack(tmp_path, wcpa_root, replace(LOSSLESS, **change)) == 0


def test_an_earlier_pack_stays_until_the_next_one_is_whole(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root)
    wanted = content(tmp_path)
    interrupted(tmp_path, wcpa_root, 5, replace(LOSSLESS, mode="reencoded", size=32))
    assert content(tmp_path) == wanted
    assert opened(tmp_path, wcpa_root)[3].scale == 1
    assert pack(tmp_path, wcpa_root, replace(LOSSLESS, mode="reencoded", size=32)) == 5
    assert opened(tmp_path, wcpa_root, window_size=32)[3].scale < 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "train_images.b.index",
        "train_images.b.jpegs",
        "train_images.json",
    ]
    assert pack(tmp_path, wcpa_root) == 0  # the images may have changed: all is packed anew
    assert content(tmp_path) == wanted


def test_no_room_is_one_message_and_the_earlier_pack_stays(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root)
    wanted = content(tmp_path)
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "from pathlib import Path\n"
        "from data.packed_images import *\n"
        "header = PackHeader('other', 'lossless', 0.15, 256, (96, 96))\n"
        "with packing_images(Path(sys.argv[1]), 'train', header) as (done, append):\n"
        "    for _ in range(10): append(PackedImage(bytes(3000), 0, 0, 1.0))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert f"OSError: [Errno 27] File too large: '{tmp_path / 'train_images.b.jpegs'}'" in result.stderr
    assert content(tmp_path) == wanted


def test_a_finished_pack_is_not_made_again_unless_it_is_damaged(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root)
    wanted = content(tmp_path)
    assert pack(tmp_path, wcpa_root) == len(wcpa_root.samples("train"))
    assert content(tmp_path) == wanted
    path = slot_paths(tmp_path, "train", "a")[0]
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert pack(tmp_path, wcpa_root) == 0


@pytest.mark.parametrize("place", [0, 100, -1])
def test_damaged_data_is_found(tmp_path, wcpa_root, place):
    pack(tmp_path, wcpa_root)
    data, index = slot_paths(tmp_path, "train", "a")
    records = np.frombuffer(index.read_bytes(), RECORD)
    whole = bytearray(data.read_bytes())
    whole[int(records["offset"][4]) + place % int(records["bytes"][4])] ^= 1
    data.write_bytes(whole)
    images = opened(tmp_path, wcpa_root)
    assert images[3].pixels.any()
    name = str(wcpa_root.samples("train")[4])
    with pytest.raises(InputError, match=rf"sample {name}: its data in .* is damaged; run .* --pack lossless"):
        images[4]


def test_what_does_not_fit_the_cache_is_refused(tmp_path, wcpa_root):
    samples = wcpa_root.samples("train")
    with pytest.raises(InputError, match=r"no .*train_images\.json; run step01_preparation\.py --pack lossless"):
        opened(tmp_path, wcpa_root)
    pack(tmp_path, wcpa_root)
    with pytest.raises(InputError, match="was packed from other train images than those of the cache"):
        PackedImages(tmp_path, "train", samples, "another", 64)
    with pytest.raises(InputError, match="for 19 images"):
        PackedImages(tmp_path, "train", samples[:19], "digest", 64)


def test_a_reencoded_part_shows_what_the_image_shows(tmp_path):
    """A smooth picture, whose face box of 300 pixels reaches out of the image."""
    rows, columns = np.mgrid[:400, :500]
    waves = [127 + 100 * np.sin(rows / 41 + phase) * np.cos(columns / 43 - phase) for phase in range(3)]
    image, landmarks = np.stack(waves, axis=2).astype(np.uint8), np.float32([[60, 120], [260, 200]] * 34)

    class Root:
        def read_landmarks(self, sample):
            return landmarks

        def image_path(self, sample):
            return tmp_path / "a.png"

    cv2.imwrite(str(tmp_path / "a.png"), image[:, :, ::-1])
    header = PackHeader("digest", "reencoded", 0.1, 150, (500, 400))
    packed = pack_image(Root(), header, None)
    assert packed.scale == pytest.approx(0.5, abs=0.01)
    assert packed.left < 0
    picture = Picture(decode_rgb(packed.data, ""), 500, 400, False, packed.left, packed.top, packed.scale)
    for name in ("local", "global"):
        wanted, window = np.zeros((2, 150, 150, 3), np.uint8)
        WINDOWS[name](Picture(image, 500, 400), face_box(landmarks), landmarks, wanted)
        WINDOWS[name](picture, face_box(landmarks), landmarks, window)
        difference = np.abs(window.astype(int) - wanted)
        # JPEG at quality 90 on something smooth; the image's own edge, to black, is reduced in two steps
        assert difference.mean() < 1.5
        assert np.quantile(difference, 0.97) <= 6


def test_small_faces_are_not_enlarged(tmp_path, wcpa_root):
    packed = pack_image(wcpa_root, replace(LOSSLESS, mode="reencoded"), wcpa_root.samples("train")[0])
    assert packed.scale == 1
    assert packed.left >= 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (cv2.imencode(".png", photo(64, 64))[1].tobytes(), "wanted a JPEG that can be cut without loss"),
        (with_exif(encode(photo(64, 64)), 6), "EXIF says that it lies on its side"),
        (encode(photo(64, 64))[:-300], "a.jpg: wanted"),
    ],
)
def test_what_cannot_be_cut_is_told(data, message):
    with pytest.raises(InputError, match=message):
        crop_jpeg(data, np.array([10, 10, 40, 40]), "a.jpg")


def test_exif_that_changes_nothing_is_cut():
    cropped, left, top = crop_jpeg(with_exif(encode(photo(64, 64)), 1), np.array([20, 20, 40, 40]), "a.jpg")
    assert (left, top, decode_rgb(cropped, "").shape) == (16, 16, (32, 32, 3))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_cut_jpeg_has_the_pixels_of_the_whole(sampling):
    data = encode(photo(150, 170), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling])
    whole, random = decode_rgb(data, ""), np.random.default_rng(0)
    for _ in range(10):
        low, high = np.sort(random.integers(-20, 180, (2, 2)), axis=0)
        part = np.concatenate([np.minimum(low, 120), np.maximum(high, np.minimum(low, 120) + 30).clip(10)])
        cropped, left, top = crop_jpeg(data, part, "")
        pixels = decode_rgb(cropped, "")
        height, width = pixels.shape[:2]
        assert left <= max(part[0], 0)
        assert left + width >= min(part[2], 170)
        inner = np.s_[1 : height - 1, 1 : width - 1]  # but for a pixel where the colours are interpolated
        wanted = whole[top : top + height, left : left + width]
        np.testing.assert_array_equal(pixels[inner], wanted[inner])


def test_images_of_a_pack_are_the_same_from_processes(wcpa_root):
    samples = wcpa_root.samples("train")
    here, there = (list(pack_images(wcpa_root, LOSSLESS, samples, workers)) for workers in (0, 2))
    assert here == there
    assert isinstance(here[0], PackedImage)
