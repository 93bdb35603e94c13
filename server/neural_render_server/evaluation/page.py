"""The report's page: headline figures, a viewer with a wipe, the worst views, plots and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from .evaluate import Evaluation
from .measures import MEASURES, Measure
from .pictures import ERROR_SCALE, Layers
from .plots import Series, line_chart
from .scorer import SceneScores

Pictures = Mapping[int, tuple[str, Sequence[Layers]]]  # by view number, as ``write_pictures`` returns them

WORST = 6  # cards of worst views

PLAYING_RATE = 24.0  # where the capture does not say its own

# Columns of the table of views: the others are a click away, in the viewer.
VIEW_MEASURES = ("psnr", "psnr_moving", "ssim", "dssim1", "dssim2", "flip", "lpips", "flicker", "mse")


def page(evaluation: Evaluation, pictures: Pictures) -> str:
    """The whole document, style and script included; pictures are relative paths."""
    style, script, viewer = (_source(name) for name in ("report.css", "report.js", "viewer.html"))
    scenes = evaluation.scenes
    title = " · ".join(scene.name for scene in scenes)
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="facts">{escape(_facts(evaluation))}</p>',
        _headline(scenes),
        _viewer(evaluation, len(pictures), viewer),
        _worst(evaluation, pictures),
        _over_time(evaluation),
        _history(scenes),
        _cameras(scenes),
        _views(evaluation),
        _definitions(scenes),
    ]
    # "<" is written so that no text in the data can end the script element.
    data = json.dumps(_viewer_data(evaluation, pictures)).replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} – evaluation</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + f'\n</main>\n<script type="application/json" id="data">{data}</script>\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _source(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _facts(evaluation: Evaluation) -> str:
    frames, capture = evaluation.frames, evaluation.capture
    cameras = list(dict.fromkeys(view["camera"] for view in evaluation.scenes[0].views))
    named = ", ".join(cameras) if len(cameras) <= 4 else f"{len(cameras)} cameras"
    whose = "held-out" if evaluation.split == "test" else "trained (not held-out)"
    camera = frames.cameras[int(frames.camera_indices[0])]
    facts = [
        f"capture {capture.name}",
        f"{len(frames)} {whose} views of {named}",
        f"{camera.width} x {camera.height} pixels",
    ]
    if len(evaluation.scenes) == 1:
        facts.append(_training(evaluation.scenes[0]))
    return " · ".join(facts)


def _training(scene: SceneScores) -> str:
    info = scene.info
    return (
        f"{info.method}, preset {info.preset}, {info.step:,} steps in {info.seconds / 60:.1f} min "
        f"({info.cpu_seconds / 60:.1f} min of processor time)"
    )


def _headline(scenes: Sequence[SceneScores]) -> str:
    """Tiles for one scene, a table with the best marked for several."""
    if len(scenes) > 1:
        return _comparison(scenes)
    tiles = []
    for measure in MEASURES:
        value, reason = scenes[0].means.get(measure.key), scenes[0].unavailable.get(measure.key, "")
        if value is None:
            tiles.append(
                f'<div class="tile none" title="{escape(reason)}"><b>not available</b>'
                f"<span>{escape(measure.label)}</span></div>"
            )
        else:
            tiles.append(
                f'<div class="tile" title="{escape(measure.convention)}"><b>{measure.text(value)}</b>'
                f"<span>{_labelled(measure)}</span></div>"
            )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _labelled(measure: Measure) -> str:
    return f"{escape(measure.label)} {'↑' if measure.higher_is_better else '↓'}"


def best_scene(scenes: Sequence[SceneScores], measure: Measure) -> int | None:
    """The number of the scene with the best mean, or None where fewer than two have one."""
    values = [(scene.means[measure.key], k) for k, scene in enumerate(scenes) if measure.key in scene.means]
    if len(values) < 2:
        return None
    return max(values)[1] if measure.higher_is_better else min(values)[1]


def _comparison(scenes: Sequence[SceneScores]) -> str:
    used = [measure for measure in MEASURES if any(measure.key in scene.means for scene in scenes)]
    best = {measure.key: best_scene(scenes, measure) for measure in used}
    head = "".join(f'<th class="sorts">{_labelled(measure)}</th>' for measure in used)
    rows = []
    for number, scene in enumerate(scenes):
        cells = "".join(_cell(m, scene.means.get(m.key), number == best[m.key]) for m in used)
        training = f'<div class="readings">{escape(_training(scene))}</div>'
        rows.append(f"<tr><td>{escape(scene.name)}{training}</td>{cells}</tr>")
    return f"<table><thead><tr><th>scene</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(measure: Measure, value: float | None, is_best: bool = False) -> str:
    if value is None:
        return '<td class="none">–</td>'
    kind = ' class="best"' if is_best else ""
    return f'<td{kind} data-value="{value:.9g}">{value:.{measure.digits}f}</td>'


def _viewer(evaluation: Evaluation, count: int, template: str) -> str:
    total = len(evaluation.frames)
    shown = "" if count == total else f" Pictures of {count} of {total} views."
    return template.replace("{shown}", shown).replace("{error_scale}", f"{ERROR_SCALE:g}")


def _viewer_data(evaluation: Evaluation, pictures: Pictures) -> dict[str, Any]:
    views = []
    order = sorted(pictures)
    for index in order:
        truth, layers = pictures[index]
        camera = evaluation.frames.cameras[int(evaluation.frames.camera_indices[index])]
        views.append(
            {
                "number": index,
                "camera": evaluation.scenes[0].views[index]["camera"],
                "label": _view_label(evaluation, index),
                "width": camera.width,
                "height": camera.height,
                "truth": truth,
                "layers": layers,
                "readings": "<br>".join(_readings(scene, index, evaluation) for scene in evaluation.scenes),
            }
        )
    worst = next((index for index in worst_first(evaluation) if index in pictures), None)
    return {
        "scenes": [{"name": scene.name} for scene in evaluation.scenes],
        "views": views,
        "fps": evaluation.capture.fps or PLAYING_RATE,
        "start": order.index(worst) if worst is not None else 0,
    }


def _readings(scene: SceneScores, index: int, evaluation: Evaluation) -> str:
    values = scene.views[index]
    parts = [f"{escape(m.label)} <b>{m.text(values[m.key])}</b>" for m in MEASURES if m.key in values]
    name = f"{escape(scene.name)}: " if len(evaluation.scenes) > 1 else ""
    return name + " · ".join(parts)


def _view_label(evaluation: Evaluation, index: int) -> str:
    view = evaluation.scenes[0].views[index]
    if not evaluation.capture.is_dynamic:
        return str(view["camera"])
    return f"{view['camera']} · timestep {view['timestep']} · {view['time']:.3f} s"


def worst_first(evaluation: Evaluation) -> list[int]:
    """View numbers by PSNR, lowest first; with several scenes, by the mean of theirs."""

    def quality(index: int) -> float:
        return sum(float(scene.views[index]["psnr"]) for scene in evaluation.scenes)

    return sorted(range(len(evaluation.frames)), key=quality)


def _worst(evaluation: Evaluation, pictures: Pictures) -> str:
    cards = []
    for index in [index for index in worst_first(evaluation) if index in pictures][:WORST]:
        _, layers = pictures[index]
        images = "".join(
            f'<img src="{escape(own["render"])}" alt="render" loading="lazy">'
            f'<img src="{escape(own["error"])}" alt="error" loading="lazy">'
            for own in layers
        )
        values = " / ".join(f"{scene.views[index]['psnr']:.2f}" for scene in evaluation.scenes)
        label = escape(_view_label(evaluation, index))
        cards.append(
            f'<div class="card" data-view="{index}"><div class="pair">{images}</div>'
            f"{label}<b>{values} dB</b></div>"
        )
    hint = "By PSNR, lowest first: the render and where it is wrong. A click opens the view above."
    return f'<h2>Worst views</h2><p class="hint">{hint}</p><div class="cards">{"".join(cards)}</div>'


def _over_time(evaluation: Evaluation) -> str:
    """PSNR of each camera and scene over time; nothing for captures that stand still."""
    charts = []
    for key, label in (("psnr", "PSNR (dB)"), ("psnr_moving", "moving PSNR (dB)"), ("flicker", "flicker")):
        series = []
        for scene in evaluation.scenes:
            for camera in scene.cameras:
                own = [
                    (index, view)
                    for index, view in enumerate(scene.views)
                    if view["camera"] == camera["camera"] and key in view
                ]
                if len(own) < 2:
                    continue
                names = ([scene.name] if len(evaluation.scenes) > 1 else []) + [camera["camera"]]
                points = [(view["time"], view[key]) for _, view in own]
                series.append(Series(" ".join(names), points, [index for index, _ in own]))
        charts.append(_figure(line_chart(series, "seconds", label)))
    found = "".join(charts)
    return f'<h2>Over time</h2><div class="plots">{found}</div>' if found else ""


def _history(scenes: Sequence[SceneScores]) -> str:
    """What training wrote down: the PSNR of the view it previews, and the loss."""
    charts = []
    for x, x_label, y, y_label in (
        ("seconds", "training seconds", "psnr", "preview PSNR (dB)"),
        ("step", "step", "psnr", "preview PSNR (dB)"),
        ("step", "step", "loss", "loss"),
    ):
        series = [
            Series(scene.name, [(p[x], p[y]) for p in scene.info.history if x in p and y in p])
            for scene in scenes
        ]
        charts.append(_figure(line_chart([s for s in series if len(s.points) > 1], x_label, y_label)))
    found = "".join(charts)
    return f'<h2>Training history</h2><div class="plots">{found}</div>' if found else ""


def _figure(chart: str) -> str:
    return f"<div>{chart}</div>" if chart else ""


def _cameras(scenes: Sequence[SceneScores]) -> str:
    head = "".join(f'<th class="sorts">{_labelled(measure)}</th>' for measure in MEASURES)
    rows = []
    for scene in scenes:
        for camera in scene.cameras:
            name = f"{scene.name} {camera['camera']}" if len(scenes) > 1 else camera["camera"]
            cells = "".join(_cell(measure, camera.get(measure.key)) for measure in MEASURES)
            rows.append(f"<tr><td>{escape(name)}</td><td>{camera['count']}</td>{cells}</tr>")
    return (
        "<h2>Cameras</h2><table><thead><tr><th>camera</th><th>views</th>"
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _views(evaluation: Evaluation) -> str:
    scenes = evaluation.scenes
    measures = [measure for measure in MEASURES if measure.key in VIEW_MEASURES]
    used = [m for m in measures if any(m.key in scene.means for scene in scenes)]
    if len(scenes) > 1:  # one column a scene: only what fits
        used = [measure for measure in used if measure.key in ("psnr", "psnr_moving", "flip", "ssim")]
    head = "".join(
        f'<th class="sorts">{_labelled(measure)}{f" {escape(scene.name)}" if len(scenes) > 1 else ""}</th>'
        for measure in used
        for scene in scenes
    )
    rows = []
    for index in worst_first(evaluation):
        view = scenes[0].views[index]
        cells = []
        for measure in used:
            values = [scene.views[index].get(measure.key) for scene in scenes]
            known = [value for value in values if value is not None]
            best = (max if measure.higher_is_better else min)(known) if len(known) > 1 else None
            cells += [_cell(measure, value, value is not None and value == best) for value in values]
        place = f"<td>{escape(view['camera'])}</td><td>{view['timestep']}</td>"
        rows.append(f'<tr data-view="{index}">{place}{"".join(cells)}</tr>')
    return (
        '<h2>All views</h2><p class="hint">Worst first; a click on a heading sorts, a click on a row opens '
        'the view.</p><div class="scroll"><table><thead><tr><th class="sorts">camera</th>'
        f'<th class="sorts">timestep</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _definitions(scenes: Sequence[SceneScores]) -> str:
    """What each number means and by which convention; why one is missing."""
    items = []
    for measure in MEASURES:
        text = escape(measure.convention)
        with_settings = next(
            (s.conventions[measure.key] for s in scenes if measure.key in s.conventions), None
        )
        if with_settings is not None and measure.key not in ("dssim1", "dssim2"):
            text += f" Here: {escape(with_settings)}."
        reasons = {scene.unavailable[measure.key] for scene in scenes if measure.key in scene.unavailable}
        if reasons:
            text += f" <b>Not available: {escape('; '.join(sorted(reasons)))}.</b>"
        items.append(f"<dt>{_labelled(measure)}</dt><dd>{text}</dd>")
    return f"<h2>What the figures mean</h2><dl>{''.join(items)}</dl>"
