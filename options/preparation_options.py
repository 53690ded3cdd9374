"""Options of step01."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from options.base_options import StepParser, add_data_options, add_dataset_option, number


def parse_preparation_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Check a data root, show its numbers, split it by subject and write the cache.",
        "python step01_preparation.py --data_root wcpa_challenge_face_data",
    )
    add_data_options(parser)
    add_dataset_option(parser)
    parser.add_argument(
        "--face_model",
        type=Path,
        metavar="PATH",
        help="with --dataset aflw2000: the Basel Face Model as 3DDFA uses it, which its labels are numbers of: "
        "bfm_noneck_v3.pkl beside tri.pkl, or the folder train.configs; written into the data root once, as resources/",
    )
    parser.add_argument(
        "--fold", type=number(int, 0, 4), default=0, metavar="K", help="which of the five folds, 0..4, is validation"
    )
    parser.add_argument(
        "--max_rejected",
        type=number(float, 0, 1),
        default=0.05,
        metavar="SHARE",
        help="largest share of bad samples to go on with",
    )
    group = parser.add_argument_group("packed images")
    group.add_argument(
        "--pack",
        nargs="?",
        choices=["none", "lossless", "reencoded"],
        const="lossless",
        default="none",
        help="also pack the images into the cache, for --data packed: lossless (what a bare --pack means) cuts out the "
        "part around the face, to the bit; reencoded makes that smaller and is not exact",
    )
    group.add_argument(
        "--pack_margin",
        type=number(float, 0, 100),
        default=0.15,
        metavar="SHARE",
        help="what is packed around the face box, in shares of its side: 1.5 times the training's --box_jitter, and "
        "0.35 more for jmlr; step02 says how much --rotation and --box_scale need; 10 packs most images whole",
    )
    group.add_argument(
        "--pack_size",
        type=number(int, 32),
        default=256,
        metavar="PIXELS",
        help="with reencoded: what the side of a face box is reduced to, at least the training's --img_size",
    )
    group.add_argument(
        "--shards",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="with --pack: also write the packed training samples into N tar files, cache/shards, for --data stream; a "
        "multiple of the processes that will train; 0 for none",
    )
    group = parser.add_argument_group("morphable model")
    group.add_argument(
        "--build_morphable",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="also learn a morphable model, shapes and colours, from the training images, for the models that need one",
    )
    for name, most, what in (
        ("identity", 80, "what tells one face from another"),
        ("expression", 40, "what one face does"),
        ("albedo", 40, "the colours of faces"),
    ):
        group.add_argument(
            f"--{name}_components",
            type=number(int, 1),
            default=most,
            metavar="N",
            help=f"at most so many principal components of {what}; as many as there are",
        )
    options = parser.parse_args(arguments)
    if options.face_model and options.dataset != "aflw2000":
        parser.error(f"--face_model: wanted --dataset aflw2000, whose labels need it, got {options.dataset}")
    if options.shards and options.pack == "none":
        parser.error("--shards: wanted with --pack, which makes what goes into the shards")
    return options
