"""Options of step05."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from options.base_options import StepParser, add_aggregate_option, add_run_options, number, parse_run_name

# What --want knows, and the files that it stands for: X is the photo's name.
WANTS = {
    "overlay": "X_overlay.jpg: the lit meshes of all faces over the photo",
    "mesh": "X_<face>.obj and .ply: the mesh in metres, coloured; X_<face>_landmarks3d.txt: its 68 points",
    "landmarks": "X_landmarks.txt: the 68 points of all faces, x y in pixels, z in metres; .jpg: drawn",
    "pose": "X_pose.json: R_t, angles, translation and camera of all faces; .jpg: boxes over the photo",
    "depth": "X_depth.png: 16 bits, tenths of a millimetre, 0 is nothing; X_depth_colors.jpg: with a scale",
    "normal": "X_normal.png: normals in camera space as colours, x to the right, y up, z to the camera",
    "pncc": "X_pncc.png: projected normalised coordinate code, where on the mean face each pixel is",
    "paf": "X_<face>_paf.png: pose adaptive feature, the photo at 64x64 places of the face",
    "uv_texture": "X_<face>_uv_texture.png: the photo on the flat face; X_<face>_uv_seen.png: what is not made up",
    "glb": "X_<face>.glb: the mesh in metres with its texture, for any viewer",
    "json": "X_faces.json: poses, cameras, boxes, confidences and landmarks of all faces",
    "npz": "X_<face>.npz: everything as NumPy arrays",
    "mat": "X_<face>.mat: everything for MATLAB, indices from 1",
    "deformation": "X_<face>.0.obj, .1.obj, ...: the mesh before and after each block; _deformation.gif: turning",
}
USUAL_WANTS = "overlay,mesh,landmarks,pose"


def parse_wants(text: str) -> list[str]:
    """An argparse type: names of WANTS between commas, or "all"."""
    names = list(WANTS) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in WANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known are all, {', '.join(WANTS)}")
    return list(dict.fromkeys(names))


def parse_network_name(text: str) -> str:
    """An argparse type: the name of a run, or the path of an exported network."""
    return text if text.endswith(".onnx") else parse_run_name(text)


def parse_predict_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Find the faces of photos, folders of photos, a video or a webcam, and write their meshes, poses and pictures.",
        "python step05_predict.py --input photos --name run01",
    )
    parser.add_argument(
        "--input", metavar="PATH", help="photo, folder of photos (with those below it), video, or number of a webcam"
    )
    add_run_options(parser, name_type=parse_network_name)
    parser.add_argument("--epoch", choices=["best", "latest"], default="best", help="which checkpoint of the run")
    group = parser.add_argument_group("published networks")
    group.add_argument(
        "--method",
        choices=["run", "3ddfa", "deep3d"],
        default="run",
        help="what predicts: a run, --name; or --weights of 3DDFA or 3DDFA_V2, which writes all the files that 3DDFA "
        "does, of photos (util/threeddfa_files.py); or of Deep3DFaceRecon_pytorch, or a deep3d run, which write its "
        "files of the largest face of each photo (util/deep3d_outputs.py), overlays and poses",
    )
    group.add_argument(
        "--weights",
        type=Path,
        default=None,
        metavar="FILE",
        help="checkpoint of a published network, or of a run: for 3ddfa of --model radan, for deep3d of deep3d",
    )
    group.add_argument(
        "--statistics",
        type=Path,
        default=None,
        metavar="FILE",
        help="of 3DDFA's parameters: param_mean_std_62d_120x120.pkl or param_whitening.pkl, whichever is the network's",
    )
    group.add_argument(
        "--bases",
        type=Path,
        default=None,
        metavar="PATH",
        help="morphable model: bfm_noneck_v3.pkl with tri.pkl beside it, 3DDFA's folder train.configs, or a folder "
        "with its 68-point bases u_base.txt, w_shp_base.txt and w_exp_base.txt, which give no meshes; of deep3d "
        "BFM_model_front.mat, or a folder with what it is made from",
    )
    group.add_argument(
        "--convention",
        choices=["v1", "v2"],
        default="v2",
        help="count pixels of crops, and angles of heads turned sideways, as 3DDFA or as 3DDFA_V2, a pixel apart",
    )
    group.add_argument(
        "--box_rule",
        choices=["landmarks", "detector"],
        default="landmarks",
        help="of 3ddfa, what --boxes hold: landmarks: the 68 points, as everywhere else; detector: faces as FaceBoxes "
        "finds them, from forehead to chin, of which 3DDFA's own rule makes the first look",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output_dir", type=Path, default=Path("output/predict"), metavar="DIR", help="where results go"
    )
    known = "; ".join(f"{name}: {files}" for name, files in WANTS.items())
    group.add_argument(
        "--want", type=parse_wants, default=USUAL_WANTS, metavar="NAMES", help=f"of photos, all, or some of: {known}"
    )
    group.add_argument(
        "--frame",
        choices=["camera", "canonical"],
        default="camera",
        help="of the meshes: camera, where the face is in front of the camera, or canonical, upright at the origin",
    )
    group.add_argument(
        "--export",
        choices=["onnx"],
        default=None,
        help="write the network itself, <name>.onnx, which --name then takes in place of a run; needs no --input",
    )
    group = parser.add_argument_group("faces")
    group.add_argument(
        "--faces",
        choices=["given", "detected"],
        default="given",
        help="given: at the five or 68 points in text files beside a photo (detections/, landmarks/) or in --boxes, "
        "detected where there are none; detected: always detected",
    )
    group.add_argument(
        "--boxes",
        type=Path,
        default=None,
        metavar="FILE",
        help="csv, image,left,top,right,bottom: faces from brows to chin (but see --box_rule), in pixels; image: path "
        "from --input",
    )
    group.add_argument(
        "--detector",
        default="haar",
        metavar="KIND",
        help="haar: OpenCV's cascades; yunet=FILE.onnx: OpenCV's YuNet with that model file",
    )
    group.add_argument(
        "--max_faces", type=number(int, 1), default=20, metavar="N", help="of a photo or frame, the largest first"
    )
    group.add_argument(
        "--steps",
        type=number(int, 1, 2),
        default=2,
        metavar="N",
        help="1: predict from the box that was found; 2: and once more from the first prediction's own 68 points",
    )
    group.add_argument(
        "--same_person",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="the largest face of every photo is one person's: fuse the shape, keep expressions",
    )
    add_aggregate_option(group, "; of photos, the largest face of each, in folders <subject>/<action>/ below --input")
    group = parser.add_argument_group("camera")
    group.add_argument(
        "--fov",
        type=number(float, 1, 170),
        default=None,
        metavar="DEGREES",
        help="of view along the longer side of the photos; without it EXIF's 35 mm focal length, without that the "
        "training camera's",
    )
    group = parser.add_argument_group("video")
    group.add_argument(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="smooth poses and shapes in time (One-Euro filter)",
    )
    group.add_argument("--max_frames", type=number(int, 1), default=None, metavar="N", help="stop after so many frames")
    options = parser.parse_args(arguments)
    if (options.input is None) == (options.export is None):
        parser.error("--input: wanted a photo, a folder, a video or the number of a webcam; or --export and no --input")
    if options.same_person and options.aggregate != "none":
        parser.error(f"--aggregate: wanted --same_person or --aggregate {options.aggregate}, got both")
    if options.method != "run" and options.weights is None:
        parser.error(f"--weights: wanted a path, for --method {options.method}, got none")
    if options.box_rule != "landmarks" and options.boxes is None:
        parser.error(f"--box_rule {options.box_rule}: wanted --boxes, got none")
    if options.export and options.name.endswith(".onnx"):
        parser.error(f"--export: wanted the name of a run, got the network {options.name}")
    return options
