"""Random changes to training samples, which keep the labels true.

Each is drawn a sample at a time, from its own generator. Then:

as windows are cut   rotation of the image about its middle, shift and scale of the face box, in the windows' own warp
on windows (CPU)     cut-out, colours, blur, noise and JPEG: the same for all windows of a sample
a batch at a time    light, mirror and blocks that change places, on its device

What moves, and what labels make of it, under a perspective camera whose principal point is the middle of the image:

- Turning the image about that point is what a roll of the camera does to it: R_t and the landmarks turn, exactly.
- A mirror image shows the mirrored face under the mirrored pose, exactly.
- Moving or scaling the face box moves the window alone. The image and its camera stay, and so do the labels; where the
  window has gone its affine says, exactly.
- Moving or scaling the image itself is nothing that a face before that camera could do: it moves the principal point,
  or changes the focal length. No R_t shows the same, because a face that is moved aside is seen from another side, and
  one that comes nearer grows more in front than behind. So it is not offered.
"""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import simplejpeg
import torch

from data.windows import IMAGE_WINDOWS, WINDOW_MARGINS, Picture, turn_affine
from util.blocks import BLOCKS, MOST_MOVED, move_blocks
from util.errors import InputError
from util.mirroring import Batch, mirror_samples, windows_of

# Changes the pixels of a window (S, S, 3) uint8, whose affine (2, 3) it is given, too; perhaps in place.
Change = Callable[[np.ndarray, np.ndarray], np.ndarray]

# What --color changes at most: degrees of hue; saturation, from nearly grey; logarithms of a channel's gain and of the
# exponent of all levels.
HUE, SATURATION, WHITE_BALANCE, GAMMA = 8.0, (0.3, 1.3), 0.12, 0.4
# Of --blur, in shares of the window's side: deviation of a lens's, and length of a motion's.
BLUR_DEVIATION, BLUR_LENGTH = (0.003, 0.018), (0.015, 0.07)
# Of --noise: standard deviations in levels. Of --jpeg: qualities.
NOISE, JPEG_QUALITY = (1.0, 12.0), (15, 90)
# Of --cut_out: how many patches, and their half sides in sides of the face box.
PATCHES, PATCH_SIZE = 3, (0.04, 0.2)
# Red, green and blue to luma and two chromas (YIQ, NTSC), across which hue is an angle.
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
# How far the box of turned points reaches beyond that of the points, by the sine of the angle: as a square does, and
# so much more, and its middle moves by so much of its side. This holds for 99 in 100 poses of the WCPA data.
TURN_GROWTH, TURN_SHIFT = 1.3, 0.18


def draw_light(random: np.random.Generator, brightness: float, contrast: float) -> tuple[float, float]:
    """Gain and shift, the latter in levels: up to `contrast` of 1 and `brightness` of the range of levels."""
    gain = 1.0 + random.uniform(-contrast, contrast)
    return gain, 255.0 * random.uniform(-brightness, brightness)


def jitter_box(box: np.ndarray, random: np.random.Generator, shift: float, scale: float) -> np.ndarray:
    """A box (left, top, right, bottom) moved by up to `shift` of its size and grown or shrunk by up to `scale`."""
    low, high = box[:2], box[2:]
    centre, half = (low + high) / 2, (high - low) / 2
    centre = centre + random.uniform(-shift, shift, size=2) * 2 * half
    half = half * (1.0 + random.uniform(-scale, scale))
    return np.concatenate([centre - half, centre + half])


def augment_batch(batch: Batch, mirror: torch.Tensor, image_width: int) -> Batch:
    """The batch, on its device, with what its samples ask for done to it, if they ask for anything.

    mirrored (B,) bool: which samples to show as in a mirror, windows with their affines, landmarks68, verts and R_t;
    light (B, 2): gain and shift of the levels; blocks (B, 16): which block of a window is shown in each place
    (util.blocks), in windows of the face: elsewhere that would move the face. mirror: (N,) the vertex that each vertex
    becomes; the camera's principal point must be the centre of the image, `image_width` pixels wide.
    """
    batch = dict(batch)
    if "light" in batch:
        light_windows(batch, windows_of(batch), batch.pop("light"))
    if "mirrored" in batch:
        mirror_samples(batch, batch.pop("mirrored"), mirror, image_width)
    if "blocks" in batch:
        places = batch.pop("blocks")
        names = [name for name in windows_of(batch) if name not in IMAGE_WINDOWS]
        batch |= {name: move_blocks(batch[name], places) for name in names}
    return batch


def light_windows(batch: Batch, windows: list[str], light: torch.Tensor) -> None:
    """Stretches the levels of each sample's windows about the mean level of its first window, and shifts them. What is
    black, as beyond the image or the face box, stays so."""
    gain, shift = light[:, :, None, None, None].unbind(dim=1)
    pivot = batch[windows[0]].float().mean(dim=(1, 2, 3), keepdim=True)
    for name in windows:
        window = batch[name]
        # In place, because on a CPU new memory costs more than what is done in it.
        levels = window.float().mul_(gain).add_(pivot * (1.0 - gain) + shift).clamp_(0, 255).round_()
        seen = (window[:, 0] | window[:, 1] | window[:, 2]) > 0
        batch[name] = levels.to(torch.uint8).mul_(seen[:, None])


def check_rotation(projection: np.ndarray, image_size: tuple[int, int]) -> None:
    """Raises InputError where turning an image is not what a camera's roll does: unless the principal point is the
    middle of the image and its pixels are square. projection: (4, 4) M_proj; image_size: width and height."""
    focal = np.diag(projection)[:2] * image_size / 2
    others = np.array([projection[0, 1], projection[1, 0], *projection[2:, :2].flat])
    if abs(focal[0] - focal[1]) > 1e-4 * abs(focal[0]) or np.abs(others).max() > 1e-6:
        raise InputError(
            "--rotation: wanted 0, or a camera of one focal length that looks at the middle of the image, got focal "
            f"lengths of {focal[0]:g} and {focal[1]:g} pixels and, beside them, {others.tolist()} in M_proj"
        )


def turn_labels(label: dict[str, np.ndarray], picture: Picture) -> dict[str, np.ndarray]:
    """The label of a picture that is turned: landmarks68 (68, 2) and R_t (4, 4), float32, under a camera for which
    `check_rotation` passes. In camera space y is up, so that the turn is one about +z; and a row vector's comes last.
    """
    affine = turn_affine(picture.turn, picture.width, picture.height)
    turned = {"landmarks68": label["landmarks68"] @ affine[:, :2].T + affine[:, 2]}
    if "R_t" in label:
        roll = np.eye(4)
        # the very matrix: with y up it is the transposed one, and row vectors want that transposed
        roll[:2, :2] = affine[:, :2]
        turned["R_t"] = label["R_t"] @ roll
    return label | {name: values.astype(np.float32) for name, values in turned.items()}


def needed_margin(augmentation: Mapping[str, float], windows: Sequence[str]) -> float:
    """How far beyond the face box, in shares of its side, training with these windows looks; in 99 of 100 images where
    images are turned. augmentation: as data.wcpa_dataset.WcpaDataset's."""
    jitter, scale = augmentation.get("box", 0.0), augmentation.get("scale", 0.0)
    # The box is shifted by shares of its side, and both moves grow it; windows grow with it.
    reach = 0.5 + max((WINDOW_MARGINS.get(name, 0.0) for name in windows), default=0.0)
    reach = jitter + (1 + jitter) * (1 + scale) * reach
    # More than 45 degrees reach no further than these.
    angle = np.radians(min(augmentation.get("rotation", 0.0), 45.0))
    turned = reach * (np.cos(angle) + TURN_GROWTH * np.sin(angle)) + TURN_SHIFT * np.sin(angle)
    return float(turned - 0.5)


def draw_blocks(random: np.random.Generator) -> np.ndarray:
    """(BLOCKS**2,) int64 for util.blocks.move_blocks, of RADAN's crop-and-paste: none to MOST_MOVED blocks have, one
    after the other, changed places with the one in the upper left corner."""
    places = np.arange(BLOCKS**2)
    for other in 1 + random.permutation(BLOCKS**2 - 1)[: random.integers(MOST_MOVED + 1)]:
        places[[0, other]] = places[[other, 0]]
    return places


def change_pixels(
    windows: Sequence[tuple[np.ndarray, np.ndarray]],
    box: np.ndarray,
    chances: Mapping[str, float],
    random: np.random.Generator,
) -> None:
    """Changes a sample's windows in place, all in the same way, by those of PIXEL_CHANGES that chances names, each with
    that chance. What is black, as beyond the image or the face box, stays so.

    windows: (S, S, 3) uint8 RGB, contiguous, with their affines (2, 3); box: (4,) the face box in the image."""
    drawn = [
        draw(random, box) for name, draw in PIXEL_CHANGES.items() if name in chances and random.random() < chances[name]
    ]
    for window, affine in windows if drawn else ():
        seen = (window[:, :, 0] | window[:, :, 1] | window[:, :, 2]) > 0
        changed = window
        for change in drawn:
            changed = change(changed, affine)
        np.multiply(changed, seen[:, :, None], out=window)


def draw_cut_out(random: np.random.Generator, box: np.ndarray) -> Change:
    """One to PATCHES rectangles and ellipses, of one colour or of noise, somewhere in the face box: what is in front of
    a face, in the same place of the image in all windows."""
    side, patches = box[2] - box[0], []
    for _ in range(random.integers(1, PATCHES + 1)):
        angle, corners = random.uniform(0, 2 * np.pi), 4 if random.random() < 0.5 else 24
        around = 2 * np.pi * (np.arange(corners) + 0.5) / corners + angle
        # a rectangle has its corners on the ellipse about it
        half = random.uniform(*PATCH_SIZE, size=2) * side * (np.sqrt(2) if corners == 4 else 1)
        outline = np.stack([np.cos(around - angle), np.sin(around - angle)], axis=1) * half
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        color = random.integers(0, 256, 3).tolist() if random.random() < 0.5 else None
        patches.append((outline @ turn + random.uniform(box[:2], box[2:]), color))

    def change(window: np.ndarray, affine: np.ndarray) -> np.ndarray:
        for outline, color in patches:
            # OpenCV has pixel centres at integers, and takes places in 1/16 of a pixel
            points = np.rint((outline @ affine[:, :2].T + affine[:, 2] - 0.5) * 16).astype(np.int32)
            if color is not None:
                cv2.fillPoly(window, [points], color, shift=4)
                continue
            inside = cv2.fillPoly(np.zeros(window.shape[:2], np.uint8), [points], 1, shift=4).astype(bool)
            window[inside] = random.integers(0, 256, (int(inside.sum()), 3), np.uint8)
        return window

    return change


def draw_color(random: np.random.Generator, box: np.ndarray) -> Change:
    """Another white balance and gamma, then another hue and saturation."""
    gains = np.exp(random.uniform(-WHITE_BALANCE, WHITE_BALANCE, size=3))
    exponent = np.exp(random.uniform(-GAMMA, GAMMA))
    levels = 255 * np.clip((np.arange(256) / 255)[:, None] * gains, 0, 1) ** exponent
    table = np.rint(levels).astype(np.uint8)[None]
    hue, saturation = np.radians(random.uniform(-HUE, HUE)), random.uniform(*SATURATION)
    turn = np.eye(3)
    turn[1:, 1:] = saturation * np.array([[np.cos(hue), -np.sin(hue)], [np.sin(hue), np.cos(hue)]])
    mixing = np.linalg.inv(YIQ) @ turn @ YIQ
    return lambda window, affine: cv2.transform(cv2.LUT(window, table), mixing)


def draw_blur(random: np.random.Generator, box: np.ndarray) -> Change:
    """A lens's blur, Gaussian, or that of a motion along a line; of a share of each window's side."""
    if random.random() < 0.5:
        deviation = random.uniform(*BLUR_DEVIATION)
        return lambda window, affine: cv2.GaussianBlur(window, (0, 0), deviation * len(window))
    length, angle = random.uniform(*BLUR_LENGTH), random.uniform(0, np.pi)
    return lambda window, affine: cv2.filter2D(window, -1, line_kernel(length * len(window), angle))


def line_kernel(length: float, angle: float) -> np.ndarray:
    """(k, k) float32 weights, whose sum is 1, of places on a line through the middle, of that length in pixels and that
    angle to the rows."""
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    along = np.linspace(-length / 2, length / 2, 4 * half + 1)
    places = half + np.stack([along * np.sin(angle), along * np.cos(angle)], axis=1)
    whole = np.floor(places).astype(int)
    rest = places - whole
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # each place counts for the four pixels around it
        weights = np.abs(1 - row - rest[:, 0]) * np.abs(1 - column - rest[:, 1])
        at = np.minimum(whole + np.array([row, column]), 2 * half)  # beyond the edge nothing weighs anything
        np.add.at(kernel, tuple(at.T), weights.astype(np.float32))
    return kernel / kernel.sum()


def draw_noise(random: np.random.Generator, box: np.ndarray) -> Change:
    """Gaussian noise of each pixel and channel."""
    deviation = np.float32(random.uniform(*NOISE))

    def change(window: np.ndarray, affine: np.ndarray) -> np.ndarray:
        noise = random.standard_normal(window.shape, np.float32)
        noise *= deviation
        return cv2.add(window, noise, dtype=cv2.CV_8U)  # rounded and cut to levels

    return change


def draw_jpeg(random: np.random.Generator, box: np.ndarray) -> Change:
    """What JPEG leaves of a window."""
    quality = int(random.integers(*JPEG_QUALITY, endpoint=True))

    def change(window: np.ndarray, affine: np.ndarray) -> np.ndarray:
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(window), quality, "RGB", colorsubsampling="420")
        return simplejpeg.decode_jpeg(data, "RGB")

    return change


# How each is drawn, in the order in which they are done. box: the face box (4,) in the image.
PIXEL_CHANGES: dict[str, Callable[[np.random.Generator, np.ndarray], Change]] = {
    "cut_out": draw_cut_out,
    "color": draw_color,
    "blur": draw_blur,
    "noise": draw_noise,
    "jpeg": draw_jpeg,
}
