"""A face model whose labelled points are another topology's, carried onto its skin."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from data.synthetic.shape import FaceModel, Part, procedural_face, skin_of
from util.carrying import Carried, carry, rigid_to
from util.errors import InputError
from util.mesh import Topology, find_topology


@dataclass(frozen=True)
class CarriedFace:
    """See `FaceModel`. All but the labelled points is another face model's."""

    topology: Topology
    parts: tuple[Part, ...]
    regions: dict[str, np.ndarray]
    identity_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    neck_weight: np.ndarray
    frame: np.ndarray
    _face: FaceModel = field(repr=False)
    _carried: Carried = field(repr=False)

    def vertices(
        self, identity: np.ndarray, expression: np.ndarray, gaze: tuple[float, float] = (0.0, 0.0)
    ) -> dict[str, np.ndarray]:
        """See `FaceModel.vertices`."""
        return self._face.vertices(identity, expression, gaze)

    def face_vertices(self, skin_vertices: np.ndarray) -> np.ndarray:
        """See `FaceModel.face_vertices`."""
        return self._carried.places(skin_vertices, skin_of(self).triangles)


def carry_onto(face: FaceModel, topology: Topology) -> CarriedFace:
    """The face model with another topology's points. The frame of these is where the 68 points of the topology's
    template lie nearest to those of the mean face, without change of size. Raises InputError as `carry` does."""
    skin = face.vertices(np.zeros(len(face.identity_names)), np.zeros(len(face.expression_names)))["skin"]
    points = face.face_vertices(skin)
    landmarks = points[face.topology.keypoints]
    distances = np.linalg.norm(landmarks[:, None] - skin, axis=2)
    carried = carry(topology, skin, skin_of(face).triangles, distances.argmin(axis=1))
    R, t = rigid_to(topology.template[topology.keypoints], landmarks)
    frame = np.eye(4)
    frame[:3, :3], frame[3, :3] = R, t
    return CarriedFace(
        topology=topology,
        parts=face.parts,
        regions=face.regions,
        identity_names=face.identity_names,
        expression_names=face.expression_names,
        neck_weight=face.neck_weight,
        frame=frame,
        _face=face,
        _carried=carried,
    )


@cache
def face_with(path: Path | None) -> FaceModel:
    """The procedural face, with the topology of a folder where there is one; kept for the process.

    path: a folder with example.obj and kpt_ind.npy, or a data root with resources/. Raises FileNotFoundError, or
    InputError that names the file.
    """
    face = procedural_face()
    if path is None:
        return face
    topology = find_topology(path)
    try:
        return carry_onto(face, topology)
    except InputError as error:
        raise InputError(f"topology {path}: {error}") from None
