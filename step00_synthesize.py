"""Makes a data root in the WCPA layout: synthetic subjects, images and labels.

python step00_synthesize.py --data_root synthetic
python step00_synthesize.py --data_root synthetic --face_model ICT-FaceKit --poses wide

The processes of a team, also on several machines, share the subjects; all of them write to the one folder.
"""

from datetime import timedelta

from data.synthetic.generate import generate_data_root
from options.synthesize_options import parse_synthesize_options
from util.distributed import join_team
from util.errors import InputError, run_step
from util.ict_files import read_ict, save_ict


def main() -> None:
    options = parse_synthesize_options()
    # The subjects of one process may take much longer than those of another, on a machine that is busy.
    with join_team(patience=timedelta(days=2)) as team:
        compact = options.__dict__.pop("save_face_model")
        if options.face_model and options.face_model.is_dir():
            if compact.exists():
                raise InputError(
                    f"{compact}: there is one already; take it (--face_model {compact}), or name another "
                    "(--save_face_model FILE)"
                )
            team.barrier()
            if team.is_first:
                compact.parent.mkdir(parents=True, exist_ok=True)
                save_ict(read_ict(options.face_model), compact)
                team.say(f"face model: {compact}")
            team.barrier()
            options.face_model = compact
        generate_data_root(**vars(options), team=team)
        team.say(f"data root: {options.data_root}")


if __name__ == "__main__":
    run_step(main)
