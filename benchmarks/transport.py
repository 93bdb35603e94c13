"""What the socket costs: a rendered frame's way from the server's renderer to arrays in the client.

python -m benchmarks.transport SCENE [--out DIR]

Each frame is a request of its own to ``POST /v1/render`` of a real server. Transport is the client's round
trip less the time that the server says its renderer took: the request, waiting for a thread, float16
conversion, HTTP, the socket, and planes as arrays: the whole time of a frame that needs no rendering.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neural_render_addon.service.client import Client
from neural_render_addon.service.messages import RenderedPlanes
from neural_render_server.camera_path import CameraPath
from neural_render_server.scene import Scene

from . import report
from .rendering import at_size
from .server import running_server

WIDTH, HEIGHT = 960, 540
FRAMES = 60
WARM_UP = 5


def measure(render: Callable[[], RenderedPlanes], frames: int) -> tuple[list[float], list[float]]:
    """Seconds of transport and of rendering, frame by frame."""
    transport, rendering = [], []
    for index in range(WARM_UP + frames):
        start = time.perf_counter()
        planes = render()
        seconds = time.perf_counter() - start
        assert planes.planes["combined"].shape == (HEIGHT, WIDTH, 4)
        assert planes.planes["depth"].shape == (HEIGHT, WIDTH, 1)
        if index >= WARM_UP:
            transport.append(seconds - planes.seconds)
            rendering.append(planes.seconds)
    return transport, rendering


def plain_client(ready: dict[str, Any], body: dict[str, Any]) -> Callable[[], RenderedPlanes]:
    """The same request with the standard library's client."""
    connection = http.client.HTTPConnection(ready["host"], ready["port"])
    headers = {"Authorization": f"Bearer {ready['token']}", "Content-Type": "application/json"}

    def render() -> RenderedPlanes:
        connection.request("POST", "/v1/render", json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return RenderedPlanes.from_bytes(content, answer.headers)

    return render


def row(name: str, dtype: str, transport: list[float], rendering: list[float]) -> dict[str, Any]:
    middle, slow = statistics.median(transport), sorted(transport)[int(0.95 * len(transport))]
    rendered = statistics.median(rendering)
    return {
        "client": name,
        "dtype": dtype,
        "transport, median ms": 1000.0 * middle,
        "95th percentile ms": 1000.0 * slow,
        "frames a second": 1.0 / middle,
        "rendering, median ms": 1000.0 * rendered,
        "transport / rendering": middle / rendered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    rig_frame = CameraPath.load(Scene(arguments.scene).cameras_file).frames[0]
    camera = at_size(rig_frame.camera, WIDTH, HEIGHT).to_json()
    scene = str(arguments.scene.absolute())
    rows = []
    with running_server() as ready:
        client = Client(ready["host"], ready["port"], ready["token"])
        for dtype in ("float16", "float32"):
            body = {"scene": scene, "camera": camera, "time": rig_frame.time, "dtype": dtype}
            ours = measure(
                lambda dtype=dtype: client.render(scene, camera, rig_frame.time, dtype=dtype),
                arguments.frames,
            )
            rows.append(row("add-on (requests)", dtype, *ours))
            rows.append(row("http.client", dtype, *measure(plain_client(ready, body), arguments.frames)))
    report.write(
        arguments.out,
        "transport",
        f"Transport of {WIDTH}x{HEIGHT} frames, RGBA and depth, over the loopback socket",
        rows,
        "python -m benchmarks.transport SCENE",
    )


if __name__ == "__main__":
    main()
