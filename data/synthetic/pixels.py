"""Which pixels a picture of a subject has to light, and what lies under them.

The rasterizer runs at twice the picture's resolution. Skin and clothes are lit once a pixel, which their textures
allow, hair, eyes and mouth at every one of its four samples; each counts by the samples that it covers.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from Sim3DR import RasterBuffers, interpolate

SUPERSAMPLING = 2
EMPTY = 255
SAME_SURFACE = 0.01  # metres: samples of a pixel this far apart lie on different folds of a surface


@dataclass(frozen=True)
class Pixels:
    """P places of one material to light; arrays run over channels first, (C, P) float32.

    points: (3, P) camera space, metres; normals: (3, P), tangents for hair; light: (3, P) irradiance / pi of the sky
    glint: (P,) mirrored sky; uv: (2, P); triangle: (P,)
    place: (P,) index in the flattened picture, or in that of the samples where `fine`
    share: (P,) of the pixel that is covered
    metres: what the distance to the next place spans on the subject
    """

    points: np.ndarray
    normals: np.ndarray
    light: np.ndarray
    glint: np.ndarray
    uv: np.ndarray
    triangle: np.ndarray
    place: np.ndarray
    share: np.ndarray
    fine: bool
    metres: float


def gather(
    buffers: RasterBuffers,
    triangles: np.ndarray,
    attributes: np.ndarray,
    covered: np.ndarray,
    fine: bool,
    rays: tuple[np.ndarray, np.ndarray],
) -> Pixels | None:
    """Collects the places of one material; None where it is not in the picture.

    attributes: (N, 9) normals, light, glint, uv of the vertices; covered: (2h, 2w) True at samples of the material
    rays: x / distance of each sample column and y / distance of each sample row
    """
    first, last, place, share = _all_samples(covered) if fine else _one_a_pixel(covered)
    if len(first) == 0:
        return None
    width = covered.shape[1]
    depth = buffers.depth.reshape(-1)
    values, distance, x, y = _under(buffers, triangles, attributes, first, rays, width)
    if not fine:
        # The mean of the first and the last covered sample stands for the pixel: its middle, where all are covered.
        last = np.where(np.abs(depth[first] - depth[last]) < SAME_SURFACE, last, first)
        others = _under(buffers, triangles, attributes, last, rays, width)
        values, distance, x, y = (
            np.float32(0.5) * (one + other) for one, other in zip((values, distance, x, y), others, strict=True)
        )
    spacing = abs(float(rays[0][1] - rays[0][0])) * (1 if fine else SUPERSAMPLING)
    return Pixels(
        points=np.stack([x * distance, y * distance, -distance]),
        normals=values[:3],
        light=values[3:6],
        glint=values[6],
        uv=values[7:9],
        triangle=buffers.triangle.reshape(-1)[first],
        place=place,
        share=share,
        fine=fine,
        metres=spacing * float(np.median(distance)),
    )


def _all_samples(covered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    place = np.flatnonzero(covered)
    return place, place, place, np.ones(len(place), np.float32)


def _one_a_pixel(covered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First and last covered sample, place and covered share of each pixel that is covered at all."""
    width = covered.shape[1]
    corners = [covered[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    offsets = np.array([0, 1, width, width + 1])
    count = sum(corner.astype(np.uint8) for corner in corners)
    place = np.flatnonzero(count)
    flags = np.stack([corner.reshape(-1)[place] for corner in corners])
    rows, columns = np.divmod(place, width // 2)
    base = rows * (2 * width) + columns * 2
    first = base + offsets[flags.argmax(axis=0)]
    last = base + offsets[3 - flags[::-1].argmax(axis=0)]
    return first, last, place, count.reshape(-1)[place].astype(np.float32) / 4


def _under(
    buffers: RasterBuffers,
    triangles: np.ndarray,
    attributes: np.ndarray,
    samples: np.ndarray,
    rays: tuple[np.ndarray, np.ndarray],
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Attributes (C, P), distance, and ray slopes x and y (P,) at flat sample indices (P,)."""
    row = RasterBuffers(
        buffers.triangle.reshape(1, -1)[:, samples],
        buffers.barycentric.reshape(1, -1, 3)[:, samples],
        buffers.depth.reshape(1, -1)[:, samples],
    )
    values = np.ascontiguousarray(interpolate(row, triangles, attributes)[0].T)
    rows, columns = np.divmod(samples, width)
    return values, -row.depth[0], rays[0][columns], rays[1][rows]


def spread(pixels: Pixels, colours: np.ndarray, layer: np.ndarray) -> None:
    """Adds lit colours (3, P) to a layer (h, w, 4) of premultiplied light and coverage."""
    height, width = layer.shape[:2]
    factor = SUPERSAMPLING if pixels.fine else 1
    canvas = np.zeros((height * factor * width * factor, 4), np.float32)
    canvas[pixels.place, :3] = (colours * pixels.share).T
    canvas[pixels.place, 3] = pixels.share
    canvas = canvas.reshape(height * factor, width * factor, 4)
    if pixels.fine:
        canvas = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    layer += canvas
