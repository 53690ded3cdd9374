"""Makes docs/sim3dr.jpg, the picture of Sim3DR/README.md, from a synthetic portrait.

python -m docs.sim3dr_picture
"""

import tempfile
from pathlib import Path

import numpy as np

from data.synthetic.generate import generate_data_root
from data.wcpa import WcpaRoot
from Sim3DR import (
    RenderPipeline,
    coordinate_colors,
    depth_picture,
    get_normal,
    normal_picture,
    rasterize,
    rasterize_buffers,
    unwrap_texture,
    wireframe,
)
from util.camera import screen_vertices, transform
from util.pictures import label, mosaic, save_picture

SIZE = 800
TILE = 260
CROP = 300
SEED = 4


def synthetic_portrait():
    """A picture (SIZE, SIZE, 3), its canonical vertices (N, 3), R_t and the topology's triangles; the projection."""
    with tempfile.TemporaryDirectory() as folder:
        generate_data_root(Path(folder), 2, 1, 1, 1, SIZE, SEED, 1)
        root = WcpaRoot(folder)
        topology = root.topology()
        record = root.read(root.samples("train")[0], topology.num_vertices, labelled=True)
        return record, topology.triangles, root.projection()


def cylinder_uv(vertices):
    """(N, 2) texture coordinates: the angle round the vertical axis and the height, both over the whole mesh."""
    chart = np.stack([np.arctan2(vertices[:, 0], vertices[:, 2] + 0.02), vertices[:, 1]], axis=1)
    return (chart - chart.min(axis=0)) / np.ptp(chart, axis=0)


def main():
    record, triangles, projection = synthetic_portrait()
    photo, canonical = record.image, record.verts
    vertices = screen_vertices(transform(canonical, record.R_t), projection, SIZE, SIZE)
    w = -vertices[:, 2]
    # Depth in the pixels of x and y, for normals and light; y runs down, which turns the triangles inside out.
    vertices[:, 2] *= projection[0, 0] * SIZE / 2 / w.mean()
    triangles = np.ascontiguousarray(triangles[:, ::-1])
    buffers = rasterize_buffers(vertices, triangles, SIZE, SIZE, w)
    code = coordinate_colors(canonical)
    texture, _ = unwrap_texture(photo, vertices, triangles, cylinder_uv(canonical), CROP, CROP, w)
    # The last colour is that of index -1, empty.
    ids = np.random.default_rng(0).integers(60, 256, (len(triangles) + 1, 3), dtype=np.uint8)
    ids[-1] = 0
    tiles = {
        "photo": photo,
        "RenderPipeline": RenderPipeline()(vertices, triangles, photo, w=w, alpha=0.7, samples=2),
        "wireframe": wireframe(vertices, triangles, photo, (1.0, 1.0, 1.0), 0.7, w),
        "PNCC": rasterize(vertices, triangles, code, photo, w=w, samples=2),
        "normal_picture": normal_picture(get_normal(vertices, triangles), buffers, triangles),
        "depth_picture": np.repeat(depth_picture(buffers)[..., None], 3, axis=2),
        "unwrap_texture": texture,
        "triangle": ids[buffers.triangle],
    }
    left, top = np.maximum(vertices[:, :2].mean(axis=0) - CROP / 2, 0).astype(int)
    pictures = []
    for name, tile in tiles.items():
        shown = tile if name == "unwrap_texture" else tile[top : top + CROP, left : left + CROP]
        pictures.append(label(np.ascontiguousarray(shown), name))
    save_picture(Path(__file__).with_name("sim3dr.jpg"), mosaic(pictures, 4, TILE))


if __name__ == "__main__":
    main()
