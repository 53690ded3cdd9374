"""Runs of one method, each trained without another fold of the subjects."""

from collections.abc import Collection, Sequence

from models.loading import TrainedRun
from util.errors import InputError

NUM_FOLDS = 5


def group_folds(runs: Sequence[TrainedRun], free_options: Collection[str]) -> list[list[TrainedRun]]:
    """The runs by method, in the order of their folds: those go together whose options are the same but for the name
    and free_options.

    Raises InputError where a method does not have each of the five folds once, with the commands that train what is
    missing, and where a checkpoint does not say which fold it is.
    """
    methods: dict[str, list[TrainedRun]] = {}
    for run in runs:
        if run.fold is None:
            raise InputError(
                f"checkpoint {run.path}: of a version that did not note the fold that --combine stack asks for; train "
                "it again"
            )
        same = {name: value for name, value in run.options.items() if name not in {*free_options, "name"}}
        methods.setdefault(repr(sorted(same.items())), []).append(run)
    for members in methods.values():
        check_folds(members)
    return [sorted(members, key=lambda run: run.fold) for members in methods.values()]


def check_folds(members: Sequence[TrainedRun]) -> None:
    """Raises InputError where runs of one method do not have each of the five folds once."""
    wrong = []
    for fold in range(NUM_FOLDS):
        names = [run.name for run in members if run.fold == fold]
        if len(names) > 1:
            wrong.append(f"fold {fold} by {' and '.join(names)}")
        elif not names:
            wrong.append(f"no fold {fold}")
    if not wrong:
        return
    config = members[0].path.parent / "options.json"
    raise InputError(
        f"--combine stack: wanted a run of each of the folds 0..{NUM_FOLDS - 1} with the same options, got "
        f"{', '.join(wrong)} in {', '.join(run.name for run in members)}; a missing fold K is trained by "
        "step01_preparation.py --fold K --cache_dir cache_fK, then "
        f"step02_train.py --config {config} --cache_dir cache_fK --name run_fK"
    )
