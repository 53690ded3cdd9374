"""Options of step01."""

import argparse
from collections.abc import Sequence

from options.base_options import StepParser, add_data_options, number


def parse_preparation_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Check a data root, show its numbers, split it by subject and write the cache.",
        "python step01_preparation.py --data_root wcpa_challenge_face_data",
    )
    add_data_options(parser)
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
    return parser.parse_args(arguments)
