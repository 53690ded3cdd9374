"""Options of step03."""

import argparse
from collections.abc import Sequence

from options.base_options import (
    StepParser,
    add_aggregate_option,
    add_checkpoint_options,
    add_data_options,
    add_flip_test_option,
    add_image_source_option,
    add_run_options,
    number,
    parse_run_names,
)


def parse_eval_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Score a run where labels exist (--split val) and draw its predictions.",
        "python step03_eval.py --data_root DIR --name run01 --gpu_ids 0 --split val",
    )
    add_data_options(parser)
    add_image_source_option(parser)
    add_run_options(parser)
    add_checkpoint_options(parser)
    add_flip_test_option(parser)
    add_aggregate_option(parser)
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--split",
        choices=["test", "val", "points"],
        default="test",
        help="test: draw shuffled test images; val: score and draw; points: score and draw by the 68 labelled points "
        "of a folder of AFLW2000-3D or 300W-LP, for a run of any data, which needs no step01",
    )
    group.add_argument(
        "--steps",
        type=number(int, 1, 2),
        default=2,
        metavar="N",
        help="with --split points: 1: predict from the labelled points' box; 2: and once more from the first "
        "prediction's own 68 points",
    )
    group.add_argument(
        "--references",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="with --split val: also score the mean face at mean pose and the same model before its first step",
    )
    group.add_argument(
        "--compare",
        type=parse_run_names,
        default=[],
        metavar="RUNS",
        help="with --split val: other runs, as in run02,run03, to score on the same images and to show side by side in "
        "the report; trained on the same split",
    )
    group.add_argument(
        "--num_mosaics", type=number(int, 0), default=6, metavar="N", help="mosaics of 25 overlays to draw"
    )
    group.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="which images are drawn")
    options = parser.parse_args(arguments)
    if options.compare and options.split != "val":
        parser.error("--compare: wanted --split val, as test images have no labels to score by")
    if options.split == "points":
        for name in ("data", "flip_test", "aggregate"):
            if getattr(options, name) != parser.get_default(name):
                parser.error(f"--{name}: means nothing with --split points, got {getattr(options, name)}")
    if options.name in options.compare:
        parser.error(f"--compare: wanted runs other than --name {options.name}")
    return options
