"""Options of step04."""

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
    parse_run_names,
)


def parse_submission_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Predict the test list with one run, or with several, and write the submission, output/my_submission.npy.",
        "python step04_make_submission.py --data_root DIR --name run01 --gpu_ids 0",
    )
    add_data_options(parser)
    add_image_source_option(parser)
    several = "name of the run, or of several, as in run01,run02, whose predictions are combined"
    add_run_options(parser, parse_run_names, several)
    add_checkpoint_options(parser)
    add_flip_test_option(parser)
    add_aggregate_option(parser)
    group = parser.add_argument_group("several runs")
    group.add_argument(
        "--combine",
        choices=["mean", "stack"],
        default="mean",
        help="mean: of meshes, rotations and translations; stack: the mean, corrected by a second level that is fitted "
        "to what runs predict of the subjects that they have not seen, for which each method wants a run of each of "
        "the five folds (step01 --fold) and --cache_dir any of their caches",
    )
    group.add_argument(
        "--ensemble_weights",
        choices=["validation", "equal"],
        default="validation",
        help="weights of the mean; validation: by the inverse square of each run's best validation score",
    )
    return parser.parse_args(arguments)
