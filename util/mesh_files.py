"""Meshes as the bytes of files that other programs open: .ply with colours, .glb with a texture."""

from typing import Any

import numpy as np
from PIL import Image
from trimesh import Trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.ply import export_ply
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

UNLIT = "KHR_materials_unlit"


def ply_bytes(vertices: np.ndarray, triangles: np.ndarray, colors: np.ndarray) -> bytes:
    """A binary .ply: float32 vertices (N, 3) in metres with colours (N, 3) uint8 RGB, triangles (F, 3)."""
    mesh = Trimesh(vertices, triangles, process=False, visual=ColorVisuals(vertex_colors=colors))
    return export_ply(mesh, vertex_normal=False)


def glb_bytes(vertices: np.ndarray, triangles: np.ndarray, uv: np.ndarray, texture: np.ndarray) -> bytes:
    """A binary glTF 2.0 file of one mesh with its texture inside, as PNG.

    vertices: (N, 3) metres, y up, +z to the viewer, as glTF has it; triangles: (F, 3); uv: (N, 2), v up (in the file it
    is down); texture: (h, w, 3) uint8 RGB. Viewers show it from both sides and, because the photo's light is in the
    texture, without light of their own; those that cannot do that take it for rough and no metal.
    """
    material = PBRMaterial(
        baseColorTexture=Image.fromarray(texture), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    mesh = Trimesh(vertices, triangles, process=False, visual=TextureVisuals(uv=uv, material=material))
    return export_glb(mesh.scene(), include_normals=True, tree_postprocessor=_without_light)


def _without_light(tree: dict[str, Any]) -> None:
    tree["extensionsUsed"] = [UNLIT]
    for material in tree["materials"]:
        material["extensions"] = {UNLIT: {}}
