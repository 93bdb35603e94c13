"""The report opens from disk: every picture is there, nothing is fetched, and the page works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from neural_render_server.cli import main
from neural_render_server.errors import OptionError
from neural_render_server.evaluation.evaluate import EvaluationOptions, evaluated
from neural_render_server.evaluation.measures import BY_KEY
from neural_render_server.evaluation.page import best_scene, worst_first
from neural_render_server.evaluation.pictures import error_picture, shown_views
from neural_render_server.evaluation.plots import Series, line_chart, ticks
from neural_render_server.evaluation.report import check_folder


class Page(HTMLParser):
    """What a browser would load, and the page's data."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.worst: list[int] = []
        self._in_data = False
        self.data: dict[str, Any] = {}
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [value for name in ("src", "href", "data") if (value := values.get(name))]
        if values.get("class") == "card":
            self.worst.append(int(values["data-view"] or -1))
        self._in_data = tag == "script" and values.get("id") == "data"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data = json.loads(data)
            self._in_data = False


@pytest.fixture(scope="module")
def report(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a scene whose name must be escaped."""
    folder = tmp_path_factory.mktemp("report")
    named = folder / "<b>a & 'b'"
    shutil.copytree(scene, named)
    assert main(["eval", str(named), "--report", str(folder / "out"), "--json"]) == 0
    return folder / "out"


def test_the_report_needs_nothing_but_its_folder(report: Path) -> None:
    page = Page(report / "index.html")
    assert page.links and not re.search(r"https?:|//[a-z]|@import|url\(", page.text)
    pictures = [view["truth"] for view in page.data["views"]]
    pictures += [path for view in page.data["views"] for layers in view["layers"] for path in layers.values()]
    assert len(pictures) == 6 * 4  # truth, render, error map, FLIP map
    for link in {*page.links, *pictures}:
        assert cv2.imread(str(report / link)).shape == (48, 64, 3)
    assert {path.name for path in report.iterdir()} == {"index.html", "report.json", "pictures"}


def test_the_report_tells_what_eval_tells_and_escapes_names(report: Path) -> None:
    page, data = Page(report / "index.html"), json.loads((report / "report.json").read_text())
    assert f"{data['psnr']:.2f} dB" in page.text and "standard_4k" in page.text
    assert "data range 1" in page.text and "data range 2" in page.text
    assert "<b>a &" not in page.text and "&lt;b&gt;a &amp; &#x27;b&#x27;" in page.text
    psnr = [data["views"][number]["psnr"] for number in page.worst]
    assert psnr == sorted(psnr) and psnr[0] == min(view["psnr"] for view in data["views"])
    start = page.data["views"][page.data["start"]]
    assert start["number"] == page.worst[0]


def test_pictures_are_the_filmed_and_rendered_ones(report: Path, tiny_film: Path) -> None:
    import tiny_capture

    filmed = cv2.imread(str(report / "pictures" / "truth" / "cam00_0003.png"))[..., ::-1]
    expected = tiny_capture.picture(tiny_capture.rig()[0], 2 / tiny_capture.FPS)
    assert np.abs(filmed.astype(float) - expected).mean() < 2.0  # the codec's loss
    data = json.loads((report / "report.json").read_text())
    render = cv2.imread(str(report / "pictures" / "scene1" / "cam00_0003.png"))[..., ::-1]
    mse = np.mean((render / 255.0 - filmed / 255.0) ** 2)
    assert -10 * np.log10(mse) == pytest.approx(data["views"][2]["psnr"], abs=0.05)  # 8-bit rounding


def test_several_scenes_share_one_report(scene: Path, rougher_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    paths = [str(scene), str(rougher_scene)]
    assert main(["compare", *paths, "--report", str(out), "--pictures", "2", "--skip", "flip,jod"]) == 0
    page = Page(out / "index.html")
    assert [entry["name"] for entry in page.data["scenes"]] == [scene.name, rougher_scene.name]
    assert len(page.data["views"]) == 2 and all(len(view["layers"]) == 2 for view in page.data["views"])
    assert 'class="best"' in page.text and "Pictures of 2 of 6 views" in page.text
    assert len(list((out / "pictures").rglob("*.png"))) == 2 * (1 + 2 * 2)


def test_worst_views_keep_their_pictures(scene: Path, rougher_scene: Path) -> None:
    with evaluated([scene, rougher_scene], EvaluationOptions(skip=("flip", "jod"))) as evaluation:
        assert shown_views(evaluation, 6) == list(range(6))
        worst = min(range(6), key=lambda k: min(s.views[k]["psnr"] for s in evaluation.scenes))
        for limit in (2, 3, 5):
            shown = shown_views(evaluation, limit)
            assert len(set(shown)) == limit and worst in shown
        assert shown_views(evaluation, 0) == []
        assert sorted(worst_first(evaluation)) == list(range(6))
        assert best_scene(evaluation.scenes, BY_KEY["mse"]) == 0
        assert best_scene(evaluation.scenes, BY_KEY["jod"]) is None


def test_a_folder_with_other_files_is_not_used(tmp_path: Path, report: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(OptionError, match="holds other files"):
        check_folder(tmp_path)
    with pytest.raises(OptionError, match="is a file"):
        check_folder(tmp_path / "thesis.txt")
    check_folder(report)  # an older report is replaced
    check_folder(tmp_path / "new")


def test_error_pictures_are_black_where_equal_and_white_hot_where_not() -> None:
    truth = np.full((4, 4, 3), 0.4, dtype=np.float32)
    image = truth.copy()
    image[0, 0] = 1.0
    picture = error_picture(image, truth)
    assert picture[2, 2].max() <= 4 and picture[0, 0].min() > 180


def test_line_charts() -> None:
    assert ticks(0.0, 10.0) == [0, 2, 4, 6, 8, 10]
    assert ticks(3.0, 3.0) == [3.0]
    assert all(19.93 <= value <= 20.31 for value in ticks(19.93, 20.31)) and len(ticks(19.93, 20.31)) > 2
    assert line_chart([], "x", "y") == ""
    chart = line_chart([Series("a<b", [(0.0, 1.0), (1.0, 3.0)], [7, 8]), Series("c", [(0.5, 2.0)])], "x", "y")
    assert chart.count("<polyline") == 2 and "a&lt;b" in chart and 'data-view="8"' in chart
    points = re.search(r'points="([^"]+)"', chart)
    assert points is not None
    (x0, y0), (x1, y1) = (map(float, pair.split(",")) for pair in points.group(1).split())
    assert x1 > x0 and y1 < y0  # up is less in SVG


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser chromium")
def test_the_page_runs_in_a_browser(report: Path, tmp_path: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--disable-sync", "--no-first-run", f"--user-data-dir={tmp_path}", "--dump-dom"]
    shown = subprocess.run(
        [*command, (report / "index.html").as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    worst = Page(report / "index.html").worst[0]
    assert f'src="pictures/scene1/cam00_{worst + 1:04d}.png"' in shown
    assert f"cam00 · timestep {worst} ·" in shown
    assert shown.count("<option") == 2 * 4
