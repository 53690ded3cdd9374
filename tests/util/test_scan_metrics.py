"""The NoW protocol on scans that are made of a known surface, a known transform and known distances."""

import json

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from util import scan_metrics
from util.mesh import write_obj
from util.scan_files import read_landmarks, read_mesh
from util.scan_metrics import ScanAlignment, left_jacobian, scan_region, score_scan, summarise_distances
from util.surface import Surface

# Eye corners (outer, inner, inner, outer), bottom of the nose, mouth corners; metres.
LANDMARKS = np.array(
    [
        [-0.045, 0.03, 0],
        [-0.015, 0.03, 0],
        [0.015, 0.03, 0],
        [0.045, 0.03, 0],
        [0, -0.01, 0],
        *[[x, -0.04, 0] for x in (-0.025, 0.025)],
    ]
)
TURN = Rotation.from_euler("xyz", [0.4, -0.7, 0.3]).as_matrix()
SHIFT = np.array([0.3, -0.1, 0.8])


def face() -> tuple[np.ndarray, np.ndarray]:
    """(143, 3) metres and (240, 3): a paraboloid 16 cm wide with a nose, in triangles of 13 to 20 mm."""
    x, y = np.meshgrid(np.linspace(-0.08, 0.08, 11), np.linspace(-0.09, 0.09, 13))
    index = np.arange(143).reshape(13, 11)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return np.stack([x, y, height(x, y)], axis=-1).reshape(-1, 3), triangles


def height(x, y):
    return 0.06 - 6 * x**2 - 3 * y**2 + 0.02 * np.exp(-(x**2 + (y + 0.01) ** 2) / 0.0005)


def on_face(points):
    return np.column_stack([points[:, :2], height(points[:, 0], points[:, 1])])


@pytest.fixture(scope="module")
def scene():
    """Face, its landmarks, and a scan with its true distances: points within the triangles, lifted by up to 1 mm to
    both sides alike, so that no motion of the face brings it nearer to all."""
    vertices, triangles = face()
    random = np.random.default_rng(0)
    weights = (random.dirichlet([1, 1, 1], (len(triangles), 5)) + 1) / 4  # away from the edges
    feet = np.einsum("tpk,tkc->tpc", weights, vertices[triangles]).reshape(-1, 3)
    normals = np.repeat(trimesh.Trimesh(vertices, triangles, process=False).face_normals, 5, axis=0)
    lifts = random.uniform(0, 0.001, len(feet))
    scan = np.concatenate([feet + lifts[:, None] * normals, feet - lifts[:, None] * normals])
    return vertices, triangles, on_face(LANDMARKS), scan, np.tile(lifts, 2)


def inside(points, landmarks):
    """The region, written out."""
    bridge = (landmarks[1] + landmarks[2]) / 2
    centre = landmarks[4] * 0.7 + bridge * 0.3
    radius = 0.7 * (np.linalg.norm(landmarks[0] - landmarks[3]) + np.linalg.norm(bridge - landmarks[4]))
    return np.sqrt(((points - centre) ** 2).sum(axis=1)) <= radius


@pytest.mark.parametrize(("metrical", "scale"), [(False, 0.27), (False, 1000.0), (True, 1.0)])
def test_known_distances_and_transform_come_back(scene, metrical, scale):
    vertices, triangles, landmarks, scan, lifts = scene
    # landmarks clicked 2 mm beside: the first step is wrong, the refinement mends it
    clicked = landmarks + np.random.default_rng(1).normal(0, 0.002, (7, 3))
    place = lambda points: scale * points @ TURN + SHIFT  # noqa: E731
    score = score_scan(place(vertices), triangles, place(clicked), scan, landmarks, metrical)
    chosen = inside(scan, landmarks)
    assert 0.3 < chosen.mean() < 0.8
    # the search ends where steps of 1e-8 no longer help; the distances are flat there
    np.testing.assert_allclose(score.distances_mm, 1000 * lifts[chosen], atol=1e-4)
    np.testing.assert_allclose(score.transform.apply(place(vertices)[None])[0], vertices, atol=1e-6)
    assert score.transform.scale[0] == pytest.approx(1 / scale, rel=1e-5)


def test_metrical_does_not_forgive_a_wrong_size():
    centre, _ = scan_region(LANDMARKS)
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.05)
    half = np.random.default_rng(3).normal(0, 1, (500, 3))
    scan = 0.05 * np.concatenate([half, -half]) / np.linalg.norm(np.tile(half, (2, 1)), axis=1, keepdims=True) + centre
    # all of a ball is in the region, opposite points alike: it cannot move nearer to a ball that is 5 % larger
    larger = 1.05 * ball.vertices + SHIFT, ball.faces, 1.05 * (LANDMARKS - centre) + SHIFT, scan, LANDMARKS
    free, kept = score_scan(*larger), score_scan(*larger, metrical=True)
    # 2.5 mm, less what the planes of the triangles lie deeper than the ball
    planes = (ball.vertices[ball.faces[:, 0]] * ball.face_normals).sum(axis=1)
    depth = 1050 * (0.05 - planes.min())
    assert depth < 0.1
    assert 2.5 - depth < kept.distances_mm.min() < kept.distances_mm.max() < 2.5
    assert kept.transform.scale.tolist() == [1.0]
    assert free.distances_mm.max() < depth
    assert free.transform.scale[0] == pytest.approx(1 / 1.05, rel=1e-3)


@pytest.mark.parametrize("count", [6, 7])
def test_slopes_are_the_derivatives(scene, count):
    vertices, triangles, landmarks, scan, _ = scene
    alignment = ScanAlignment(Surface(vertices, triangles), scan[::50], *scan_region(landmarks))
    at = np.array([0.2, -0.1, 0.15, 0.1, 0.2, -0.1, 0.05])[:count]
    alignment.measure(at)
    slopes, step = alignment.slopes, 1e-6
    expected = [(alignment.measure(at + d) - alignment.measure(at - d)) / (2 * step) for d in step * np.eye(count)]
    # central differences: second order in the step, and rounding of 1e-17 over it
    np.testing.assert_allclose(slopes, np.transpose(expected), atol=1e-8)


@pytest.mark.parametrize("vector", [[0, 0, 0], [3e-5, -2e-5, 5e-5], [0.3, -1.1, 0.8]])
def test_left_jacobian(vector):
    vector, nudge = np.array(vector, dtype=float), 1e-6 * np.array([1.0, 2, -1])
    moved = Rotation.from_rotvec(vector + nudge) * Rotation.from_rotvec(vector).inv()
    # the nudge squared
    np.testing.assert_allclose(moved.as_rotvec(), left_jacobian(vector) @ nudge, atol=1e-11)


def test_no_motion_near_by_is_better(scene):
    vertices, triangles, landmarks, scan, _ = scene
    other = vertices * [1.04, 0.97, 1.1]  # another face
    score = score_scan(other, triangles, landmarks, scan, landmarks)
    laid = score.transform.apply(other[None])[0]
    chosen = scan[inside(scan, landmarks)]
    best = (score.distances_mm**2).sum()
    random = np.random.default_rng(2)
    for _ in range(20):
        turn = Rotation.from_rotvec(random.normal(0, 0.003, 3)).as_matrix()
        moved = random.normal(1, 0.003) * laid @ turn + random.normal(0, 0.0003, 3)
        places, _ = Surface(moved, triangles).closest(chosen)
        assert (1e6 * (places - chosen) ** 2).sum() > best


def test_region_by_hand():
    landmarks = np.zeros((7, 3))
    landmarks[0], landmarks[1], landmarks[2], landmarks[3] = (-4, 5, 0), (-1, 5, 0), (1, 5, 0), (4, 5, 0)
    centre, radius = scan_region(landmarks)
    np.testing.assert_allclose(centre, [0, 1.5, 0])
    assert radius == pytest.approx(1.4 * (8 + 5) / 2)


def test_distances_are_pooled_and_not_averaged_twice():
    figures = summarise_distances([np.array([1.0, 1, 1]), np.array([5.0])])
    assert (figures["median_mm"], figures["mean_mm"], figures["points"]) == (1, 2, 4)
    assert figures["std_mm"] == pytest.approx(np.sqrt(3))  # the population's
    curve = dict(zip(figures["curve"]["mm"], figures["curve"]["percent"], strict=True))
    assert (curve[0.95], curve[1.0], curve[4.95], curve[5.0], curve[8.0]) == (0, 75, 75, 100, 100)


def test_what_cannot_be_scored_is_told(scene):
    vertices, triangles, landmarks, scan, _ = scene
    for arguments, message in (
        ((vertices, triangles[:0], landmarks, scan, landmarks), "prediction: wanted a mesh with triangles"),
        ((vertices, triangles, landmarks, 1000 * scan, 1000 * landmarks), "scan landmarks: .* which unit"),
        ((vertices, triangles, landmarks, scan + 9, landmarks), "scan: wanted points within 0.0"),
        ((vertices, triangles, landmarks[:6], scan, landmarks), r"landmarks: wanted shape \(7, 3\)"),
        ((vertices, triangles, landmarks, scan * np.nan, landmarks), "scan: wanted finite"),
    ):
        with pytest.raises(ValueError, match=message):
            score_scan(*arguments)
    with pytest.raises(ValueError, match=r"landmarks: .* which unit"):
        score_scan(1000 * vertices, triangles, 1000 * landmarks, scan, landmarks, metrical=True)


PICKED = '<!DOCTYPE PickedPoints>\n<PickedPoints>\n <DocumentData><User name="a"/></DocumentData>\n{}</PickedPoints>\n'


def write_pair(folder, scene):
    """A prediction in metres, turned, with landmarks in .npy; its scan in millimetres, .ply and .pp."""
    vertices, triangles, landmarks, scan, _ = scene
    write_obj(folder / "mesh.obj", vertices @ TURN + SHIFT, triangles)
    np.save(folder / "seven.npy", landmarks @ TURN + SHIFT)
    trimesh.PointCloud(1000 * scan).export(folder / "scan.ply")
    points = "".join(
        f' <point x="{x!r}" active="1" y="{y!r}" z="{z!r}" name="0"/>\n' for x, y, z in (1000 * landmarks).tolist()
    )
    (folder / "scan.pp").write_text(PICKED.format(points))
    return ["mesh.obj", "seven.npy", "scan.ply", "scan.pp"]


def test_command_scores_a_list_and_one_pair(scene, tmp_path, run_script):
    names = write_pair(tmp_path, scene)
    (tmp_path / "pairs.csv").write_text(
        "scan,prediction,landmarks,scan_landmarks\n" + 2 * f"{names[2]},{names[0]},{names[1]},{names[3]}\n"
    )
    output = tmp_path / "out.json"
    status, printed = run_script(scan_metrics, "--pairs", tmp_path / "pairs.csv", "--metrical", "--output", output)
    assert status == 0, printed
    figures = json.loads(output.read_text())
    lifts = 1000 * scene[4][inside(scene[3], scene[2])]
    # the .obj is written to micrometres, the .ply in float32
    assert figures["median_mm"] == pytest.approx(np.median(lifts), abs=2e-3)
    assert figures["mean_mm"] == pytest.approx(lifts.mean(), abs=2e-3)
    assert figures["points"] == 2 * len(lifts)
    assert [pair["points"] for pair in figures["pairs"]] == 2 * [len(lifts)]
    assert figures["pairs"][0]["prediction"] == str(tmp_path / "mesh.obj")
    assert f"median {figures['median_mm']:.3f}" in printed

    flags = ("--prediction", "--landmarks", "--scan", "--scan_landmarks")
    one = [word for flag, name in zip(flags, names, strict=True) for word in (flag, tmp_path / name)]
    status, printed = run_script(scan_metrics, *one, "--output", output)
    assert status == 0, printed
    single = json.loads(output.read_text())
    assert single["points"] == len(lifts)
    assert single["pairs"][0]["scale"] == pytest.approx(1, abs=1e-4)
    status, printed = run_script(scan_metrics, *one, "--output", output, "--scan_unit", "m")
    assert status == 1
    assert "which unit" in printed
    assert "mesh.obj" in printed


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "missing: --prediction --landmarks --scan --scan_landmarks"),
        (["--pairs", "a.csv", "--scan", "b.obj"], 2, "got both"),
        (["--pairs", "absent.csv"], 1, "absent.csv"),
        (["--pairs", "columns.csv"], 1, "got none of scan_landmarks"),
        (["--pairs", "empty.csv"], 1, "wanted rows"),
        (["--pairs", "short.csv"], 1, "short.csv, row 1: wanted"),
        (["--pairs", "files.csv"], 1, "a.obj: no such file (4 missing of 4)"),
        (["--pairs", "files.csv", "--output", "absent/out.json"], 1, "no folder absent"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, run_script, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    header = "prediction,landmarks,scan,scan_landmarks\n"
    (tmp_path / "columns.csv").write_text("prediction,landmarks,scan\n1,2,3\n")
    (tmp_path / "empty.csv").write_text(header)
    (tmp_path / "short.csv").write_text(header + "a.obj,a.npy\n")
    (tmp_path / "files.csv").write_text(header + "a.obj,a.npy,b.obj,b.pp\n")
    got, printed = run_script(scan_metrics, *arguments)
    assert got == status, printed
    assert message in printed
    assert not (tmp_path / "scan_metrics.json").exists()


def test_meshes_of_any_polygons_are_read(tmp_path):
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [5, 5, 5]])
    rows = "".join(f"v {x} {y} {z}\n" for x, y, z in square)
    # two faces that share vertices but not their texture: the scan's points stay five
    (tmp_path / "quad.obj").write_text(rows + "vt 0 0\nvt 1 1\nf 1/1 2/1 3/1 4/1\nf 1/2 2/2 3/2\n")
    vertices, triangles = read_mesh(tmp_path / "quad.obj")
    np.testing.assert_array_equal(vertices, square)
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    (tmp_path / "points.obj").write_text(rows)
    assert read_mesh(tmp_path / "points.obj")[1].shape == (0, 3)
    header = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
    body = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "quad.ply").write_text(header + body + rows.replace("v ", "") + "4 0 1 2 3\n")
    vertices, triangles = read_mesh(tmp_path / "quad.ply")
    np.testing.assert_array_equal(vertices, square)
    assert triangles.shape == (2, 3)
    trimesh.Trimesh(square, [[0, 1, 2]], process=False).export(tmp_path / "binary.ply")
    np.testing.assert_array_equal(read_mesh(tmp_path / "binary.ply")[0], square)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.obj", "v 0 0 0\nf 1 1 2\n", "wanted faces of its 1 vertices"),
        ("a.obj", "v 0 0 0\nf 1 1\n", "line 2: wanted a face of three corners or more, got 2"),
        ("a.obj", "v 0 0\n", "line 1: cannot read"),
        ("a.obj", "", "wanted shape|got none"),
        ("a.ply", "garbage", "cannot read"),
        ("a.stl", "", "wanted a mesh, .obj or .ply"),
    ],
)
def test_bad_meshes_are_told(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_mesh(tmp_path / name)
    assert name in str(error.value)


def test_landmarks_of_all_kinds(tmp_path):
    points = np.arange(21.0).reshape(7, 3)
    np.savetxt(tmp_path / "seven.txt", points)
    np.testing.assert_array_equal(read_landmarks(tmp_path / "seven.txt"), points)
    np.savetxt(tmp_path / "commas.txt", points, delimiter=", ")
    np.testing.assert_array_equal(read_landmarks(tmp_path / "commas.txt"), points)
    all_68 = np.random.default_rng(0).normal(0, 1, (68, 3))
    np.save(tmp_path / "all.npy", all_68)
    np.testing.assert_array_equal(read_landmarks(tmp_path / "all.npy"), all_68[[36, 39, 42, 45, 33, 48, 54]])
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    rows = "".join('<point x="1" y="2"/>' for _ in range(7))
    for name, text in (
        ("six.txt", "1 2 3\n" * 6),
        ("words.txt", "a b c\n"),
        ("ragged.txt", "1 2 3\n" * 6 + "1 2\n"),
        ("empty.txt", ""),
        ("cut.pp", "<Picked"),
        ("flat.pp", PICKED.format(rows)),
        ("a.csv", ""),
    ):
        (tmp_path / name).write_text(text)
    for name in ("six.txt", "words.txt", "ragged.txt", "empty.txt", "cut.pp", "flat.pp", "a.csv", "pickled.npy"):
        with pytest.raises(ValueError, match=name):
            read_landmarks(tmp_path / name)
