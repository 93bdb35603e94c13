"""``neural-render eval``: how well a scene shows what it was not trained on."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import Console
from .train import format_scores


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "eval",
        help="score a trained scene",
        description="Score a trained scene against its capture: PSNR, SSIM, and PSNR of what moves.",
    )
    parser.add_argument("scene", metavar="SCENE", help="the scene folder")
    parser.add_argument(
        "--split", choices=("test", "train"), default="test", help="score held-out views, or trained ones"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..training.evaluate import evaluate

    scores = evaluate(Path(arguments.scene), arguments.split, arguments.device, console.stage)
    lines = [f"{arguments.scene}: {format_scores(scores)}"]
    lines += [
        f"  {view['camera']} {view['timestep']:4d}  {view['psnr']:6.2f} dB  SSIM {view['ssim']:.3f}"
        for view in scores["views"]
    ]
    console.result(scores, "\n".join(lines))
