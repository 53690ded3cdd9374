"""ICT-FaceKit's files: the published ones, where they are at hand, and a made-up clone."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from util.errors import InputError
from util.ict_files import IctModel, read_ict, save_ict

FACEKIT = Path(__file__).parents[3] / "shared" / "ict_facekit"
COMPACT = "ict_facekit_compact.npz"
HEADER = "# a comment\nmtllib some.mtl\n"
# a square, its middle line raised, and a triangle of teeth; centimetres
LEFT, MIDDLE, RIGHT = ([[x, 1, z], [x, -1, z]] for x, z in ((-1, 0), (0, 2), (1, 0)))
VERTICES = np.array([*zip(LEFT, MIDDLE, RIGHT, strict=True)]).reshape(-1, 3)
VERTICES = np.concatenate([VERTICES, [[0, 0, 0], [1, 0, 0], [0, 1, 0]]])
FACES = """vt 0 0
vt 0.5 0
vt 1.25 0.75
usemtl M_Face
f 4/1 5/2 2/3 1/1
f 5/1 6/2 3/3 2/1
usemtl M_Unknown
f 1/1 2/1 3/1
usemtl M_Teeth
f 7/3 8/2 9/1
"""


def write_clone(folder: Path, identities: int = 2) -> None:
    """A clone of ICT-FaceKit with few vertices; identity i moves all by (i + 1, 0, 0), jawOpen by (0, -3, 0)."""
    folder.mkdir(parents=True)
    meshes = {"generic_neutral_mesh": VERTICES, "jawOpen": VERTICES - [0, 3, 0]}
    meshes |= {f"identity{number:03d}": VERTICES + [number + 1, 0, 0] for number in range(identities)}
    for name, vertices in meshes.items():
        lines = "".join(f"v {x:.6g} {y:.6g} {z:.6g}\n" for x, y, z in vertices)
        (folder / f"{name}.obj").write_text(HEADER + lines + FACES)
    table = {"expressions": ["browDown_L", "jawOpen"], "idx_to_landmark_verts": [number % 9 for number in range(68)]}
    (folder / "vertex_indices.json").write_text(json.dumps(table))


def check_same(got: IctModel, want: IctModel) -> None:
    for field in fields(IctModel):
        one, other = getattr(got, field.name), getattr(want, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other, field.name


def test_a_clone_is_read(tmp_path):
    write_clone(tmp_path / "FaceXModel")
    model = read_ict(tmp_path / "FaceXModel")
    check_same(read_ict(tmp_path), model)
    np.testing.assert_array_equal(model.neutral, np.float32(VERTICES) * np.float32(0.01))
    moved = np.broadcast_to(np.float32([[[0.01, 0, 0]], [[0.02, 0, 0]]]), (2, 9, 3))
    np.testing.assert_array_equal(model.identity, moved)
    np.testing.assert_array_equal(model.expression, np.broadcast_to(np.float32([0, -0.03, 0]), (1, 9, 3)))
    assert model.identity_names == ("identity000", "identity001")
    assert model.expression_names == ("jawOpen",)  # the other one has no file
    corners = [[3, 4, 1], [3, 1, 0], [4, 5, 2], [4, 2, 1], [0, 1, 2], [6, 7, 8]]
    np.testing.assert_array_equal(model.triangles, corners)
    np.testing.assert_array_equal(model.triangle_polygon, [0, 0, 1, 1, 2, 3])
    of_uv = [[0, 1, 2], [0, 2, 0], [0, 1, 2], [0, 2, 0], [0, 0, 0], [2, 1, 0]]
    np.testing.assert_array_equal(model.triangle_uv, of_uv)
    np.testing.assert_array_equal(model.uv, np.float32([[0, 0], [0.5, 0], [1.25, 0.75]]))
    assert model.regions == {"face": (slice(0, 6), slice(0, 2)), "teeth": (slice(6, 9), slice(3, 4))}
    np.testing.assert_array_equal(model.triangles_of("teeth"), [5])
    np.testing.assert_array_equal(model.landmarks68, np.arange(68) % 9)
    types = [getattr(model, name).dtype.name for name in ("neutral", "identity", "expression", "triangles", "uv")]
    assert types == ["float32", "float32", "float32", "int32", "float32"]


def test_the_compact_file_holds_the_same(tmp_path):
    write_clone(tmp_path / "clone")
    model = read_ict(tmp_path / "clone")
    save_ict(model, tmp_path / COMPACT)
    for path in (tmp_path / COMPACT, tmp_path):
        check_same(read_ict(path), model)  # these numbers are whole centimetres, which float16 holds
    with np.load(tmp_path / COMPACT) as arrays:
        assert arrays["identity"].dtype == arrays["expression"].dtype == np.float16
        np.testing.assert_array_equal(arrays["neutral"], np.float32(VERTICES))
        np.testing.assert_array_equal(arrays["region_vertices"], [[0, 5], [6, 8]])


def test_a_compact_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_clone(tmp_path / "clone")
    model = read_ict(tmp_path / "clone")
    save_ict(model, tmp_path / COMPACT)
    before = (tmp_path / COMPACT).read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="cannot write it"):
        save_ict(model, tmp_path / COMPACT)
    assert (tmp_path / COMPACT).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", COMPACT]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("generic_neutral_mesh", "M_Face", "M_Other", "wanted faces of the material M_Face, got none"),
        ("generic_neutral_mesh", "M_Teeth", "M_BackHead", "M_BackHead: wanted 4804 polygons, got 1"),
        ("generic_neutral_mesh", "M_Teeth", "M_EyeLashes", "M_EyeLashes: wanted 0 polygons, got 1"),
        ("generic_neutral_mesh", "f 7/3 8/2 9/1", "f 7/3 8/2 10/1", r"triangles: wanted indices 0\.\.8, got 0\.\.9"),
        ("generic_neutral_mesh", "f 7/3", "f 7", "line 21: wanted corners like 1/1"),
        ("generic_neutral_mesh", "f 7/3", "f x/3", "line 21: cannot read"),
        ("generic_neutral_mesh", "v ", "w ", "wanted vertices, got none"),
        ("jawOpen", "v -1 -2", "v -1 two", r"jawOpen\.obj: cannot read it"),
        ("jawOpen", "v -1 -2 0\n", "", r"jawOpen\.obj: vertices: wanted shape \(9, 3\), got \(8, 3\)"),
    ],
)
def test_wrong_obj_files(tmp_path, file, old, new, message):
    write_clone(tmp_path / "clone")
    path = tmp_path / "clone" / f"{file}.obj"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_ict(tmp_path / "clone")


def test_what_is_no_clone(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_ict(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"wanted a folder with generic_neutral_mesh\.obj"):
        read_ict(tmp_path)
    write_clone(tmp_path / "faces", identities=0)
    with pytest.raises(InputError, match=r"wanted \.obj files of the model's identity, got none"):
        read_ict(tmp_path / "faces")
    write_clone(tmp_path / "still")
    (tmp_path / "still" / "jawOpen.obj").unlink()
    with pytest.raises(InputError, match=r"wanted \.obj files of the model's expression, got none"):
        read_ict(tmp_path / "still")


def test_wrong_compact_files(tmp_path):
    write_clone(tmp_path / "clone")
    save_ict(read_ict(tmp_path / "clone"), tmp_path / COMPACT)
    with np.load(tmp_path / COMPACT) as arrays:
        whole = dict(arrays)
    for change, message in (
        ({"expression_names": np.array(["one", "two"])}, "expression_names: wanted 1 names, got 2"),
        ({"triangle_uv": np.full((6, 3), 3)}, r"triangle_uv: wanted indices 0\.\.2, got 3\.\.3"),
        ({"landmarks68": np.arange(67)}, r"landmarks: wanted shape \(68\), got \(67,\)"),
        ({"region_polygons": np.array([[0, 1], [9, 9]])}, "region teeth: wanted triangles, got none"),
    ):
        np.savez(tmp_path / COMPACT, **whole | change)
        with pytest.raises(InputError, match=message):
            read_ict(tmp_path / COMPACT)


def test_published_files_are_the_compact_file(tmp_path):
    if not FACEKIT.is_dir():
        pytest.skip(f"no {FACEKIT}")
    for path in (*FACEKIT.glob("*.obj"), FACEKIT / "vertex_indices.json"):
        (tmp_path / path.name).symlink_to(path)
    compact, published = read_ict(FACEKIT / COMPACT), read_ict(tmp_path)
    assert len(compact.identity) == 100
    assert len(compact.expression) == 53
    assert len(published.identity) == 3
    assert len(published.expression) == 6
    places = [compact.expression_names.index(name) for name in published.expression_names]
    chosen = replace(
        compact,
        identity=published.identity,
        expression=published.expression,
        identity_names=compact.identity_names[:3],
        expression_names=tuple(compact.expression_names[place] for place in places),
    )
    check_same(published, chosen)
    for got, want in ((compact.identity[:3], published.identity), (compact.expression[places], published.expression)):
        # half a unit in the last of float16's eleven bits, and of the .obj's six digits of some centimetres, in metres
        np.testing.assert_allclose(got, want, rtol=2**-11, atol=2e-7)
    with np.load(FACEKIT / COMPACT) as arrays:
        ranges = [(own.vertices.start, own.vertices.stop - 1) for own in compact.regions.values()]
        np.testing.assert_array_equal(ranges, arrays["region_vertices"])
        assert list(compact.regions) == arrays["region_names"].tolist()
