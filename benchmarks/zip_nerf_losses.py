"""Plots both interlevel losses of a proposal that slides over a surface, for docs/zip_nerf.md.

Run: ``python benchmarks/zip_nerf_losses.py docs/pictures/zip_nerf_losses.png``. It prints the largest jumps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
import torch

from neural_render_server.methods.volumetric.stepfun import blurred_interlevel_loss, interlevel_loss
from neural_render_server.methods.zip_nerf.losses import PULSE_WIDTHS

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # the backend must be chosen first

# A surface as thin as 1 % of the ray, and a proposal whose interval of 90 % of the mass is ten times as long.
SURFACE = (0.495, 0.505)
PROPOSAL_HALF_WIDTH, PROPOSAL_WEIGHTS = 0.05, (0.05, 0.9, 0.05)
CENTERS = np.linspace(0.3, 0.7, 801)


def losses() -> dict[str, np.ndarray]:
    """Each loss at every place of the proposal."""
    edges = torch.tensor([[0.0, *SURFACE, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    proposal = torch.tensor([PROPOSAL_WEIGHTS], dtype=torch.float64)
    found: dict[str, list[float]] = {"plain (mip-NeRF 360)": []}
    found.update({f"blurred by {width:g}": [] for width in PULSE_WIDTHS})
    for center in CENTERS:
        slid = torch.tensor(
            [[0.0, center - PROPOSAL_HALF_WIDTH, center + PROPOSAL_HALF_WIDTH, 1.0]], dtype=torch.float64
        )
        found["plain (mip-NeRF 360)"].append(float(interlevel_loss(edges, weights, slid, proposal)))
        for width in PULSE_WIDTHS:
            loss = blurred_interlevel_loss(edges, weights, slid, proposal, width)
            found[f"blurred by {width:g}"].append(float(loss))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    found = losses()
    figure, axes = plt.subplots(figsize=(7.0, 3.5), layout="constrained")
    for name, values in found.items():
        axes.plot(CENTERS, values / values.max(), label=name)
    axes.axvspan(*SURFACE, color="0.85", label="surface")
    axes.set_xlabel("middle of the proposal's interval, normalised distance")
    axes.set_ylabel("loss / its maximum")
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    step = float(CENTERS[1] - CENTERS[0])
    jumps = {name: float(np.abs(np.diff(v)).max() / v.max()) for name, v in found.items()}
    print(json.dumps({"slide": step, "largest_jump": jumps}))


if __name__ == "__main__":
    main()
