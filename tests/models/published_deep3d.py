"""Made-up files as people have them who use Deep3DFaceRecon_pytorch: a bowl for a face, and a network that has learnt
nothing but says something."""

import numpy as np
import torch
from scipy.io import savemat

from models.r_net import RNet
from util.crops import FIVE_POINTS

ROWS, COLUMNS = 14, 12
COUNT = ROWS * COLUMNS
SIZES = (6, 4, 5, 3, 27, 2, 1)
# Of the 68 points those that make up the five.
EYES_NOSE_MOUTH = ([36, 39], [42, 45], [30], [48], [54])


def bowl():
    """(168, 3) decimetres, looking along +z, and triangles, counter-clockwise from there."""
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, COLUMNS), np.linspace(0.9, -0.9, ROWS))
    mean = np.stack([x, y, 0.5 - 0.8 * x**2 - 0.4 * y**2], axis=-1).reshape(-1, 3)
    index = np.arange(COUNT).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return mean, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def write_bases(folder):
    """Writes BFM_model_front.mat and returns its path and its arrays."""
    random = np.random.default_rng(3)
    mean, triangles = bowl()
    keypoints = random.permutation(COUNT)[:68]
    for rows, point in zip(EYES_NOSE_MOUTH, FIVE_POINTS, strict=True):
        keypoints[rows] = np.linalg.norm((mean - point)[:, :2], axis=1).argmin()
    arrays = {
        "meanshape": mean.reshape(1, -1),
        "idBase": random.normal(0, 0.03, (3 * COUNT, SIZES[0])),
        "exBase": random.normal(0, 0.02, (3 * COUNT, SIZES[1])),
        "texBase": random.normal(0, 10, (3 * COUNT, SIZES[2])),
        "meantex": random.uniform(80, 220, (1, 3 * COUNT)),
        "tri": triangles + 1,
        "tri_mask2": triangles[:60] + 1,
        "keypoints": keypoints[None] + 1,
        "skinmask": np.ones((1, COUNT)),
        "point_buf": np.ones((COUNT, 8), np.int32),
    }
    savemat(folder / "BFM_model_front.mat", arrays)
    return folder / "BFM_model_front.mat", arrays


def write_weights(folder, backbone="resnet18", scale=0.02, sizes=SIZES):
    """Writes epoch_20.pth as it is saved there and returns its path and the network."""
    torch.manual_seed(4)
    network = RNet(backbone, sizes)
    for layer in network.final_layers:
        torch.nn.init.normal_(layer.weight, 0, scale)
    network.eval()
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.2)
    state = {"net_recon": network.state_dict(), "opt_00": optimizer.state_dict(), "sched_00": schedule.state_dict()}
    torch.save(state, folder / "epoch_20.pth")
    return folder / "epoch_20.pth", network
