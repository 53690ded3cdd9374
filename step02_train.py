"""Trains a model: python step02_train.py --data_root DIR --name run01 --gpu_ids 0 --memo "first trial"

Writes checkpoints/<name>/: options.json, log.txt, metrics.jsonl, TensorBoard events, latest.pt and best.pt.
Ctrl-C and SIGTERM save latest.pt and end; --resume goes on from there. The processes of a team (--gpu_ids 0,1 or
torchrun) take a share of each batch each; the first one writes.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from data import get_dataset_class
from data.augment import PIXEL_CHANGES, augment_batch, check_rotation
from data.cache import Cache, read_cache
from data.streaming import StreamedDataset
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models import get_model_class
from models.morphable import check_fits, pack_bases, read_bases, same_bases, unpack_bases
from options.base_options import plain
from options.train_options import FREE_OPTIONS, build_parser, parse_train_options
from util.checkpoint import keep_as, load_checkpoint, pack_arrays, save_checkpoint, write_whole
from util.device import choose_device, out_of_memory
from util.distributed import Team, join_team
from util.errors import InputError, run_step
from util.evaluation import evaluation_of, predict_chosen, score_share
from util.interrupt import StopRequest
from util.launch import start_team
from util.loader import Batch, in_order, load_batches
from util.metrics import summarise
from util.pictures import mosaic, overlay_mesh
from util.profiling import advise, describe_profile, profile_steps
from util.run_log import RunLog, clean_up
from util.training import TrainingState

# The published --debug: so many training and validation images.
DEBUG_IMAGES = (3333, 1111)
# What data sets call each augmentation, and the option that says how much of it.
AUGMENTATION = {name: name for name in ("mirror", "rotation", "light", "shuffle", *PIXEL_CHANGES)}
AUGMENTATION |= {"box": "box_jitter", "scale": "box_scale", "landmarks": "landmark_noise"}
# What a run writes before its first checkpoint, beside TensorBoard's files.
BEFORE_TRAINING = {"options.json", "log.txt", "metrics.jsonl"}
PROFILED_STEPS = 50


def main() -> None:
    options, description = parse_train_options()
    start_team(options.gpu_ids)
    with join_team() as team:
        train(options, description, team)


def train(options: argparse.Namespace, description: str, team: Team) -> None:
    """Trains a new run, or one that goes on, to its end or until asked to stop."""
    root = get_dataset_class(options.dataset).root_class(options.data_root)
    cache = read_cache(options.cache_dir, root)
    device, device_line = choose_device(options.gpu_ids, team)
    if options.batch_size % team.size:
        raise InputError(f"--batch_size: wanted a multiple of the {team.size} processes, got {options.batch_size}")
    if options.sync_batch_norm and team.size > 1 and device.type != "cuda":
        raise InputError("--sync_batch_norm: wanted a GPU for each process, got the CPU")
    train_set, val_set = make_datasets(options, root, cache)
    train_set.rank, train_set.num_ranks = team.rank, team.size
    torch.manual_seed(options.seed)
    world = cache.topology, cache.statistics, cache.projection, cache.image_size
    model_class = get_model_class(options.model)
    if model_class.needs_bases:
        bases = read_bases(options.cache_dir / "morphable.npz")
        check_fits(bases.model, cache.topology)
        world = *world, bases
    model = model_class.build(plain(options), *world)
    remarks = model.read_weights(plain(options))
    resumes = team.from_first(options.resume and (options.checkpoints_dir / options.name / "latest.pt").exists())
    if not resumes:
        remarks += model.read_first_weights(plain(options), cache.split_digest())
    steps_per_epoch = train_set.num_batches(options.batch_size)
    state = TrainingState(model, plain(options), steps_per_epoch, device, team)
    if options.profile:
        team.say(f"{device_line}, {state.precision}")
        profile(state, train_set, options)
        return
    folder = open_run(options, state, cache, resumes)

    with RunLog(folder, silent=not team.is_first) as log, StopRequest() as stop:
        log.say(f"{description}\n{device_line}, {state.precision}\nrun: {folder}, {len(train_set)} training images")
        for remark in remarks:
            log.say(remark)
        goes_on = True
        if state.steps_done == 0 and math.isinf(state.best_score):
            goes_on = validate(state, val_set, cache, options, log, stop, {})
            save_run(folder, state, options, cache)
        while state.epoch < options.epochs and goes_on:
            line = train_epoch(state, train_set, options, cache, folder, log, stop)
            goes_on = not team.any(stop.asked) and validate(state, val_set, cache, options, log, stop, line)
            if goes_on:
                state.epoch, state.step = state.epoch + 1, 0
            save_run(folder, state, options, cache)
        if state.epoch < options.epochs:
            log.say(f"stopped in epoch {state.epoch + 1}; go on with --resume")
        else:
            log.say(f"done: best score {state.best_score:.2f}, {folder / 'best.pt'}")


def make_datasets(options: argparse.Namespace, root: WcpaRoot, cache: Cache) -> tuple[WcpaDataset, WcpaDataset]:
    """The training set, augmented as the options say, and the validation set."""
    train, val = cache.train, cache.val
    if options.debug:
        train, val = train[: DEBUG_IMAGES[0]], val[: DEBUG_IMAGES[1]]
    dataset_class, windows = get_dataset_class(options.dataset), get_model_class(options.model).windows
    augmentation = {name: getattr(options, option) for name, option in AUGMENTATION.items()}
    if options.rotation > 0:
        check_rotation(cache.projection, cache.image_size)
    size, seed, labels = options.img_size, options.seed, cache.labels
    look = cache.topology, windows, size
    images = None if options.data == "files" else cache.packed_images("val", size, windows=windows)
    val_set = dataset_class(root, val, *look, True, labels=labels["val"], images=images)
    if options.data == "stream":
        digest = cache.image_digests.get("train", "")
        return StreamedDataset(options.stream, train, digest, *look, augmentation, seed), val_set
    if options.dataset == "synthetic":
        drawing = {"epoch_samples": options.epoch_samples or len(train), "num_workers": options.num_workers}
        return dataset_class(root, train, *look, True, augmentation, seed, **drawing), val_set
    images = None if options.data == "files" else cache.packed_images("train", size, augmentation, windows)
    return dataset_class(root, train, *look, True, augmentation, seed, labels["train"], images), val_set


def open_run(options: argparse.Namespace, state: TrainingState, cache: Cache, resumes: bool) -> Path:
    """The run's folder: a new one, or of a run that goes on the existing one, whose state and memo are restored.

    A folder that a run left behind before its first checkpoint is as good as new.
    Raises InputError where a new run would overwrite one, or where a resumed run's options or images differ.
    """
    folder = options.checkpoints_dir / options.name
    if options.resume and not folder.is_dir():
        raise FileNotFoundError(f"--resume: no run {folder}; is --name right?")
    if resumes:
        restore_run(folder, options, state, cache)
        return folder
    if not state.team.is_first:
        return folder
    found = {path.name for path in folder.glob("*") if not path.match("events*") and not path.match(".*.part")}
    if found - BEFORE_TRAINING:
        raise InputError(f"run {folder} exists: choose another --name, or go on with it by --resume")
    folder.mkdir(parents=True, exist_ok=True)
    clean_up(folder, epoch=-1)
    write_whole(folder / "options.json", lambda file: file.write(json.dumps(plain(options), indent=1).encode()))
    return folder


def restore_run(folder: Path, options: argparse.Namespace, state: TrainingState, cache: Cache) -> None:
    """Puts the state back to the run's latest checkpoint, and its folder to what it was then."""
    checkpoint = load_checkpoint(folder / "latest.pt")
    defaults = build_parser(options.model, options.preset).get_default
    # An option that is younger than the run did then what its default does now.
    now = plain(options)
    before = {name: checkpoint["options"].get(name, defaults(name)) for name in now}
    changed = [name for name in now if name not in FREE_OPTIONS and now[name] != before[name]]
    if changed:
        told = ", ".join(f"--{name} {before[name]} (now {now[name]})" for name in changed)
        raise InputError(f"--resume: wanted the options of the run {folder}, which had {told}")
    if options.data == "stream" and checkpoint["num_ranks"] != state.team.size:
        told = f"wanted {checkpoint['num_ranks']} as before, got {state.team.size}"
        raise InputError(f"--data stream: the order of images depends on the number of processes, {told}")
    if checkpoint["split_digest"] != cache.split_digest():
        raise InputError(f"--resume: wanted the images of the run {folder}, got another split in the cache")
    if state.model.needs_bases and not same_bases(unpack_bases(checkpoint["bases"]), state.model.bases):
        raise InputError(f"--resume: wanted the morphable model of the run {folder}, got another one in the cache")
    state.restore(checkpoint)
    options.memo = before["memo"]
    if state.team.is_first:
        clean_up(folder, state.epoch)
        keep_best(folder, state)


def train_epoch(
    state: TrainingState,
    dataset: WcpaDataset,
    options: argparse.Namespace,
    cache: Cache,
    folder: Path,
    log: RunLog,
    stop: StopRequest,
) -> dict[str, float]:
    """Trains from the state's place to the end of its epoch, or until asked to stop.

    Returns the mean losses, the learning rate and the images per second, by the names they are logged under.
    """
    dataset.epoch = state.epoch
    steps_per_epoch = dataset.num_batches(options.batch_size)
    batches = dataset.batches(options.batch_size, state.step)
    mirror = torch.from_numpy(cache.topology.mirror).to(state.device)
    state.model.train()
    team = state.team
    sums: dict[str, float] = {}
    count = 0
    start, title = time.perf_counter(), f"epoch {state.epoch + 1}/{options.epochs}"
    loaded = load_batches(dataset, batches, options.num_workers, state.device)
    about = {"total": steps_per_epoch - state.step, "desc": title, "unit": "step", **team.bar}
    with told_as_mistakes(options, state, title), tqdm(loaded, leave=False, **about) as bar:
        for count, batch in enumerate(bar, start=1):
            try:
                batch = augment_batch(batch, mirror, cache.image_size[0])
                losses = state.train_step(batch)
            except FloatingPointError as error:
                told = keep_broken_batch(batch, state, dataset, folder / "broken_batch.pt")
                raise InputError(f"{title}, step {state.step + 1}: {error} on {told}") from None
            sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
            bar.set_postfix(loss=f"{sums['total'] / count:.4f}")
            images = (state.epoch * steps_per_epoch + state.step) * options.batch_size
            if images % options.print_freq < options.batch_size:
                scalars = {f"step/loss_{name}": value for name, value in losses.items()}
                log.scalars({**scalars, "step/gradient_norm": state.gradient_norm}, images)
            if images % options.save_latest_freq < options.batch_size:
                save_run(folder, state, options, cache)
            if team.any(stop.asked):
                break
    line = {f"train/loss_{name}": value / max(1, count) for name, value in sums.items()}
    line["train/rate"] = state.rate
    line["train/images_per_second"] = count * options.batch_size / (time.perf_counter() - start)
    return line


@contextmanager
def told_as_mistakes(options: argparse.Namespace, state: TrainingState, title: str) -> Iterator[None]:
    """Turns what the options are to blame for into an InputError that says what to try: no memory, and batches too
    small for batch normalisation."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        fewer = max(state.team.size, options.batch_size // 2)
        told = f"no memory on {state.device} for {options.batch_size} images: try --accumulation "
        told += f"{2 * options.accumulation}, --batch_size {fewer} or a smaller --img_size"
        raise InputError(f"{title}, step {state.step + 1}: {told}") from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        told = f"got {options.batch_size} for {state.team.size} processes and --accumulation {options.accumulation}"
        wanted = "--batch_size: wanted two images or more at a time, for batch normalisation"
        raise InputError(f"{title}: {wanted}, {told}") from None


def keep_broken_batch(batch: Batch, state: TrainingState, dataset: WcpaDataset, path: Path) -> str:
    """Keeps the shares of a batch whose loss is not finite, or all of them where that is the gradient alone. Returns
    the names of their images and where they are, the same on each rank."""
    team, broken = state.team, not math.isfinite(state.own_loss)
    any_broken = team.any(broken)
    blamed = broken or not any_broken
    shares = team.collect([{name: tensor.cpu() for name, tensor in batch.items()} if blamed else {}])
    told = ""
    if team.is_first:
        shares = [share for share in shares if share]
        kept = {name: torch.cat([share[name] for share in shares]) for name in batch}
        save_checkpoint(path, kept)
        told = ", ".join(dataset.name_of(index) for index in kept["index"].tolist())
    return team.from_first(f"{told}; the batch: {path}")


def validate(
    state: TrainingState,
    dataset: WcpaDataset,
    cache: Cache,
    options: argparse.Namespace,
    log: RunLog,
    stop: StopRequest,
    line: dict[str, float],
) -> bool:
    """Scores the model, writes the line with the figures added, and draws.

    Returns whether it came to its end: it may take long, and whoever asks to stop may not wait.
    """
    model, team = state.evaluated, state.team
    team.copy_from_first(model)
    loading = options.batch_size // team.size, options.num_workers
    world = cache.topology.keypoints, cache.projection, cache.image_size
    picture = None
    with stop.at_once(), told_as_mistakes(options, state, "validation"):
        if not stop.asked:
            share = score_share(model, dataset, state.device, *loading, *world, "validate", team)
            if team.is_first and options.num_pictures:
                picture = draw_validation(model, dataset, state.device, cache, options)
    if team.any(stop.asked):
        return False
    evaluation = evaluation_of(share, team)
    if evaluation is None:
        return True
    figures = summarise(evaluation.metrics)
    line = line | {f"val/loss_{name}": value for name, value in evaluation.losses.items()}
    line |= {"val/loss_total": sum(evaluation.losses.values())} | {f"val/{n}": v for n, v in figures.items()}
    epoch = state.epochs_done
    log.metrics({"epoch": epoch, **line}, epoch)
    if picture is not None:
        log.picture("val/overlays", picture, epoch)
    parts = "all {score_all:.2f} + pose {score_pose:.2f} + shape {score_shape:.2f}".format(**figures)
    trained = f"loss {line['train/loss_total']:.4f}, " if "train/loss_total" in line else ""
    log.say(
        f"epoch {epoch:3d}: {trained}validation loss {line['val/loss_total']:.4f}, "
        f"score {figures['score']:.2f} mm = {parts}"
    )
    if figures["score"] < state.best_score:
        state.best_score, state.best_epoch = figures["score"], epoch
    return True


def draw_validation(
    model: torch.nn.Module, dataset: WcpaDataset, device: torch.device, cache: Cache, options: argparse.Namespace
) -> np.ndarray:
    """Overlays of a few validation images, the same ones each time."""
    step = max(1, len(dataset) // options.num_pictures)
    chosen = range(0, len(dataset), step)[: options.num_pictures]
    tiles = []
    for predicted in predict_chosen(model, dataset, in_order(chosen, options.batch_size), device):
        for index, mesh, pose in predicted:
            tiles.append(
                overlay_mesh(dataset.picture(index).whole(), mesh, pose, cache.topology.triangles, cache.projection)
            )
    return mosaic(tiles, columns=min(4, len(tiles)), tile=320)


def save_run(folder: Path, state: TrainingState, options: argparse.Namespace, cache: Cache) -> None:
    """Writes latest.pt, on the first rank: the whole state, and all that evaluation and submission need to know. Right
    after the best validation so far it is best.pt, too."""
    if not state.team.is_first:
        return
    whole = {
        **state.state(),
        "options": plain(options),
        "num_ranks": state.team.size,
        "topology": pack_arrays(cache.topology),
        "statistics": pack_arrays(cache.statistics),
        "split_digest": cache.split_digest(),
        "fold": cache.fold,
        "projection": torch.from_numpy(np.array(cache.projection)),
        "image_size": list(cache.image_size),
    }
    if state.model.needs_bases:
        whole["bases"] = pack_bases(state.model.bases)
    save_checkpoint(folder / "latest.pt", whole)
    keep_best(folder, state)


def keep_best(folder: Path, state: TrainingState) -> None:
    if state.step == 0 and state.epoch == state.best_epoch and math.isfinite(state.best_score):
        keep_as(folder / "latest.pt", "best.pt")


def profile(state: TrainingState, dataset: WcpaDataset, options: argparse.Namespace) -> None:
    """Trains a few steps and prints where the first rank's time went, and what to change."""
    batches = dataset.batches(options.batch_size)
    loaded = load_batches(dataset, cycle(batches), options.num_workers, torch.device("cpu"))
    try:
        with told_as_mistakes(options, state, "profile"), closing(loaded):
            seconds = profile_steps(state, loaded, PROFILED_STEPS)
    except FloatingPointError as error:
        raise InputError(f"profile: {error}") from None
    state.team.say(describe_profile(seconds, PROFILED_STEPS, options.batch_size))
    for advice in advise(seconds, plain(options), state.precision, state.device):
        state.team.say(f"- {advice}")


if __name__ == "__main__":
    run_step(main)
