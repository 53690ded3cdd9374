import io
import json
import struct

import cv2
import numpy as np
import trimesh

from tests.conftest import bowl
from util.mesh_files import glb_bytes, ply_bytes

VERTICES, TRIANGLES = bowl()
RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(0, 256, (len(VERTICES), 3), dtype=np.uint8)
UV = RANDOM.random((len(VERTICES), 2)).astype(np.float32)
TEXTURE = RANDOM.integers(0, 256, (16, 32, 3), dtype=np.uint8)


def read_glb(data):
    """The JSON of a .glb file and its binary chunk, by the specification of glTF 2.0, section 4.4."""
    magic, version, length, json_length, json_kind = struct.unpack("<4sIIII", data[:20])
    assert (magic, version, length, json_kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    binary_length, binary_kind = struct.unpack("<II", data[20 + json_length : 28 + json_length])
    assert binary_kind == 0x004E4942
    return json.loads(data[20 : 20 + json_length]), data[28 + json_length :][:binary_length]


def accessor(tree, binary, index):
    entry = tree["accessors"][index]
    view = tree["bufferViews"][entry["bufferView"]]
    dtype = {5126: np.float32, 5125: np.uint32}[entry["componentType"]]
    columns = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[entry["type"]]
    offset = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
    return np.frombuffer(binary, dtype, entry["count"] * columns, offset).reshape(-1, columns)


def test_glb_holds_one_textured_mesh():
    tree, binary = read_glb(glb_bytes(VERTICES, TRIANGLES, UV, TEXTURE))
    (mesh,), (node,) = tree["meshes"], tree["nodes"]
    assert node["mesh"] == 0
    assert "matrix" not in node
    (part,) = mesh["primitives"]
    np.testing.assert_array_equal(accessor(tree, binary, part["attributes"]["POSITION"]), VERTICES)
    np.testing.assert_array_equal(accessor(tree, binary, part["indices"]).reshape(-1, 3), TRIANGLES)
    # glTF counts v from the top of the texture
    np.testing.assert_allclose(
        accessor(tree, binary, part["attributes"]["TEXCOORD_0"]), UV * [1, -1] + [0, 1], atol=1e-7
    )
    normals = accessor(tree, binary, part["attributes"]["NORMAL"])
    assert normals[:, 2].min() > 0  # the bowl bulges towards the viewer
    (material,) = tree["materials"]
    assert material["doubleSided"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 1
    assert material["extensions"].keys() == {"KHR_materials_unlit"} == set(tree["extensionsUsed"])
    image = tree["images"][tree["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]["source"]]
    view = tree["bufferViews"][image["bufferView"]]
    png = np.frombuffer(binary, np.uint8, view["byteLength"], view["byteOffset"])
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_COLOR)[:, :, ::-1], TEXTURE)


def test_another_reader_turns_v_back():
    scene = trimesh.load(io.BytesIO(glb_bytes(VERTICES, TRIANGLES, UV, TEXTURE)), file_type="glb")
    (mesh,) = scene.geometry.values()
    np.testing.assert_array_equal(mesh.vertices, VERTICES)
    np.testing.assert_allclose(mesh.visual.uv, UV, atol=1e-6)  # float32, subtracted twice
    np.testing.assert_array_equal(np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")), TEXTURE)


def test_ply_by_its_own_header():
    header, body = ply_bytes(VERTICES, TRIANGLES, COLORS).split(b"end_header\n", 1)
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[-1] for line in lines if line.startswith("property") and "list" not in line]
    assert names == ["x", "y", "z", "red", "green", "blue", "alpha"]
    vertex = np.dtype([("xyz", "<f4", 3), ("rgba", "u1", 4)])
    rows = np.frombuffer(body, vertex, len(VERTICES))
    np.testing.assert_array_equal(rows["xyz"], VERTICES)
    np.testing.assert_array_equal(rows["rgba"], np.insert(COLORS, 3, 255, axis=1))
    face = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
    faces = np.frombuffer(body, face, len(TRIANGLES), vertex.itemsize * len(VERTICES))
    assert (faces["count"] == 3).all()
    np.testing.assert_array_equal(faces["corners"], TRIANGLES)
    assert len(body) == vertex.itemsize * len(VERTICES) + face.itemsize * len(TRIANGLES)
