"""Options of step02: the common ones, the model's own, and the presets that fill in defaults."""

import argparse
import sys
from collections.abc import Sequence

from models import MODELS
from options.base_options import (
    StepParser,
    add_data_options,
    add_dataset_option,
    add_image_source_option,
    add_run_options,
    choose_first,
    describe,
    number,
    parse_epochs,
    read_settings,
)

# What a resumed run may be told anew: none of it changes the weights that come out.
FREE_OPTIONS = {"resume", "gpu_ids", "num_workers", "memo", "data_root", "cache_dir", "checkpoints_dir", "profile"}
FREE_OPTIONS |= {"print_freq", "save_latest_freq", "num_pictures", "stream"}


def build_parser(model: str, preset: str) -> StepParser:
    """The full parser for one model, with the defaults of one of its presets."""
    parser = StepParser(
        "Train a model. --model and --preset decide which further options there are and their defaults.",
        'python step02_train.py --data_root DIR --name run01 --gpu_ids 0 --memo "first trial"',
    )
    add_data_options(parser)
    add_image_source_option(parser, "stream", more_help="; stream: training samples from --stream, others packed")
    parser.add_argument(
        "--stream",
        default="cache/shards",
        metavar="PLACE",
        help="with --data stream: folder of the shards that step01 --shards wrote, or its URL",
    )
    add_dataset_option(parser)
    add_run_options(parser)
    parser.add_argument("--memo", default="", metavar="TEXT", help="a note that is kept with the run")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="go on with the run of that name where it stopped",
    )

    group = parser.add_argument_group("training")
    group.add_argument("--img_size", type=number(int, 32), default=256, metavar="PIXELS", help="side of a window")
    group.add_argument(
        "--epoch_samples",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="with --dataset synthetic: samples that are drawn for an epoch; 0: as many as there are training images",
    )
    group.add_argument("--batch_size", type=number(int, 1), default=128, metavar="N", help="images a step")
    group.add_argument("--epochs", type=number(int, 0), default=10, metavar="N", help="passes over the training images")
    group.add_argument("--lr", type=number(float, 0), default=1e-5, metavar="RATE", help="initial learning rate")
    group.add_argument(
        "--optimizer",
        choices=["adam", "sgd"],
        default="adam",
        help="adam: AdamW; sgd: stochastic gradient descent with momentum --beta1",
    )
    group.add_argument(
        "--nesterov",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="with sgd: take the gradient where the momentum leads to",
    )
    group.add_argument("--beta1", type=number(float, 0, 0.99999), default=0.5, help="Adam's first momentum, or SGD's")
    group.add_argument("--beta2", type=number(float, 0, 0.99999), default=0.999, help="Adam's second momentum")
    group.add_argument(
        "--weight_decay",
        type=number(float, 0),
        default=0.0,
        help="decoupled from the gradient with adam, a part of it with sgd",
    )
    group.add_argument(
        "--lr_policy",
        choices=["linear", "cosine", "polynomial", "step", "constant"],
        default="linear",
        help="linear: constant, then epoch by epoch down to zero over --epochs_decay; cosine and "
        "polynomial (quadratic): step by step to zero; step: times --lr_factor after each of --lr_milestones",
    )
    group.add_argument(
        "--epochs_decay", type=number(int, 0), default=5, metavar="N", help="last epochs, in which linear goes down"
    )
    group.add_argument(
        "--lr_milestones",
        type=parse_epochs,
        default=[],
        metavar="EPOCHS",
        help="with --lr_policy step: after which epochs the rate goes down, as in 15,25,30",
    )
    group.add_argument(
        "--lr_factor", type=number(float, 0, 1), default=0.2, metavar="FACTOR", help="with --lr_policy step: how far"
    )
    group.add_argument("--warmup_steps", type=number(int, 0), default=0, metavar="N", help="steps of rising rate")
    group.add_argument(
        "--averaging",
        type=number(float, 0, 0.99999),
        default=0.0,
        metavar="DECAY",
        help="decay of the running average of the weights that is evaluated; 0 for none",
    )
    group.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="fp32",
        help="of the network's computation in training; auto: whichever is fastest here",
    )
    group.add_argument(
        "--channels_last",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep images and maps pixel by pixel in memory, as most convolutions are fastest",
    )
    group.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="compile the network (torch.compile): minutes at the start, faster steps",
    )
    group.add_argument(
        "--accumulation",
        type=number(int, 1),
        default=1,
        metavar="PARTS",
        help="compute each batch in so many parts and add their gradients up: the same step in less memory, "
        "but for batch normalisation, which sees the parts",
    )
    group.add_argument(
        "--clip_gradients",
        type=number(float, 0),
        default=0.0,
        metavar="NORM",
        help="shorten gradients that are longer than this; 0 for never",
    )
    group.add_argument(
        "--sync_batch_norm",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="several GPUs normalise by the statistics of the whole batch rather than each by its share's",
    )
    add_augmentation_options(parser.add_argument_group("augmentation"))
    group.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of weights, order and augmentation")
    group.add_argument(
        "--debug",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="only the first 3,333 training and 1,111 validation images",
    )
    group.add_argument(
        "--print_freq", type=number(int, 1), default=8192, metavar="IMAGES", help="how often losses go to TensorBoard"
    )
    group.add_argument(
        "--save_latest_freq",
        type=number(int, 1),
        default=40960,
        metavar="IMAGES",
        help="how often latest.pt is written within an epoch",
    )
    group.add_argument(
        "--num_pictures", type=number(int, 0), default=4, metavar="N", help="validation images drawn each epoch"
    )
    group.add_argument(
        "--profile",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="train 50 steps, say where the time goes and what to change, and leave nothing behind",
    )

    model_class = MODELS[model]
    parser.add_argument("--model", choices=sorted(MODELS), default=model, help="what is trained")
    parser.add_argument(
        "--preset", choices=sorted(model_class.presets), default=preset, help="which defaults the options start from"
    )
    model_class.add_options(parser.add_argument_group(f"model {model}"))
    defaults = model_class.presets[preset]
    unknown = set(defaults) - {action.dest for action in parser._actions}
    assert not unknown, f"preset {preset} of {model} names options that do not exist: {sorted(unknown)}"
    parser.set_defaults(**defaults)
    return parser


def add_augmentation_options(group: argparse._ArgumentGroup) -> None:
    """How much training images are changed, with labels that stay true (data/augment.py); nothing by default."""

    def add_chance(name: str, what: str) -> None:
        group.add_argument(name, type=number(float, 0, 1), default=0.0, metavar="P", help=f"chance {what}")

    add_chance("--mirror", "to mirror an image")
    add_chance("--light", "of changed light")
    group.add_argument(
        "--box_jitter", type=number(float, 0, 0.5), default=0.0, metavar="SHARE", help="shift and scale of the face box"
    )
    group.add_argument(
        "--box_scale", type=number(float, 0, 0.9), default=0.0, metavar="SHARE", help="further scale of the face box"
    )
    group.add_argument(
        "--rotation",
        type=number(float, 0, 180),
        default=0.0,
        metavar="DEGREES",
        help="turn images about their middle by up to this, and poses with them",
    )
    group.add_argument(
        "--landmark_noise",
        type=number(float, 0, 0.5),
        default=0.0,
        metavar="SHARE",
        help="deviation of noise on the 68 points, in sides of the face box",
    )
    add_chance("--color", "of another white balance, gamma, hue and saturation")
    add_chance("--blur", "of blur, a lens's or a motion's")
    add_chance("--noise", "of noise")
    add_chance("--jpeg", "of what JPEG leaves of a window, at a quality of 15 to 90")
    add_chance("--cut_out", "that one to three patches of a colour or of noise hide parts of the face")
    add_chance("--shuffle", "that up to four of 4x4 blocks of the face's windows change places: RADAN's crop-and-paste")


def parse_train_options(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, str]:
    """Parses in two passes: --model and --preset first, because they decide what else can be said.

    Returns the options and their description, in which those that differ from the preset's or come from a config file
    are marked.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    settings = read_settings(arguments)
    model = choose_first("model", sorted(MODELS), "dual_resnet", arguments, settings)
    presets = MODELS[model].presets
    preset = choose_first("preset", sorted(presets), "standard", arguments, settings)
    parser = build_parser(model, preset)
    if "preset" in settings and settings["preset"].value != preset and settings.keys() & presets[preset].keys():
        # Only the preset's name would win: what the file says of the options that a preset sets would stay.
        told, path = settings["preset"]
        parser.error(f"--preset: wanted {told}, which config {path} comes with the values of, got {preset}")
    options = parser.parse_args(arguments, settings)
    if options.lr_policy == "linear" and options.epochs_decay > options.epochs:
        parser.error(f"--epochs_decay: wanted at most --epochs {options.epochs}, got {options.epochs_decay}")
    if options.lr_policy == "step" and not options.lr_milestones:
        parser.error("--lr_policy step: wanted --lr_milestones, after which the rate goes down, got none")
    if options.nesterov and (options.optimizer != "sgd" or options.beta1 == 0):
        told = f"--optimizer {options.optimizer} --beta1 {options.beta1}"
        parser.error(f"--nesterov: wanted --optimizer sgd and a momentum --beta1 above 0, got {told}")
    if options.debug and options.data == "stream":
        parser.error("--debug: wanted --data files or packed, which can be cut short, got stream")
    if options.data == "stream" and options.dataset != "wcpa":
        parser.error(f"--data stream: wanted --dataset wcpa, whose images come one by one, got {options.dataset}")
    if options.epoch_samples and options.dataset != "synthetic":
        parser.error(f"--epoch_samples: wanted --dataset synthetic, which draws them, got {options.dataset}")
    if options.sync_batch_norm and MODELS[model].dataset == "multiview":
        # An encoder of a view that one process has no image of would leave the others waiting for it.
        parser.error(f"--sync_batch_norm: wanted a model of single images, got {model}")
    wanted = MODELS[model].dataset
    if wanted not in (None, options.dataset):
        parser.error(f"--dataset: wanted {wanted}, which --model {model} learns from, got {options.dataset}")
    return options, describe(options, parser)
