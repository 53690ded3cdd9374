"""Makes a data root in the WCPA layout: synthetic subjects, images and labels.

python step00_synthesize.py --data_root synthetic
"""

from data.synthetic.generate import generate_data_root
from options.synthesize_options import parse_synthesize_options
from util.errors import run_step


def main() -> None:
    options = parse_synthesize_options()
    generate_data_root(**vars(options))
    print(f"data root: {options.data_root}")


if __name__ == "__main__":
    run_step(main)
