"""A network, statistics and bases in 3DDFA's formats, made up: its faces lie near the middle of the crop."""

import pickle
from pathlib import Path

import numpy as np
import torch

from models.mobilenet import MobileNet

ROWS, COLUMNS = 10, 20
COUNT = ROWS * COLUMNS
# Micrometres to pixels of the crop: a face of 160 mm is 80 pixels wide.
SCALE = 5e-4
PARAMETERS = 62


def bowl() -> tuple[np.ndarray, np.ndarray]:
    """(200, 3) micrometres, looking along +z, and (342, 3) triangles, clockwise from there, as 3DDFA's are."""
    x, y = np.meshgrid(np.linspace(-8e4, 8e4, COLUMNS), np.linspace(9e4, -9e4, ROWS))
    mean = np.stack([x, y, 6e4 - 6e-6 * x**2 - 3e-6 * y**2], axis=-1).reshape(-1, 3)
    index = np.arange(COUNT).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return mean, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


MEAN, TRIANGLES = bowl()
RANDOM = np.random.default_rng(0)
KEYPOINTS = RANDOM.permutation(COUNT)[:68]
IDENTITY, EXPRESSION = RANDOM.normal(0, 0.03, (3 * COUNT, 40)), RANDOM.normal(0, 1e3, (3 * COUNT, 10))
# Numbers of a face that looks at the camera, 40 identities and 10 expressions.
USUAL = np.float32([SCALE, 0, 0, 60, 0, SCALE, 0, 62, 0, 0, SCALE, -66, *np.zeros(50)])
DEVIATIONS = np.float32([*[SCALE / 20, SCALE / 20, SCALE / 20, 0.5] * 3, *np.full(40, 1e4), *np.full(10, 0.3)])


def write_weights(folder: Path, outputs: int = PARAMETERS) -> Path:
    """A checkpoint as 3DDFA_V2's, of a network drawn at random and its output layer small."""
    torch.manual_seed(0)
    network = MobileNet(0.25, outputs, landmark_head=True)
    with torch.no_grad():
        network.fc.weight.mul_(0.2)
    names = {name: name.replace("fc.", "fc_param.") for name in network.state_dict()}
    state = {f"module.{names[name]}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state}, folder / "weights.pth")
    return folder / "weights.pth"


def write_statistics(folder: Path, count: int = PARAMETERS) -> Path:
    (folder / "statistics.pkl").write_bytes(pickle.dumps({"mean": USUAL[:count], "std": DEVIATIONS[:count]}))
    return folder / "statistics.pkl"


def write_bases(folder: Path, identities: int = 40) -> Path:
    """bfm_noneck_v3.pkl and tri.pkl."""
    content = {
        "u": np.float32(MEAN.reshape(-1, 1)),
        "w_shp": np.float32(IDENTITY[:, :identities]),
        "w_exp": np.float32(EXPRESSION),
        "keypoints": (3 * KEYPOINTS[:, None] + np.arange(3)).ravel(),
    }
    (folder / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(content))
    (folder / "tri.pkl").write_bytes(pickle.dumps(np.int32(TRIANGLES.T)))
    return folder / "bfm_noneck_v3.pkl"


def write_facekit(folder: Path) -> Path:
    """The same faces as if they were ICT-FaceKit's, in one file."""
    arrays = {
        "neutral": MEAN * 1e-4,
        "identity": IDENTITY.T.reshape(-1, COUNT, 3),
        "expression": EXPRESSION.T.reshape(-1, COUNT, 3) * 1e-4,
        "triangles": TRIANGLES,
        "landmarks68": KEYPOINTS,
        "units": "centimetres",
        "region_names": ["face"],
        "region_polygons": [[0, len(TRIANGLES) - 1]],
        "triangle_polygon": np.arange(len(TRIANGLES)),
    }
    np.savez(folder / "ict_facekit_compact.npz", **arrays)
    return folder / "ict_facekit_compact.npz"


def write_point_bases(folder: Path) -> Path:
    """The folder with the text files of the 68 points."""
    rows = (3 * KEYPOINTS[:, None] + np.arange(3)).ravel()
    for name, array in ("u_base", MEAN.reshape(-1, 1)), ("w_shp_base", IDENTITY), ("w_exp_base", EXPRESSION):
        np.savetxt(folder / f"{name}.txt", array[rows])
    return folder
