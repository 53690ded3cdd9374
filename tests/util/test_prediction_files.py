import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from tests.util.faces import make_face
from util.prediction_files import MAKERS, Prediction, write_prediction
from util.prediction_pictures import depth_map
from util.uv import uv_layout

SIZE = 160, 100
ASKED_FOR = "overlay,mesh,landmarks,pose,depth,normal,pncc,uv_texture,json,glb,mat,npz,paf,deformation"


@pytest.fixture(scope="module")
def photo():
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8), (9, 9), 3)


@pytest.fixture(scope="module")
def faces():
    made = [make_face((0.1, 0.3, -0.05, -0.03, 0.01, -0.5), SIZE), make_face((0, -0.2, 0, 0.1, 0, -0.6), SIZE)]
    return [replace(face, deformation=stages_of(face, 0.5 + index)) for index, face in enumerate(made)]


def stages_of(face, size):
    """A coarse start of five vertices, and the face at that size."""
    start = np.float32([[0, 0, 0.1], [0.1, 0.1, 0], [-0.1, 0.1, 0], [-0.1, -0.1, 0], [0.1, -0.1, 0]])
    ring = np.int32([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    return (start, ring), (np.float32(size) * face.verts, face.topology.triangles)


@pytest.fixture(scope="module")
def work(photo, faces):
    return Prediction(photo, faces, uv_layout(faces[0].topology), "camera", 64)


def write(folder, work, wants, stem="x.1"):
    return {path.name: path for path in write_prediction(folder, stem, work, set(wants.split(",")))}


def test_every_want_is_written_for_every_face(tmp_path, work):
    assert set(ASKED_FOR.split(",")) == MAKERS.keys()
    whole = "overlay.jpg landmarks.txt landmarks.jpg pose.json pose.jpg depth.png depth_colors.jpg normal.png pncc.png"
    names = {f"x.1_{name}" for name in [*whole.split(), "faces.json"]}
    for index in 0, 1:
        endings = [
            ".obj",
            ".ply",
            "_landmarks3d.txt",
            ".glb",
            ".npz",
            ".mat",
            "_paf.png",
            "_uv_texture.png",
            "_uv_seen.png",
            ".0.obj",
            ".1.obj",
            "_deformation.gif",
        ]
        names |= {f"x.1_{index}{ending}" for ending in endings}
    assert write(tmp_path, work, ASKED_FOR).keys() == names
    assert {path.name for path in tmp_path.iterdir()} == names
    # no file is another one's under a longer stem, as of the photos x and x_0
    assert not [(a, b) for a in names for b in names if a != b and a[3:].endswith(b[3:])]


def test_only_what_is_wanted_is_written(tmp_path, work):
    assert write(tmp_path, work, "pncc").keys() == {"x.1_pncc.png"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.1_pncc.png"]


def test_meshes_come_back(tmp_path, work, faces):
    files = write(tmp_path, work, "mesh,glb")
    for index, face in enumerate(faces):
        for ending in "obj", "ply", "glb":
            mesh = trimesh.load_mesh(files[f"x.1_{index}.{ending}"], process=False)
            # six decimals in .obj, float32 in the others
            np.testing.assert_allclose(mesh.vertices, face.camera_verts, atol=6e-7)
            np.testing.assert_array_equal(mesh.faces, face.topology.triangles)
        obj, ply = (trimesh.load_mesh(files[f"x.1_{index}.{ending}"], process=False) for ending in ("obj", "ply"))
        np.testing.assert_array_equal(obj.visual.vertex_colors[:, :3], work.colors[index][0])
        np.testing.assert_array_equal(ply.visual.vertex_colors[:, :3], work.colors[index][0])


def test_meshes_in_the_canonical_frame(tmp_path, photo, faces):
    work = Prediction(photo, faces, uv_layout(faces[0].topology), "canonical", 64)
    files = write(tmp_path, work, "mesh,glb")
    for ending in "obj", "ply", "glb":
        mesh = trimesh.load_mesh(files[f"x.1_1.{ending}"], process=False)
        np.testing.assert_allclose(mesh.vertices, faces[1].verts, atol=6e-7)
    with pytest.raises(ValueError, match="frame: wanted camera or canonical, got world"):
        Prediction(photo, faces, work.uv, "world", 64)


@pytest.mark.parametrize("frame", ["camera", "canonical"])
def test_deformations_come_back(tmp_path, photo, faces, frame):
    files = write(tmp_path, Prediction(photo, faces, uv_layout(faces[0].topology), frame, 64), "deformation")
    for index, face in enumerate(faces):
        for stage, (verts, triangles) in enumerate(face.deformation):
            mesh = trimesh.load_mesh(files[f"x.1_{index}.{stage}.obj"], process=False)
            placed = verts @ face.R_t[:3, :3] + face.R_t[3, :3] if frame == "camera" else verts
            np.testing.assert_allclose(mesh.vertices, placed, atol=6e-7)  # six decimals
            np.testing.assert_array_equal(mesh.faces, triangles)
        with Image.open(files[f"x.1_{index}_deformation.gif"]) as film:
            assert film.n_frames == 36
    assert len(files) == 6


def test_faces_without_a_deformation_are_told(tmp_path, photo, faces):
    work = Prediction(photo, [faces[0], make_face(size=SIZE)], uv_layout(faces[0].topology), "camera", 64)
    with pytest.raises(ValueError, match="face 1: wanted one with the meshes on the way to it"):
        write(tmp_path, work, "deformation")


def test_arrays_come_back(tmp_path, work, faces):
    files = write(tmp_path, work, "npz,mat")
    for index, face in enumerate(faces):
        with np.load(files[f"x.1_{index}.npz"], allow_pickle=False) as arrays:
            npz = dict(arrays)
        mat = loadmat(files[f"x.1_{index}.mat"], squeeze_me=True)
        for name, value in npz.items():
            one = name in ("triangles", "keypoints")  # MATLAB counts from 1
            np.testing.assert_array_equal(mat[name] - 1 if one else mat[name], value, err_msg=name)
        for name in "verts", "R_t", "projection", "box", "image_size", "confidence", "source":
            np.testing.assert_array_equal(npz[name], getattr(face, name))
        np.testing.assert_array_equal(npz["triangles"], face.topology.triangles)
        np.testing.assert_allclose(npz["camera_verts"], face.camera_verts, atol=1e-7)  # float32
        np.testing.assert_allclose(npz["points"][:, :2], face.points2d)
        np.testing.assert_allclose(npz["points"][:, 2], -face.camera_verts[:, 2])
        np.testing.assert_array_equal(npz["landmarks"], npz["points"][face.topology.keypoints])
        np.testing.assert_array_equal(npz["uv"], work.uv)
        np.testing.assert_array_equal(npz["colors"], work.colors[index][0])
        np.testing.assert_array_equal(npz["seen"], work.colors[index][1])


def test_landmarks_are_a_table_of_all_faces(tmp_path, work, faces):
    path = write(tmp_path, work, "landmarks")["x.1_landmarks.txt"]
    table = np.loadtxt(path)
    assert table.shape == (136, 3)
    for index, face in enumerate(faces):
        rows = table[68 * index : 68 * index + 68]
        np.testing.assert_allclose(rows[:, :2], face.landmarks2d, atol=5.1e-4)  # three decimals
        np.testing.assert_allclose(rows[:, 2], -face.camera_verts[face.topology.keypoints, 2], atol=5.1e-7)  # six
    lines = path.read_text().splitlines()
    assert [line for line in lines[1:] if line.startswith("#")] == ["# face 0", "# face 1"]


def test_poses_by_an_opencv_camera(tmp_path, work, faces):
    files = write(tmp_path, work, "pose,json")
    poses, everything = (json.loads(files[f"x.1_{name}.json"].read_text()) for name in ("pose", "faces"))
    assert poses["image_size"] == everything["image_size"] == [160, 100]
    for face, entry, more in zip(faces, poses["faces"], everything["faces"], strict=True):
        assert entry.items() <= more.items()
        angles = [entry["euler_degrees"][name] for name in ("yaw", "pitch", "roll")]
        rotation = Rotation.from_euler("yxz", angles, degrees=True).as_matrix()
        np.testing.assert_allclose(rotation, face.R_t[:3, :3].T, atol=1e-12)
        np.testing.assert_allclose(entry["translation_mm"], 1000 * face.R_t[3, :3])
        np.testing.assert_array_equal(entry["R_t"], face.R_t)
        np.testing.assert_array_equal(entry["projection"], face.projection)
        # OpenCV's camera is the same with y and z negated
        turn = np.diag([1.0, -1.0, -1.0])
        matrix = np.diag([*entry["focal_length_px"], 1.0])
        matrix[:2, 2] = entry["principal_point_px"]
        verts = face.verts[face.topology.keypoints].astype(float)
        vector, _ = cv2.Rodrigues(turn @ rotation)
        points, _ = cv2.projectPoints(verts, vector, turn @ entry["translation_mm"] / 1000, matrix, None)
        np.testing.assert_allclose(points[:, 0], face.landmarks2d, atol=1e-6)
        np.testing.assert_allclose(np.array(more["landmarks"])[:, :2], face.landmarks2d)
        assert (more["source"], more["confidence"]) == ("detected", 0.75)
        np.testing.assert_array_equal(more["box"], face.box)


def test_the_principal_point_of_a_camera_that_is_off_centre(tmp_path, photo, faces):
    projection = faces[0].projection.copy()
    projection[2, :2] = 0.2, -0.1
    face = make_face((0, 0, 0, 0, 0, -0.5), SIZE)
    object.__setattr__(face, "projection", projection)
    work = Prediction(photo, [face], uv_layout(face.topology), "camera", 64)
    (entry,) = json.loads(write(tmp_path, work, "pose")["x.1_pose.json"].read_text())["faces"]
    # the axis of the camera is seen at its principal point
    on_axis = np.array([0, 0, -0.5, 1]) @ projection
    x, y = on_axis[:2] / on_axis[3]
    assert entry["principal_point_px"] == pytest.approx([(1 + x) * 80, (1 - y) * 50])


def test_pictures_keep_the_size_and_depth_its_bits(tmp_path, work):
    files = write(tmp_path, work, "overlay,landmarks,pose,depth,normal,pncc")
    for name, path in files.items():
        if path.suffix in (".jpg", ".png"):
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape[:2] == (100, 160), name
    depth = cv2.imread(str(files["x.1_depth.png"]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(depth, depth_map(work.photo, work.scene))
    assert depth.dtype == np.uint16


def test_textures_and_their_masks(tmp_path, work):
    files = write(tmp_path, work, "uv_texture")
    for index, texture in enumerate(work.textures):
        texels, seen = (cv2.imread(str(files[f"x.1_{index}_uv_{name}.png"]), -1) for name in ("texture", "seen"))
        np.testing.assert_array_equal(texels[:, :, ::-1], texture.texels)
        np.testing.assert_array_equal(seen, 255 * texture.seen.astype(np.uint8))
    assert (work.textures[0].texels != work.textures[1].texels).any()


def test_a_photo_without_faces(tmp_path, photo):
    work = Prediction(photo, [], np.zeros((99, 2), np.float32), "camera", 64)
    files = write(tmp_path, work, ASKED_FOR)
    assert not any(name[4].isdigit() for name in files)
    assert json.loads(files["x.1_faces.json"].read_text())["faces"] == []
