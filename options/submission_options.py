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
)


def parse_submission_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Predict the test list and write the submission, output/my_submission.npy.",
        "python step04_make_submission.py --data_root DIR --name run01 --gpu_ids 0",
    )
    add_data_options(parser)
    add_image_source_option(parser)
    add_run_options(parser)
    add_checkpoint_options(parser)
    add_flip_test_option(parser)
    add_aggregate_option(parser)
    return parser.parse_args(arguments)
