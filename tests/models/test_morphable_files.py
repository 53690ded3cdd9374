"""Files of other projects, made up of 200 vertices, against the numbers that they were made of."""

import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from models.morphable import MorphableLayer, MorphableModel
from models.morphable_files import read_morphable, read_parameter_statistics
from util.errors import InputError
from util.mesh import obj_text

ROWS, COLUMNS = 10, 20
COUNT = ROWS * COLUMNS
RANDOM = np.random.default_rng(0)


def grid(metres):
    """A bowl (200, 3) that looks along +z, 16 cm wide, in a unit of so many metres; its triangles, counter-clockwise
    seen from there."""
    x, y = np.meshgrid(np.linspace(-0.08, 0.08, COLUMNS), np.linspace(0.09, -0.09, ROWS))
    mean = np.stack([x, y, 0.06 - 6 * x**2 - 3 * y**2], axis=-1).reshape(-1, 3)
    index = np.arange(COUNT).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return mean / metres, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def normal(*shape):
    return RANDOM.normal(0, 1, shape).astype(np.float32)


KEYPOINTS = RANDOM.permutation(COUNT)[:68]
FLAT = (3 * KEYPOINTS[:, None] + np.arange(3)).ravel()


def check_model(model, metres, mean, identity, expression, triangles, keypoints=KEYPOINTS):
    """That all of a model without colours and regions is what it was made of, to float32."""
    wanted = MorphableModel(
        np.float32(mean),
        *(np.float32(basis) for basis in (identity, expression)),
        *(np.ones(len(basis), np.float32) for basis in (identity, expression)),
        np.zeros((0, 3), np.float32),
        np.zeros((0, 0, 3), np.float32),
        np.int32(triangles),
        keypoints.astype(np.int64),
        np.zeros(len(mean), bool),
        np.arange(len(triangles)),
        np.array(metres),
    )
    check_same(model, wanted)
    assert not model.has_colors
    MorphableLayer(model).shapes(
        *(MorphableLayer(wanted).identity.new_zeros(1, len(b)) for b in (identity, expression))
    )


def check_same(model, wanted, tolerance=1e-6):
    """tolerance: in parts of an array's largest number; by default some rounding of float32."""
    for field in fields(MorphableModel):
        got, want = getattr(model, field.name), getattr(wanted, field.name)
        assert got.dtype == want.dtype, field.name
        assert got.shape == want.shape, field.name
        limit = tolerance * np.abs(want).max() if want.size and want.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, want, rtol=0, atol=limit, err_msg=field.name)


def columns(basis):
    """(3N, K) of (K, N, 3)."""
    return basis.reshape(len(basis), -1).T


# --- Deep3D

SKIN = RANDOM.random(COUNT) < 0.5


def front_arrays(folder):
    """Writes facemodel_info.mat, returns the chosen triangles."""
    _, triangles = grid(0.1)
    chosen = RANDOM.permutation(len(triangles))[:50]
    info = {
        "tri": triangles + 1,
        "tri_mask2": np.roll(triangles[chosen], 1, axis=1) + 1,
        "keypoints": KEYPOINTS[None] + 1.0,  # Matlab's numbers are doubles
        "skinmask": SKIN[None].astype(np.uint8),
        "point_buf": np.ones((COUNT, 8), np.int32),
    }
    savemat(folder / "facemodel_info.mat", info)
    return info, chosen


def write_front(folder):
    mean, _ = grid(0.1)
    info, chosen = front_arrays(folder)
    identity, expression, albedo, color = (
        normal(5, COUNT, 3),
        normal(4, COUNT, 3),
        normal(3, COUNT, 3),
        normal(COUNT, 3),
    )
    bases = {"idBase": columns(identity), "exBase": columns(expression), "texBase": columns(albedo)}
    means = {"meanshape": (mean + 7).reshape(1, -1), "meantex": color.reshape(1, -1)}
    savemat(folder / "BFM_model_front.mat", {**info, **bases, **means})
    return MorphableModel(
        np.float32(mean - mean.mean(axis=0)),
        identity,
        expression,
        np.ones(5, np.float32),
        np.ones(4, np.float32),
        np.float32(color / 255),
        np.float32(albedo / 255),
        np.int32(info["tri"] - 1),
        KEYPOINTS.astype(np.int64),
        SKIN,
        chosen,
        np.array(0.1),
    )


@pytest.mark.parametrize("name", ["", "BFM_model_front.mat", "renamed.mat"])
def test_deep3d(tmp_path, name):
    wanted = write_front(tmp_path)
    if name == "renamed.mat":
        (tmp_path / "BFM_model_front.mat").rename(tmp_path / name)
    model = read_morphable(tmp_path / name)
    check_same(model, wanted)
    assert model.has_colors


def write_basel(folder):
    """A full model of 260 vertices, of which 230 have expressions, of which 200 are frontal; returns the cut, made
    vertex by vertex."""
    full, with_expressions = 260, 230
    trim = RANDOM.permutation(full)[:with_expressions]
    front = RANDOM.permutation(with_expressions)[:COUNT]
    mean, _ = grid(1e-6)
    info, chosen = front_arrays(folder)
    whole = np.zeros((full, 3), np.float32)
    for vertex in range(COUNT):
        whole[trim[front[vertex]]] = mean[vertex]
    bases, deviations = {key: normal(90, full, 3) for key in ("shape", "tex")}, np.linspace(9, 1, 90)
    expression, expression_deviations = normal(70, with_expressions, 3), np.linspace(5e4, 1e4, 70)
    content = {"shapeMU": whole.reshape(-1, 1), "texMU": (color := normal(full, 3)).reshape(-1, 1)}
    for key, basis in bases.items():
        content |= {f"{key}PC": columns(basis), f"{key}EV": deviations[:, None]}
    savemat(folder / "01_MorphableModel.mat", content)
    savemat(folder / "BFM_exp_idx.mat", {"trimIndex": trim[:, None] + 1})
    savemat(folder / "BFM_front_idx.mat", {"idx": front[:, None] + 1})
    ignored_mean = normal(with_expressions, 3)
    parts = np.int32(70).tobytes(), ignored_mean.tobytes(), expression.tobytes()
    (folder / "Exp_Pca.bin").write_bytes(b"".join(parts))
    np.savetxt(folder / "std_exp.txt", expression_deviations[None])
    cut = {key: np.zeros((80, COUNT, 3)) for key in bases}
    moves, colors = np.zeros((64, COUNT, 3)), np.zeros((COUNT, 3))
    for vertex in range(COUNT):
        source = trim[front[vertex]]
        for key, basis in bases.items():
            for component in range(80):
                cut[key][component, vertex] = basis[component, source] * deviations[component]
        for component in range(64):
            moves[component, vertex] = expression[component, front[vertex]] * expression_deviations[component]
        colors[vertex] = color[source]
    return MorphableModel(
        np.float32((mean - mean.mean(axis=0)) / 1e5),
        np.float32(cut["shape"] / 1e5),
        np.float32(moves / 1e5),
        np.ones(80, np.float32),
        np.ones(64, np.float32),
        np.float32(colors / 255),
        np.float32(cut["tex"] / 255),
        np.int32(info["tri"] - 1),
        KEYPOINTS.astype(np.int64),
        SKIN,
        chosen,
        np.array(0.1),
    )


def test_deep3d_from_the_basel_face_model(tmp_path):
    wanted = write_basel(tmp_path)
    model = read_morphable(tmp_path)
    check_same(model, wanted)
    # what Deep3D's own file would hold of it is read as the same
    arrays = {"meanshape": wanted.mean, "meantex": wanted.albedo_mean * 255, "texBase": columns(wanted.albedo) * 255}
    info = {"tri": wanted.triangles + 1, "tri_mask2": wanted.triangles[wanted.front] + 1, "skinmask": SKIN * 1}
    info |= {"idBase": columns(wanted.identity), "exBase": columns(wanted.expression), "keypoints": KEYPOINTS + 1}
    savemat(tmp_path / "BFM_model_front.mat", arrays | info)
    check_same(read_morphable(tmp_path), model)


# --- 3DDFA


@pytest.mark.parametrize("own_triangles", [False, True])
def test_3ddfa_v2(tmp_path, own_triangles):
    mean, triangles = grid(1e-6)
    identity, expression = normal(6, COUNT, 3), normal(3, COUNT, 3) * 1e4
    content = {
        "u": np.float32(mean).reshape(-1, 1),
        "w_shp": columns(identity),
        "w_exp": columns(expression),
        "keypoints": FLAT,
    }
    clockwise = triangles[:, [0, 2, 1]].T.astype(np.int32)  # as 3DDFA has them
    if own_triangles:
        content["tri"] = clockwise
    else:
        (tmp_path / "tri.pkl").write_bytes(pickle.dumps(clockwise))
    (tmp_path / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(content, protocol=2))
    for path in (tmp_path, tmp_path / "bfm_noneck_v3.pkl"):
        check_model(read_morphable(path), 1e-6, mean, identity, expression, triangles)


@pytest.mark.parametrize("place", ["train.configs", "visualize"])
def test_3ddfa_v1(tmp_path, place):
    mean, triangles = grid(1e-6)
    identity, expression, neutral = normal(6, COUNT, 3), normal(3, COUNT, 3) * 1e4, normal(3 * COUNT, 1) * 1e3
    configs = tmp_path / "train.configs"
    for folder in {configs, tmp_path / place}:
        folder.mkdir()
    arrays = {"u_shp": np.float32(mean).reshape(-1, 1) - neutral, "u_exp": neutral, "keypoints_sim": FLAT}
    for name, array in {**arrays, "w_shp_sim": columns(identity), "w_exp_sim": columns(expression)}.items():
        np.save(configs / f"{name}.npy", array)
    savemat(tmp_path / place / "tri.mat", {"tri": triangles[:, [0, 2, 1]].T.astype(np.uint16) + 1})
    check_model(read_morphable(configs), 1e-6, mean, identity, expression, triangles)


def test_68_points_of_3ddfa(tmp_path):
    mean, identity, expression = normal(68, 3) * 1e4, normal(6, 68, 3), normal(3, 68, 3) * 1e4
    np.savetxt(tmp_path / "u_base.txt", mean.ravel())
    np.savetxt(tmp_path / "w_shp_base.txt", columns(identity))
    np.savetxt(tmp_path / "w_exp_base.txt", columns(expression))
    model = read_morphable(tmp_path)
    check_model(model, 1e-6, mean, identity, expression, np.zeros((0, 3)), np.arange(68))


@pytest.mark.parametrize("names", [("mean", "std"), ("param_mean", "param_std")])
def test_parameter_statistics(tmp_path, names):
    mean, std = normal(62), normal(62)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({names[0]: mean, names[1]: std}, protocol=2))
    got = read_parameter_statistics(tmp_path / "p.pkl")
    np.testing.assert_array_equal(got, (mean, std))
    assert got[0].dtype == got[1].dtype == np.float32
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({names[0]: mean, names[1]: std[:-1]}))
    with pytest.raises(InputError, match=rf"p\.pkl: {names[1]}: wanted shape \(62\), got \(61,\)"):
        read_parameter_statistics(tmp_path / "p.pkl")
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([mean, std]))
    with pytest.raises(InputError, match=r"p\.pkl: wanted a pickled dict, got list"):
        read_parameter_statistics(tmp_path / "p.pkl")


# --- ICT-FaceKit


def facekit_obj(vertices, quads):
    """An .obj of quads of which the first 100 are the face's."""
    lines = [f"f {' '.join(f'{corner + 1}/1' for corner in quad)}\n" for quad in quads]
    vertex_lines = obj_text(vertices, np.zeros((0, 3), int))
    return "".join([vertex_lines, "usemtl M_Face\n", *lines[:100], "usemtl M_Teeth\n", *lines[100:]])


def write_facekit(folder):
    """Both forms of one model, in folders objs and compact; returns its arrays with all triangles and the face's."""
    mean, _ = grid(0.01)
    mean = np.round(mean, 6)
    a, b, c, d = np.arange(COUNT).reshape(ROWS, COLUMNS)[:-1, :-1].ravel() + np.array(
        [[0], [1], [COLUMNS], [COLUMNS + 1]]
    )
    quads = np.stack([a, c, d, b], axis=1)
    triangles = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    # numbers that float16 holds and six decimals write
    identity, expression = (RANDOM.integers(-64, 64, (count, COUNT, 3)) / 64 for count in (3, 2))
    names = ["jawOpen", "eyeBlink_L"]
    (folder / "objs").mkdir()
    meshes = {"generic_neutral_mesh": mean, **dict(zip(names, mean + expression, strict=True))}
    meshes |= {f"identity{number:03d}": mean + offsets for number, offsets in enumerate(identity)}
    for name, vertices in meshes.items():
        (folder / "objs" / f"{name}.obj").write_text(facekit_obj(vertices, quads))
    table = {"expressions": names, "idx_to_landmark_verts": KEYPOINTS.tolist()}
    (folder / "objs" / "vertex_indices.json").write_text(json.dumps(table))
    (folder / "compact").mkdir()
    np.savez(
        folder / "compact" / "ict_facekit_compact.npz",
        neutral=np.float32(mean),
        identity=np.float16(identity),
        expression=np.float16(expression),
        triangles=np.int32(triangles),
        triangle_polygon=np.repeat(np.arange(len(quads)), 2),
        landmarks68=KEYPOINTS,
        region_names=["face", "teeth"],
        region_polygons=[[0, 99], [100, len(quads) - 1]],
        units="centimetres; deltas are added to neutral",
    )
    return mean, identity, expression, triangles, triangles[:200]


@pytest.mark.parametrize("form", ["objs", "compact"])
def test_facekit(tmp_path, form):
    mean, identity, expression, triangles, face = write_facekit(tmp_path)
    model = read_morphable(tmp_path / form)
    check_same(
        model,
        MorphableModel(
            *(np.float32(array) for array in (mean, identity, expression)),
            np.ones(3, np.float32),
            np.ones(2, np.float32),
            np.zeros((0, 3), np.float32),
            np.zeros((0, 0, 3), np.float32),
            np.int32(triangles),
            KEYPOINTS.astype(np.int64),
            np.isin(np.arange(COUNT), face),
            np.arange(200),
            np.array(0.01),
        ),
        tolerance=2e-6,  # six decimals of the .obj, of some centimetres, twice
    )


# --- mistakes


def test_what_is_no_morphable_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_morphable(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"wanted a folder with one of BFM_model_front\.mat"):
        read_morphable(tmp_path)
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(InputError, match=r"a\.txt: wanted .*or another \.mat"):
        read_morphable(tmp_path / "a.txt")
    for name in ("a.mat", "a.pkl", "a.npz"):
        (tmp_path / name).write_bytes(b"no such file" * 100)
        with pytest.raises(InputError, match=rf"{name}: cannot read it"):
            read_morphable(tmp_path / name)


def change_mat(path, **changes):
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")} | changes
    savemat(path, {key: value for key, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texBase": None}, "wanted an array texBase, got exBase, idBase"),
        ({"idBase": np.zeros((599, 5))}, r"idBase: wanted shape \(600, any\), got \(599, 5\)"),
        ({"meanshape": np.zeros((1, 601))}, "meanshape: wanted three numbers a vertex, got 601"),
        ({"meantex": np.zeros((1, 599))}, r"meantex: wanted shape \(600\), got \(599,\)"),
        ({"tri": np.full((5, 3), 201)}, r"tri: wanted indices 1\.\.200, got 201\.\.201"),
        ({"tri": np.zeros((5, 3))}, r"tri: wanted indices 1\.\.200, got 0\.0\.\.0\.0"),
        ({"tri": np.ones((5, 4))}, r"tri: wanted shape \(any, 3\), got \(5, 4\)"),
        ({"tri": np.array([["a"]])}, "tri: wanted numbers, got dtype"),
        ({"tri_mask2": np.array([[1, 2, 200]])}, "tri_mask2: wanted triangles of tri, got 1 others of 1"),
        ({"keypoints": np.arange(1, 68)}, "wanted 68 key points, got 67"),
        ({"keypoints": np.full(68, 1.5)}, r"keypoints: wanted indices 1\.\.200"),
        ({"exBase": np.full((600, 2), np.nan)}, "exBase: wanted finite numbers, got 1200"),
        ({"skinmask": np.zeros((1, 3))}, r"skinmask: wanted shape \(200\), got \(3,\)"),
    ],
)
def test_wrong_arrays_of_deep3d(tmp_path, changes, message):
    write_front(tmp_path)
    change_mat(tmp_path / "BFM_model_front.mat", **changes)
    with pytest.raises(InputError, match=rf"BFM_model_front\.mat: .*{message}"):
        read_morphable(tmp_path)


def test_front_triangles_that_are_no_triangles_are_left_out(tmp_path):
    wanted = write_front(tmp_path)
    path = tmp_path / "BFM_model_front.mat"
    info = loadmat(path)["tri_mask2"]
    others = np.array([[1, 2, 200 - i] for i in range(len(info) + 1)])  # across the bowl
    change_mat(path, tri_mask2=np.concatenate([others[:20], info, others[20:-1]]))
    np.testing.assert_array_equal(read_morphable(path).front, wanted.front)
    change_mat(path, tri_mask2=np.concatenate([others, info]))
    with pytest.raises(InputError, match=r"tri_mask2: wanted triangles of tri, got 51 others of 101"):
        read_morphable(path)


def test_wrong_files_of_the_basel_face_model(tmp_path):
    write_basel(tmp_path)
    content = (tmp_path / "Exp_Pca.bin").read_bytes()
    (tmp_path / "Exp_Pca.bin").write_bytes(content[:-4])
    with pytest.raises(
        InputError, match=rf"Exp_Pca\.bin: wanted 70 components of 230 vertices in {len(content)} bytes"
    ):
        read_morphable(tmp_path)
    (tmp_path / "Exp_Pca.bin").write_bytes(content)
    np.savetxt(tmp_path / "std_exp.txt", np.ones(69))
    with pytest.raises(InputError, match=r"std_exp\.txt: wanted 70 deviations, got 69"):
        read_morphable(tmp_path)
    change_mat(tmp_path / "BFM_front_idx.mat", idx=np.array([[231]]))
    with pytest.raises(InputError, match=r"BFM_front_idx\.mat: idx: wanted indices 1\.\.230, got 231\.\.231"):
        read_morphable(tmp_path)
    (tmp_path / "BFM_exp_idx.mat").unlink()
    with pytest.raises(FileNotFoundError, match="BFM_exp_idx"):
        read_morphable(tmp_path)


def test_wrong_arrays_of_3ddfa(tmp_path):
    mean, _ = grid(1e-6)
    whole = {"u": mean, "w_shp": normal(600, 2), "w_exp": normal(600, 2), "keypoints": FLAT}
    path = tmp_path / "bfm_noneck_v3.pkl"
    path.write_bytes(pickle.dumps(whole))
    with pytest.raises(FileNotFoundError, match=r"tri\.pkl"):
        read_morphable(path)
    for change, message in (
        ({"keypoints": FLAT + 1}, "wanted 68 times 3k"),
        ({"keypoints": FLAT[:-3]}, "wanted 68 times 3k"),
        ({"w_exp": normal(599, 2)}, r"expression: wanted shape \(600, any\)"),
        ({"tri": np.ones((4, 3), int)}, r"tri: wanted shape \(any, 3\), got \(3, 4\)"),
    ):
        path.write_bytes(pickle.dumps(whole | {"tri": np.int32([[0], [1], [2]])} | change))
        with pytest.raises(InputError, match=rf"bfm_noneck_v3\.pkl: .*{message}"):
            read_morphable(path)
    del whole["w_shp"]
    path.write_bytes(pickle.dumps(whole))
    with pytest.raises(InputError, match="wanted an array w_shp, got keypoints, u, w_exp"):
        read_morphable(path)


def test_wrong_files_of_facekit(tmp_path):
    write_facekit(tmp_path)
    compact = tmp_path / "compact" / "ict_facekit_compact.npz"
    whole = dict(np.load(compact))
    for change, message in (
        ({"units": "millimetres"}, "units: wanted centimetres, got 'millimetres'"),
        ({"region_names": ["head", "teeth"]}, "region_names: wanted face among them"),
        ({"identity": normal(3, 199, 3)}, r"identity: wanted shape \(any, 200, 3\), got \(3, 199, 3\)"),
    ):
        np.savez(compact, **whole | change)
        with pytest.raises(InputError, match=message):
            read_morphable(compact)
    objs = tmp_path / "objs"
    neutral = (objs / "generic_neutral_mesh.obj").read_text()
    (objs / "identity001.obj").write_text(neutral.split("\n", 1)[1])
    with pytest.raises(InputError, match=r"identity001\.obj: vertices: wanted shape \(200, 3\), got \(199, 3\)"):
        read_morphable(objs)
    (objs / "identity001.obj").unlink()
    with pytest.raises(FileNotFoundError, match=r"identity001\.obj"):  # there are two, but not the first two
        read_morphable(objs)
    (objs / "identity001.obj").write_text(neutral)
    (objs / "generic_neutral_mesh.obj").write_text(neutral.replace("M_Face", "Material"))
    with pytest.raises(InputError, match=r"generic_neutral_mesh\.obj: wanted faces of the material M_Face, got none"):
        read_morphable(objs)
    (objs / "vertex_indices.json").write_text("{}")
    with pytest.raises(InputError, match=r"vertex_indices\.json: wanted expressions and idx_to_landmark_verts"):
        read_morphable(objs)
