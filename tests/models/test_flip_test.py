"""The flip test: mirrored predictions come back, and are averaged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models import MODELS
from models.flip_test import FlipTest
from tests.models.tiny import BATCH, IMAGE_SIZE, NUM_VERTICES, TOPOLOGY, build, make_batch
from util.camera import WCPA_PROJECTION, project, transform
from util.mirroring import mirror_mesh

# pairs of neighbours
PAIRED = replace(TOPOLOGY, mirror=np.arange(NUM_VERTICES) ^ 1)


class Told(torch.nn.Module):
    """Gives what the batch says, but moved by `verts` and turned by `turn` about y, whichever way the image lies."""

    windows = ()
    shift, turn = torch.tensor([0.02, 0.0, 0.0]), Rotation.from_euler("y", 0.2).as_matrix()

    def forward(self, batch):
        return {}

    def losses(self, outputs, batch):
        return {"one": torch.ones(())}

    def reconstruct(self, outputs, batch):
        R_t = batch["R_t"].clone()
        R_t[:, :3, :3] = R_t[:, :3, :3] @ torch.from_numpy(self.turn).float()
        R_t[:, 3, 0] += 0.1
        return batch["verts"] + self.shift, R_t

    def confidence(self, outputs, batch):
        return batch["landmarks68"][:, 0, 0]


def test_errors_that_a_mirror_turns_round_cancel():
    """A prediction that is off to one side, and turned and moved to it, is off to the other in the mirror."""
    model = Told()
    batch = make_batch(model)
    flipping = FlipTest(model, PAIRED, IMAGE_SIZE[0])
    verts, R_t = flipping.reconstruct(flipping(batch), batch)
    np.testing.assert_allclose(verts, batch["verts"], atol=1e-7)  # float32
    np.testing.assert_allclose(R_t, batch["R_t"], atol=1e-6)
    assert flipping.losses(flipping(batch), batch) == {"one": 1}
    # of a point at x and at width - x; it is another one that a mirror makes the first
    mirrored = IMAGE_SIZE[0] - batch["landmarks68"][:, 16, 0]
    wanted = (batch["landmarks68"][:, 0, 0] + mirrored) / 2
    np.testing.assert_allclose(flipping.confidence(flipping(batch), batch), wanted, rtol=1e-6)


def test_a_mirrored_mesh_is_seen_in_the_mirrored_place():
    batch = make_batch(Told())
    verts, R_t = mirror_mesh(batch["verts"], batch["R_t"], torch.from_numpy(PAIRED.mirror))
    projection = torch.from_numpy(WCPA_PROJECTION).float()
    seen, _ = project(transform(batch["verts"], batch["R_t"]), projection, *IMAGE_SIZE)
    mirrored, _ = project(transform(verts, R_t), projection, *IMAGE_SIZE)
    swapped = seen[:, PAIRED.mirror]
    np.testing.assert_allclose(mirrored[..., 0], IMAGE_SIZE[0] - swapped[..., 0], atol=1e-3)  # float32 of 100 pixels
    np.testing.assert_allclose(mirrored[..., 1], swapped[..., 1], atol=1e-3)
    assert torch.linalg.det(R_t[:, :3, :3]).min() > 0.99


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_image_and_its_mirror_image_get_mirrored_predictions(name):
    """To rounding: for that the mean must treat both alike, and the windows must be mirrored with their affines."""
    model = build(name).eval()
    for parameter in model.parameters():  # output layers start at nothing
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, 0, 0.01, generator=torch.Generator().manual_seed(0))
    flipping, batch = FlipTest(model, PAIRED, IMAGE_SIZE[0]), make_batch(model)
    with torch.inference_mode():
        verts, R_t = flipping.reconstruct(flipping(batch), batch)
        mirrored = flipping.mirrored(batch)
        again = mirror_mesh(*flipping.reconstruct(flipping(mirrored), mirrored), flipping.mirror)
        alone, _ = model.reconstruct(model(batch), batch)
    np.testing.assert_allclose(again[0], verts, atol=1e-6)  # float32 of 0.1 m
    np.testing.assert_allclose(again[1], R_t, atol=1e-4)
    assert verts.shape == (BATCH, NUM_VERTICES, 3)
    assert (verts - alone).abs().max() > 1e-5
