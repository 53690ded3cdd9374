"""Morphable models from the files that users of published systems have.

All of them are in the frame of models.morphable: +x the face's left, +y up, +z out of the face. Measured, by the 68
points: in the 68-point bases of 3DDFA, and with them in all of the Basel Face Model's, the jaw's first point, on the
face's right, has x = -74 mm, the brows have larger y than the chin, and the tip of the nose has the largest z; in
ICT-FaceKit the same, and what it calls left has x > 0. So no axis is turned.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.morphable import MorphableModel
from util.checks import check_indices, check_numbers
from util.errors import InputError
from util.ict_files import METRES, read_ict
from util.mat_files import array_of, read_mat, unreadable
from util.pickled_arrays import read_pickle

# Deep3D's own cut of the Basel Face Model: components of identity and of albedo, and of expression.
BASEL_COMPONENTS, EXPRESSION_COMPONENTS = 80, 64
# Its unit in those of the Basel Face Model, which are micrometres.
DECIMETRE = 1e5
FRONT_KEYS = ("meanshape", "idBase", "exBase", "meantex", "texBase")
INFO_KEYS = ("tri", "tri_mask2", "keypoints", "skinmask")
BASEL_KEYS = ("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV")


def read_morphable(path: str | Path) -> MorphableModel:
    """The morphable model of a file or a folder, told apart by what it is.

    Deep3DFaceRecon: BFM_model_front.mat, or a folder with 01_MorphableModel.mat, Exp_Pca.bin, std_exp.txt,
    BFM_front_idx.mat, BFM_exp_idx.mat and facemodel_info.mat, from which that file is made; decimetres, the only ones
    with colours. 3DDFA_V2: bfm_noneck_v3.pkl with tri.pkl beside it. 3DDFA: its folder train.configs with tri.mat in
    it or in visualize beside it, or a folder with the 68-point bases u_base.txt, w_shp_base.txt and w_exp_base.txt, a
    model of 68 vertices without triangles; all in micrometres. ICT-FaceKit: the published folder of .obj files with
    vertex_indices.json, or ict_facekit_compact.npz; centimetres. A folder that holds one of the files will do for it.

    Deviations of coefficients are ones, as the files have none: Deep3D's bases are multiplied by theirs already,
    ICT-FaceKit's identities, too, and its expressions go from 0 to 1; 3DDFA's, of 1e4 to 1e6 for identity, are in its
    parameter statistics (`read_parameter_statistics`), with means that are not 0. What else a source does not have is
    left out: no albedo, no skin, and all triangles are the front. Raises FileNotFoundError, or InputError that names
    the file and the array with what was wanted and got.
    """
    path = Path(path)
    if path.is_dir():
        names = [name for name in READERS if (path / name).is_file()]
        if not names:
            raise InputError(f"morphable model {path}: wanted a folder with one of {', '.join(READERS)}, got none")
        return READERS[names[0]](path / names[0])
    if not path.is_file():
        raise FileNotFoundError(f"morphable model {path}: no such file or folder")
    reader = READERS.get(path.name, READERS_BY_SUFFIX.get(path.suffix))
    if reader is None:
        wanted = f"{', '.join(READERS)}, or another {', '.join(READERS_BY_SUFFIX)}"
        raise InputError(f"morphable model {path}: wanted {wanted}")
    return reader(path)


def read_parameter_statistics(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, both (62,) float32, or as many as there are, of 3DDFA's parameters: twelve numbers
    of the pose, then identity and expression.

    path: param_mean_std_62d_120x120.pkl of 3DDFA_V2 or param_whitening.pkl of 3DDFA. Raises FileNotFoundError, or
    InputError that names the file.
    """
    content = read_dict(Path(path))
    names = ("param_mean", "param_std") if "param_mean" in content else ("mean", "std")
    mean, std = (array_of(content, path, name) for name in names)
    mean = check_numbers(f"{path}: {names[0]}", mean, (None,))
    return mean.astype(np.float32), check_numbers(f"{path}: {names[1]}", std, mean.shape).astype(np.float32)


def read_front(path: Path) -> MorphableModel:
    """Deep3D's BFM_model_front.mat."""
    return front_model(path, read_mat(path, FRONT_KEYS + INFO_KEYS))


def read_basel(path: Path) -> MorphableModel:
    """What Deep3D makes of the Basel Face Model of 2009, here 01_MorphableModel.mat, with the expressions of Guo et al.
    and its own tables beside it: bases times deviations, in decimetres, the first components, the frontal vertices."""
    folder = path.parent
    basel = read_mat(path, BASEL_KEYS)
    tables = {
        name: read_mat(folder / file, (name,))[name].ravel()
        for name, file in (("idx", "BFM_front_idx.mat"), ("trimIndex", "BFM_exp_idx.mat"))
    }
    size, count = len(tables["trimIndex"]), len(vertices_of(f"{path}: shapeMU", basel["shapeMU"]))
    of_expressions = check_indices(f"{folder / 'BFM_front_idx.mat'}: idx", tables["idx"], (None,), size, first=1)
    of_faces = check_indices(f"{folder / 'BFM_exp_idx.mat'}: trimIndex", tables["trimIndex"], (None,), count, first=1)
    of_faces = of_faces[of_expressions]
    arrays = read_mat(folder / "facemodel_info.mat", INFO_KEYS)
    for kind, mean_key, key, unit in (("shape", "meanshape", "idBase", DECIMETRE), ("tex", "meantex", "texBase", 1)):
        mean, columns, deviations = (basel[f"{kind}{part}"] for part in ("MU", "PC", "EV"))
        mean = check_numbers(f"{path}: {kind}MU", mean.ravel(), (3 * count,)).reshape(-1, 3)
        columns = check_numbers(f"{path}: {kind}PC", columns, (3 * count, None))
        deviations = check_numbers(f"{path}: {kind}EV", deviations.ravel(), columns.shape[1:])
        arrays[mean_key] = mean[of_faces] / unit
        arrays[key] = rows_of((columns * deviations)[:, :BASEL_COMPONENTS], of_faces) / unit
    arrays["exBase"] = rows_of(read_expressions(folder, size), of_expressions) / DECIMETRE
    return front_model(folder, arrays)


def read_expressions(folder: Path, size: int) -> np.ndarray:
    """(3 * size, E) columns of Exp_Pca.bin, a number of components, their mean, which Deep3D leaves out, and the
    components, times the deviations of std_exp.txt; micrometres."""
    path = folder / "Exp_Pca.bin"
    deviations = read_text(folder / "std_exp.txt").ravel()
    content = path.read_bytes()
    count = int.from_bytes(content[:4], "little")
    if len(content) != 4 * (1 + 3 * size * (1 + count)):
        wanted = f"{count} components of {size} vertices in {4 * (1 + 3 * size * (1 + count))} bytes"
        raise InputError(f"{path}: wanted {wanted}, got {len(content)} bytes")
    if len(deviations) != count:
        raise InputError(f"{folder / 'std_exp.txt'}: wanted {count} deviations, got {len(deviations)}")
    rows = np.frombuffer(content, "<f4", offset=4).reshape(1 + count, -1)[1:]
    return (rows.T * deviations)[:, :EXPRESSION_COMPONENTS]


def rows_of(columns: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(3n, K) the rows of vertices (n,) in columns (3N, K)."""
    return columns.reshape(-1, 3, columns.shape[1])[vertices].reshape(-1, columns.shape[1])


def front_model(path: Path, arrays: dict[str, np.ndarray]) -> MorphableModel:
    """The model of the arrays that BFM_model_front.mat consists of; its mean is moved to the mean of its vertices, as
    Deep3D does when it loads it."""
    mean = vertices_of(f"{path}: meanshape", arrays["meanshape"]).astype(np.float64)
    triangles = check_indices(f"{path}: tri", arrays["tri"], (None, 3), len(mean), first=1)
    chosen = check_indices(f"{path}: tri_mask2", arrays["tri_mask2"], (None, 3), len(mean), first=1)
    colors = check_numbers(f"{path}: meantex", arrays["meantex"].ravel(), (mean.size,)).reshape(-1, 3) / 255
    return make_model(
        path,
        0.1,
        mean - mean.mean(axis=0),
        components(f"{path}: idBase", arrays["idBase"], mean.size),
        components(f"{path}: exBase", arrays["exBase"], mean.size),
        triangles,
        check_indices(f"{path}: keypoints", arrays["keypoints"].ravel(), (None,), len(mean), first=1),
        front=find_triangles(path, triangles, chosen),
        skin=check_numbers(f"{path}: skinmask", arrays["skinmask"].ravel(), (len(mean),)) != 0,
        albedo_mean=colors,
        albedo=components(f"{path}: texBase", arrays["texBase"], mean.size) / 255,
    )


def find_triangles(path: Path, triangles: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(n,) where chosen triangles (m, 3) stand among triangles (F, 3), whichever corner comes first. Those that are not
    there are left out, as they are never drawn; raises InputError where these are more than half."""
    places = {tuple(sorted(row)): place for place, row in enumerate(triangles.tolist())}
    found = np.array([places.get(tuple(sorted(row)), -1) for row in chosen.tolist()], dtype=np.int64)
    others = (found == -1).sum()
    if 2 * others > len(found):
        raise InputError(f"{path}: tri_mask2: wanted triangles of tri, got {others} others of {len(found)}")
    return found[found != -1]


def read_noneck(path: Path) -> MorphableModel:
    """3DDFA_V2's bfm_noneck_v3.pkl, whose triangles are in tri.pkl beside it, or another such file with its own."""
    content = read_dict(path)
    mean, *parts = (array_of(content, path, name) for name in ("u", "w_shp", "w_exp", "keypoints"))
    source = path if "tri" in content else path.with_name("tri.pkl")
    triangles = content["tri"] if "tri" in content else read_pickle(source)
    return flat_model(path, mean, *parts, (f"{source}: tri", triangles, 0))


def read_configs(path: Path) -> MorphableModel:
    """3DDFA's folder train.configs, told by its u_shp.npy; its triangles, tri.mat, are in visualize beside it."""
    folder = path.parent
    names = ("u_shp", "u_exp", "w_shp_sim", "w_exp_sim", "keypoints_sim")
    face, neutral, *parts = (read_npy(folder / f"{name}.npy") for name in names)
    face = check_numbers(str(path), face.ravel(), (None,))
    mean = face + check_numbers(str(folder / "u_exp.npy"), neutral.ravel(), face.shape)
    tri = folder / "tri.mat"
    if not tri.is_file():
        tri = folder.parent / "visualize" / "tri.mat"
    return flat_model(folder, mean, *parts, (f"{tri}: tri", read_mat(tri, ("tri",))["tri"], 1))


def read_points(path: Path) -> MorphableModel:
    """3DDFA's 68-point bases: the rows of the three text files go x0, y0, z0, x1 ... over the points."""
    mean, *parts = (read_text(path.with_name(f"{name}.txt")) for name in ("u_base", "w_shp_base", "w_exp_base"))
    mean = check_numbers(str(path), mean, (3 * 68,))
    return flat_model(path.parent, mean, *parts, np.arange(3 * 68), (str(path), np.zeros((3, 0), np.int64), 0))


def flat_model(
    path: Path,
    mean: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    keypoints: np.ndarray,
    triangles: tuple[str, np.ndarray, int],
) -> MorphableModel:
    """The model of 3DDFA's arrays: mean (3N,), columns (3N, K) and (3N, E), micrometres, and keypoints (204,), of which
    three in a row are the numbers of one vertex in them; triangles: name, array (3, F) and the first vertex's index."""
    mean = vertices_of(f"{path}: mean", mean)
    flat = check_indices(f"{path}: keypoints", np.ravel(keypoints), (None,), mean.size)
    if len(flat) != 3 * 68 or (flat.reshape(-1, 3) != flat[::3, None] // 3 * 3 + np.arange(3)).any():
        raise InputError(f"{path}: keypoints: wanted 68 times 3k, 3k + 1, 3k + 2, got {len(flat)}: {flat[:6]} ...")
    name, array, first = triangles
    return make_model(
        path,
        1e-6,
        mean,
        components(f"{path}: identity", identity, mean.size),
        components(f"{path}: expression", expression, mean.size),
        check_indices(name, array.T, (None, 3), len(mean), first),
        flat[::3] // 3,
    )


def read_facekit(path: Path) -> MorphableModel:
    """ICT-FaceKit, either form, in its centimetres. All of its head is kept: face, back and neck, sockets of mouth and
    eyes, gums, tongue, teeth, eyeballs, lashes; the triangles of the face, without all these, are the front and its
    vertices the skin."""
    model = read_ict(path if path.suffix == ".npz" else path.parent)
    front = model.triangles_of("face")
    return make_model(
        path,
        METRES,
        model.neutral / METRES,
        model.identity / METRES,
        model.expression / METRES,
        model.triangles,
        model.landmarks68,
        front=front,
        skin=np.isin(np.arange(len(model.neutral)), model.triangles[front]),
    )


def make_model(
    path: Path,
    metres: float,
    mean: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    triangles: np.ndarray,
    keypoints: np.ndarray,
    front: np.ndarray | None = None,
    skin: np.ndarray | None = None,
    albedo_mean: np.ndarray | None = None,
    albedo: np.ndarray | None = None,
) -> MorphableModel:
    """The model of checked arrays, with what is left out empty, deviations of ones, and triangles turned around where
    they are clockwise: 3DDFA's are, whose pictures have y down."""
    if len(keypoints) != 68:
        raise InputError(f"{path}: wanted 68 key points, got {len(keypoints)}")
    front = np.arange(len(triangles)) if front is None else front
    first, second, third = mean[triangles[front]].transpose(1, 0, 2)
    # the areas of a surface that is open behind add up towards where it looks
    if np.cross(second - first, third - first)[:, 2].sum() < 0:
        triangles = triangles[:, [0, 2, 1]]
    return MorphableModel(
        mean.astype(np.float32),
        identity.astype(np.float32),
        expression.astype(np.float32),
        np.ones(len(identity), np.float32),
        np.ones(len(expression), np.float32),
        np.zeros((0, 3), np.float32) if albedo_mean is None else albedo_mean.astype(np.float32),
        np.zeros((0, 0, 3), np.float32) if albedo is None else albedo.astype(np.float32),
        triangles.astype(np.int32),
        keypoints,
        np.zeros(len(mean), bool) if skin is None else skin,
        front,
        np.array(metres),
    )


def vertices_of(name: str, array: np.ndarray) -> np.ndarray:
    """(N, 3) of 3N numbers in an array of any shape."""
    flat = check_numbers(name, np.ravel(array), (None,))
    if flat.size == 0 or flat.size % 3:
        raise InputError(f"{name}: wanted three numbers a vertex, got {flat.size}")
    return flat.reshape(-1, 3)


def components(name: str, columns: np.ndarray, size: int) -> np.ndarray:
    """(K, N, 3) of columns (size, K), size being 3N."""
    return check_numbers(name, columns, (size, None)).T.reshape(-1, size // 3, 3)


def read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise unreadable(path, error) from None


def read_text(path: Path) -> np.ndarray:
    """The numbers of a text file, rows of equal length."""
    try:
        return np.loadtxt(path)
    except ValueError as error:
        raise unreadable(path, error) from None


def read_dict(path: Path) -> dict[str, Any]:
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: wanted a pickled dict, got {type(content).__name__}")
    return content


# By the file that tells them; of several in a folder the first counts.
READERS: dict[str, Callable[[Path], MorphableModel]] = {
    "BFM_model_front.mat": read_front,
    "01_MorphableModel.mat": read_basel,
    "bfm_noneck_v3.pkl": read_noneck,
    "u_shp.npy": read_configs,
    "u_base.txt": read_points,
    "ict_facekit_compact.npz": read_facekit,
    "generic_neutral_mesh.obj": read_facekit,
}
READERS_BY_SUFFIX = {".mat": read_front, ".pkl": read_noneck, ".npz": read_facekit}
