"""``neural-render train``: a capture in, a scene folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..progress import Control
from .arguments import add_split_arguments, positive_number, setting, whole_number
from .console import Console, duration
from .interrupt import cancelled_by_interrupt


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "train",
        help="train a scene from a capture",
        description="Train a field from what was filmed. Ctrl-C stops and keeps the last state; --resume "
        "goes on from it.",
    )
    parser.add_argument("capture", metavar="CAPTURE", help="the capture's folder, or its transforms.json")
    parser.add_argument(
        "--out", required=True, metavar="SCENE", help="the folder to write the trained scene to"
    )
    parser.add_argument(
        "--method", metavar="NAME", help="how to train; `neural-render methods` lists them (gaussians)"
    )
    parser.add_argument("--preset", metavar="NAME", help="the method's quality: small, default, paper")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=positive_number, metavar="M", help="how long to train (5)")
    budget.add_argument(
        "--steps", type=whole_number, metavar="N", help="how many steps to train, for results that repeat"
    )
    budget.add_argument(
        "--cpu-seconds", type=positive_number, metavar="S", help="how much processor time to train for"
    )
    parser.add_argument("--seed", type=whole_number, metavar="N", help="start of the random numbers (0)")
    parser.add_argument(
        "--downscale", type=positive_number, metavar="N", help="train at 1/N of the width and height"
    )
    add_split_arguments(parser)
    parser.add_argument(
        "--no-match-colors",
        action="store_true",
        help="leave differences between the cameras' exposure, white balance and vignetting in",
    )
    parser.add_argument(
        "--color-reference", metavar="CAMERA", help="the camera whose colours count (those of the most)"
    )
    parser.add_argument(
        "--transfer",
        metavar="CURVE",
        help="how log video was recorded, where its file does not say: slog3, vlog, logc3, hlg, pq",
    )
    parser.add_argument("--device", metavar="NAME", help="auto, cpu or cuda (auto)")
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one setting of the method; may be given several times",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on from the scene's last checkpoint")
    existing.add_argument("--overwrite", action="store_true", help="replace a scene that is there already")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..training.options import TrainOptions
    from ..training.trainer import train

    options = TrainOptions.from_json(
        {
            # The scene may be used from another folder later, so the capture is kept by its full path.
            "capture": str(Path(arguments.capture).expanduser().absolute()),
            "scene": str(Path(arguments.out).expanduser().absolute()),
            "method": arguments.method,
            "preset": arguments.preset,
            "options": dict(arguments.settings),
            "minutes": arguments.minutes,
            "steps": arguments.steps,
            "cpu_seconds": arguments.cpu_seconds,
            "seed": arguments.seed,
            "downscale": arguments.downscale,
            "test_cameras": arguments.test_cameras,
            "every_nth_test": arguments.every_nth_test,
            "test_timesteps": arguments.test_timesteps,
            "timesteps": arguments.timesteps,
            "match_colors": not arguments.no_match_colors,
            "color_reference": arguments.color_reference,
            "transfer": arguments.transfer,
            "resume": arguments.resume,
            "overwrite": arguments.overwrite,
            "device": arguments.device,
        }
    )
    control = Control()
    with cancelled_by_interrupt(control, console):
        result = train(options, console.event, control)
    metrics = result["metrics"]
    scores = format_scores(metrics)
    console.result(
        result, f"{result['scene']}: {result['step']} steps in {duration(result['seconds'])}; {scores}"
    )


def format_scores(metrics: dict[str, object]) -> str:
    """``held-out views: PSNR 31.20 dB, SSIM 0.950, moving PSNR 26.10 dB``."""
    whose = "held-out views" if metrics.get("split") == "test" else "training views (none were held out)"
    parts = [
        f"{label} {value:{form}}{unit}"
        for key, label, form, unit in (
            ("psnr", "PSNR", ".2f", " dB"),
            ("ssim", "SSIM", ".3f", ""),
            ("psnr_moving", "moving PSNR", ".2f", " dB"),
        )
        if isinstance(value := metrics.get(key), float)
    ]
    return f"{whose}: {', '.join(parts)}"
