"""The flip test: the mean of what a method makes of an image and of its mirror image."""

import torch
from torch import nn

from models.base_model import BaseModel, Batch, Outputs
from util.evidence import CoefficientSpace, ImageEvidence
from util.face_space import FaceSpace
from util.mesh import Topology
from util.mirroring import mirror_mesh, mirror_samples
from util.pose import nearest_rotation


class FlipTest(nn.Module):
    """A trained model that looks at every image twice, which takes twice the time; losses are those of the first look.

    Meshes are averaged and so are translations; rotations get the one that is nearest to their mean. (JMLR's code takes
    the mean of the image points instead, before the pose is found.)
    image_width: of the images in pixels; the camera's principal point must be their centre. Raises InputError where
    the mirror images of vertices are not known.
    """

    def __init__(self, model: BaseModel, topology: Topology, image_width: int):
        super().__init__()
        topology.check_mirror("--flip_test: wanted")
        self.model, self.windows, self.image_width = model, model.windows, image_width
        self.register_buffer("mirror", torch.from_numpy(topology.mirror))

    def forward(self, batch: Batch) -> dict[str, Outputs]:
        return {"own": self.model(batch), "mirrored": self.model(self.mirrored(batch))}

    def mirrored(self, batch: Batch) -> Batch:
        batch = dict(batch)
        everyone = torch.ones_like(batch["index"], dtype=torch.bool)
        mirror_samples(batch, everyone, self.mirror, self.image_width)
        return batch

    def losses(self, outputs: dict[str, Outputs], batch: Batch) -> dict[str, torch.Tensor]:
        return self.model.losses(outputs["own"], batch)

    def reconstruct(self, outputs: dict[str, Outputs], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """As a model's."""
        verts, R_t = self.model.reconstruct(outputs["own"], batch)
        other = self.model.reconstruct(outputs["mirrored"], self.mirrored(batch))
        other_verts, other_R_t = mirror_mesh(*other, self.mirror)
        mean = (R_t.double() + other_R_t.double()) / 2
        mean[:, :3, :3] = nearest_rotation(mean[:, :3, :3])
        return (verts + other_verts) / 2, mean.to(R_t.dtype)

    def confidence(self, outputs: dict[str, Outputs], batch: Batch) -> torch.Tensor:
        """As a model's: the mean of the two looks."""
        own = self.model.confidence(outputs["own"], batch)
        return (own + self.model.confidence(outputs["mirrored"], self.mirrored(batch))) / 2

    def shape_evidence(self, outputs: dict[str, Outputs], batch: Batch) -> ImageEvidence | None:
        """That of the first look, as the same points are seen in the mirror, but with the shapes of both."""
        return self.model.shape_evidence(outputs["own"], batch, verts=self.reconstruct(outputs, batch)[0])

    @property
    def space(self) -> FaceSpace | CoefficientSpace | None:
        """As a model's."""
        return self.model.space
