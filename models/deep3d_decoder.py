"""From Deep3D's coefficients to a face in front of its camera, and to the picture that this takes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from models.base_model import DECIMETRES, Outputs
from models.deep3d_camera import project, rotations
from models.morphable import MorphableLayer, MorphableModel
from Sim3DR.torch import interpolate, rasterize
from util.errors import InputError
from util.spherical_harmonics import NUM_HARMONICS, shade


class Face(NamedTuple):
    """vertices (B, N, 3): decimetres, in the frame of models.deep3d_camera; normals (B, N, 3): unit, there; albedo and
    colors (B, N, 3): RGB, about 0 to 1, without and under the light."""

    vertices: torch.Tensor
    normals: torch.Tensor
    albedo: torch.Tensor
    colors: torch.Tensor


class Rendering(NamedTuple):
    """picture (B, 3, S, S): RGB, about 0 to 1, black where no face is; mask (B, S, S) bool: where one is, and front:
    where it is one of the model's front triangles.

    Front triangles count where they are seen. The published code draws them once more, without the others, for its
    mask, which so has pixels, of turned heads, at which another triangle hides the front one; but the picture shows
    that other one there, whose colours it means to leave out. This also spares the second drawing.
    """

    picture: torch.Tensor
    mask: torch.Tensor
    front: torch.Tensor


class Deep3dDecoder(MorphableLayer):
    """A morphable model with colours, as Deep3D uses it: in decimetres, its mean face about the origin.

    Coefficients are "identity" (B, K), "expression" (B, E) and "albedo" (B, A), in deviations of real faces, "angles"
    (B, 3) radians about x, y and z, "light" (B, 27) as in util.spherical_harmonics, "translation" (B, 3) decimetres.
    Raises InputError for a model without colours.
    """

    def __init__(self, model: MorphableModel):
        super().__init__(model)
        if not model.has_colors:
            raise InputError(
                "deep3d: wanted a morphable model with colours, got one without; step01_preparation.py "
                "--build_morphable finds them in the training images"
            )
        self.unit = DECIMETRES * float(model.metres)
        front = torch.zeros(len(model.triangles), dtype=torch.bool)
        front[torch.from_numpy(model.front)] = True
        self.register_buffer("is_front", front, persistent=False)

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers there are of each kind, in the order of R-Net's layers, the last two of which are parts of
        the translation."""
        sizes = {name: len(getattr(self, name)) for name in ("identity", "expression", "albedo")}
        return {**sizes, "angles": 3, "light": 3 * NUM_HARMONICS, "across": 2, "along": 1}

    def named(self, parts: Sequence[torch.Tensor]) -> Outputs:
        """The coefficients by name, from what R-Net gives, one tensor for each of `sizes`."""
        *parts, across, along = parts
        return {**dict(zip(self.sizes, parts, strict=False)), "translation": torch.cat([across, along], dim=1)}

    def canonical(self, outputs: Outputs) -> torch.Tensor:
        """(B, N, 3) the shapes of coefficients, in the model's own unit and frame."""
        identity, expression = (
            outputs[name] * getattr(self, f"{name}_deviations") for name in ("identity", "expression")
        )
        return self.shapes(identity, expression)

    def face(self, outputs: Outputs) -> Face:
        """The faces of coefficients (B, ...)."""
        turn = rotations(outputs["angles"])
        shapes = self.unit * (self.canonical(outputs) - self.mean.mean(dim=0)) @ turn
        normals, albedo = self.normals(shapes), self.colors(outputs["albedo"])
        vertices = shapes + outputs["translation"][:, None]
        return Face(vertices, normals, albedo, shade(albedo, normals, outputs["light"]))

    def points(self, face: Face) -> torch.Tensor:
        """(B, 68, 2) where the faces' 68 points are seen, from -1 to 1 across the window."""
        return project(face.vertices[:, self.keypoints])[0]

    def render(self, face: Face, size: int) -> Rendering:
        """What the camera sees of faces, in a window of size x size. There are gradients to colours, and to vertices
        through where on the surface a pixel looks, but none through outlines, as published."""
        seen, distance = project(face.vertices)
        # Sim3DR has pixel centres at integers; points are told from the window's corner.
        screen = torch.cat([(seen + 1) * (size / 2) - 0.5, -distance[..., None]], dim=2)
        fragments = rasterize(screen, self.triangles, size, size, distance)
        picture = interpolate(fragments, self.triangles, face.colors)
        mask = fragments.triangle >= 0
        return Rendering(picture.permute(0, 3, 1, 2), mask, mask & self.is_front[fragments.triangle])
