"""Line charts as inline SVG, so that a report needs nothing but its own page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Told apart by most colour-blind people (Okabe and Ito 2008), ordered for a dark page.
COLORS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999")

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 18, 12, 40


@dataclass(frozen=True)
class Series:
    """One line: ``points`` are (x, y); ``targets`` are the view numbers a click on each point leads to."""

    label: str
    points: Sequence[tuple[float, float]]
    targets: Sequence[int] | None = None


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers that span [low, high]."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(step * k, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(series: Sequence[Series], x_label: str, y_label: str) -> str:
    """The lines over common axes, with a legend where there are several; empty without points."""
    points = [point for line in series for point in line.points]
    if not points:
        return ""
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points), max(y for _, y in points)
    margin = 0.05 * (y_high - y_low) or max(1e-3, 0.05 * abs(y_high))
    y_low, y_high = y_low - margin, y_high + margin

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        up = (y - y_low) / (y_high - y_low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)}">']
    for value in ticks(y_low, y_high):
        _, y = place(x_low, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(x_low, x_high, 6):
        x, _ = place(value, y_low)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})">{escape(y_label)}</text>'
    )
    for number, line in enumerate(series):
        color = COLORS[number % len(COLORS)]
        places = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8"/>')
        for k, (x, y) in enumerate(places if line.targets or len(places) < 3 else []):
            target = f' data-view="{line.targets[k]}" class="go"' if line.targets else ""
            tip = escape(f"{line.label} {line.points[k][1]:.4g}")
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{color}"{target}>'
                f"<title>{tip}</title></circle>"
            )
    parts.append("</svg>")
    if len(series) > 1:
        keys = "".join(
            f'<span><i style="background:{COLORS[k % len(COLORS)]}"></i>{escape(line.label)}</span>'
            for k, line in enumerate(series)
        )
        parts.append(f'<div class="legend">{keys}</div>')
    return "".join(parts)
