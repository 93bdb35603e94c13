"""``neural-render eval`` and ``compare``: how well scenes show what they were not trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import names, whole_number
from .console import Console

if TYPE_CHECKING:
    from ..evaluation.evaluate import EvaluationOptions


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "eval",
        help="score a trained scene",
        description="Score a trained scene against its capture: PSNR, MSE, SSIM, DSSIM, FLIP, JOD, PSNR of "
        "what moves, and flicker; --report writes a page with pictures.",
    )
    parser.add_argument("scene", metavar="SCENE", help="the scene folder")
    add_evaluation_arguments(parser)
    return parser


def add_evaluation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--split", choices=("test", "train"), default="test", help="score held-out views, or trained ones"
    )
    parser.add_argument(
        "--cameras",
        type=names,
        default=[],
        metavar="NAMES",
        help="score only these cameras of the split, at all their timesteps: names or patterns, separated by "
        "commas (cam00,cam1*)",
    )
    parser.add_argument(
        "--report", metavar="DIR", help="write a page with pictures and plots, which opens from disk"
    )
    parser.add_argument(
        "--pictures", type=whole_number, metavar="N", help="how many views the report shows pictures of (96)"
    )
    parser.add_argument(
        "--skip",
        type=names,
        default=[],
        metavar="NAMES",
        help="leave out slow measures: flip, jod, lpips, separated by commas",
    )
    parser.add_argument(
        "--lpips-weights",
        metavar="FILE",
        help="AlexNet weights (.safetensors or .pth) for LPIPS, which is not available without",
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")


def evaluation_options(arguments: argparse.Namespace) -> EvaluationOptions:
    from ..evaluation.evaluate import EvaluationOptions

    return EvaluationOptions(
        split=arguments.split,
        cameras=tuple(arguments.cameras),
        skip=tuple(arguments.skip),
        lpips_weights=Path(arguments.lpips_weights).expanduser() if arguments.lpips_weights else None,
        device=arguments.device,
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..evaluation.evaluate import evaluated

    folder = report_folder(arguments)
    with evaluated([Path(arguments.scene)], evaluation_options(arguments), console.stage) as evaluation:
        scene = evaluation.scenes[0]
        scores = {"split": evaluation.split, **scene.to_json()}
        if folder is not None:
            scores["report"] = write(evaluation, folder, scores, arguments)
    lines = [f"{arguments.scene}: {headline(evaluation.split, scores)}"]
    lines += [
        f"  {view['camera']} {view['timestep']:4d}  {view['psnr']:6.2f} dB"
        + (f"  SSIM {view['ssim']:.3f}" if "ssim" in view else "")
        for view in sorted(scores["views"], key=lambda view: float(view["psnr"]))
    ]
    lines += unavailable_lines(scene.unavailable)
    console.result(scores, "\n".join([*lines, *report_line(scores)]))


def report_folder(arguments: argparse.Namespace) -> Path | None:
    """The report's folder, checked before an hour of scoring."""
    from ..evaluation.report import check_folder

    if arguments.report is None:
        return None
    folder = Path(arguments.report).expanduser().absolute()
    check_folder(folder)
    return folder


def write(evaluation: Any, folder: Path, data: dict[str, Any], arguments: argparse.Namespace) -> str:
    from ..evaluation.report import DEFAULT_PICTURES, write_report

    limit = DEFAULT_PICTURES if arguments.pictures is None else max(0, arguments.pictures)
    return str(write_report(evaluation, folder, data, limit))


def headline(split: str, means: dict[str, Any]) -> str:
    """``held-out views: PSNR 31.20 dB, moving PSNR 26.10 dB, ...``: all measures that have a mean."""
    from ..evaluation.measures import MEASURES

    whose = "held-out views" if split == "test" else "training views"
    parts = [f"{m.label} {m.text(means[m.key])}" for m in MEASURES if m.key in means]
    return f"{whose}: {', '.join(parts)}"


def unavailable_lines(unavailable: dict[str, str]) -> list[str]:
    from ..evaluation.measures import BY_KEY

    return [f"  {BY_KEY[key].label}: not available; {reason}" for key, reason in unavailable.items()]


def report_line(data: dict[str, Any]) -> list[str]:
    return [f"report: {data['report']}"] if "report" in data else []
