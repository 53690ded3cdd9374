"""Options of step00."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from options.base_options import StepParser, number


def parse_synthesize_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Make a data root in the WCPA layout: synthetic subjects, images and labels.",
        "python step00_synthesize.py --data_root synthetic --num_subjects 40 --frames 3",
    )
    parser.add_argument("--data_root", type=Path, required=True, metavar="DIR", help="folder to make; must not exist")
    parser.add_argument("--num_subjects", type=number(int, 5), default=40, metavar="N", help="labelled subjects")
    parser.add_argument("--num_test_subjects", type=number(int, 1), default=10, metavar="N", help="test subjects")
    parser.add_argument(
        "--num_actions", type=number(int, 1, 12), default=6, metavar="N", help="facial actions of each subject"
    )
    parser.add_argument("--frames", type=number(int, 1), default=3, metavar="N", help="images of each action")
    parser.add_argument(
        "--image_size", type=number(int, 64, 4096), default=800, metavar="PIXELS", help="width and height of an image"
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="same seed, same bytes")
    parser.add_argument(
        "--num_workers", type=number(int, 0), default=2, metavar="N", help="processes that draw; 0: this one"
    )
    parser.add_argument(
        "--topology",
        type=Path,
        metavar="DIR",
        help="folder with example.obj and kpt_ind.npy, or a data root: labels are of that mesh, in its own frame; "
        "default: the face model's own",
    )
    group = parser.add_argument_group("world")
    group.add_argument(
        "--face_model",
        type=Path,
        metavar="PATH",
        help="people with scan-based heads: ICT-FaceKit, the folder of a clone or one .npz file of it; default: "
        "procedural people, made of formulas alone",
    )
    group.add_argument(
        "--save_face_model",
        type=Path,
        metavar="FILE",
        help="where a clone is kept as one .npz file, to be read at once; default: face_model.npz beside the data root",
    )
    group.add_argument(
        "--poses",
        choices=["challenge", "wide"],
        default="challenge",
        help="with --face_model: as in the challenge's data, or wide: to profile, tilted, from 0.25 to 1.5 m",
    )
    group.add_argument(
        "--backgrounds", type=Path, metavar="DIR", help="with --face_model: folder of pictures to stand behind people"
    )
    group.add_argument(
        "--fov",
        type=number(float, 10, 120),
        metavar="DEGREES",
        help="view of the camera along either side; default: the challenge's, 64.84",
    )
    options = parser.parse_args(arguments)
    for name in ("save_face_model", "backgrounds"):
        if getattr(options, name) and not options.face_model:
            parser.error(f"--{name}: wanted --face_model with it, got none")
    if options.poses != "challenge" and not options.face_model:
        parser.error(f"--poses {options.poses}: wanted --face_model with it, got none")
    if options.face_model and options.save_face_model is None:
        options.save_face_model = options.data_root.parent / "face_model.npz"
    return options
