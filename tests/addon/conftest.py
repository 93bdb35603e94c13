"""The add-on in the ``bpy`` of this interpreter, installed from its zip, and a real server beside it.

Each Blender's wheel runs these tests: ``.venvs/blender-4.5/bin/python -m pytest tests/addon``. The
server and what makes small captures run in another Python, named by ``NEURAL_RENDER_SERVER_PYTHON``
(default: ``.venvs/server`` of this repository).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXTENSION = "bl_ext.user_default.neural_render"

# Blender's own files of this run: nothing is written into the user's. Must be set before bpy loads.
USER_FOLDER = tempfile.mkdtemp(prefix="neural-render-blender-")
os.environ["BLENDER_USER_RESOURCES"] = USER_FOLDER

import bpy  # noqa: E402

from neural_render_addon.service.client import Client  # noqa: E402

# Enough for a picture that is right in the large, and quick.
TRAINING_STEPS = 60


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    # The wheels may hang or crash in their own clean-up at interpreter exit; the tests are over here.
    shutil.rmtree(USER_FOLDER, ignore_errors=True)
    if not bpy.app.binary_path:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(EXIT_STATUS, 1))


EXIT_STATUS = pytest.StashKey[int]()


def server_python() -> Path:
    default = REPOSITORY / ".venvs" / "server" / "bin" / "python"
    python = Path(os.environ.get("NEURAL_RENDER_SERVER_PYTHON", default))
    if not python.exists():
        pytest.fail(f"{python} does not exist; name the server's Python in NEURAL_RENDER_SERVER_PYTHON")
    return python


def extension_tool() -> Path:
    """Blender's own build tool for extensions."""
    return (
        Path(bpy.utils.resource_path("LOCAL"))
        / "scripts"
        / "addons_core"
        / "bl_pkg"
        / "cli"
        / "blender_ext.py"
    )


@pytest.fixture(scope="session")
def built_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built by this Blender's tool."""
    folder = tmp_path_factory.mktemp("zip")
    tool = [sys.executable, str(extension_tool())]
    subprocess.run([*tool, "build", "--source-dir", str(REPOSITORY), "--output-dir", str(folder)], check=True)
    return next(folder.glob("*.zip"))


@pytest.fixture(scope="session")
def addon(built_zip: Path) -> ModuleType:
    """The installed and enabled extension's ``neural_render_addon`` package."""
    bpy.ops.extensions.package_install_files(
        filepath=str(built_zip), repo="user_default", enable_on_install=True
    )
    assert EXTENSION in bpy.context.preferences.addons
    return sys.modules[f"{EXTENSION}.neural_render_addon"]


@pytest.fixture
def empty_scene(addon: ModuleType) -> Iterator[bpy.types.Scene]:
    """A new, empty .blend with the add-on enabled."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if EXTENSION not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
    yield bpy.context.scene


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny captures, one a format, made in the server's Python."""
    folder = tmp_path_factory.mktemp("captures")
    subprocess.run(
        [str(server_python()), str(Path(__file__).with_name("make_captures.py")), str(folder)], check=True
    )
    return folder


@dataclass(frozen=True)
class TrainedScene:
    """A scene folder and the job that trained it."""

    path: Path
    job_id: str


class RunningServer:
    """A real server process in its own state folder, that its test may also kill."""

    def __init__(self, state_dir: Path, *arguments: str) -> None:
        self.state_dir = state_dir
        self.log = state_dir / "server.log"
        state_dir.mkdir(parents=True, exist_ok=True)
        command = [str(server_python()), "-m", "neural_render_server.cli", "serve"]
        command += ["--state-dir", str(state_dir), "--parent-pid", str(os.getpid()), *arguments]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.ready = json.loads(line)

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    @property
    def token(self) -> str:
        return str(self.ready["token"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that leave it as it was."""
    running = RunningServer(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that the test may stop or kill."""
    running = RunningServer(tmp_path / "server")
    yield running
    running.stop()


@pytest.fixture
def connected(empty_scene: bpy.types.Scene, server: RunningServer) -> RunningServer:
    """The add-on's preferences point at the shared server."""
    use_server(server)
    return server


@pytest.fixture(scope="session")
def trained(server: RunningServer, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedScene:
    """A scene trained on the tiny N3DV capture, and the finished job that trained it."""
    client = Client("127.0.0.1", server.port, server.token)
    scene = tmp_path_factory.mktemp("trained") / "tiny.scene"
    params = {"capture": str(tiny / "n3dv"), "scene": str(scene), "steps": TRAINING_STEPS, "preset": "small"}
    job = client.submit("train", params)
    for _ in client.events(job.id):
        pass
    job = client.job(job.id)
    assert job.state == "done", job.error
    return TrainedScene(scene, job.id)


@pytest.fixture
def preferences(empty_scene: bpy.types.Scene, tmp_path: Path) -> Any:
    """The add-on's, with a state folder of the test's own and the server of ``server_python()``."""
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.host, preferences.port, preferences.token = "127.0.0.1", 0, ""
    preferences.state_dir = str(tmp_path / "state")
    preferences.environment = str(server_python().parent.parent)
    return preferences


@pytest.fixture(scope="session")
def lit_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene folder of ``tests/gaussian_scene.red_and_green``."""
    return gaussian_scene(tmp_path_factory.mktemp("lit") / "lit.scene", "red_and_green")


def gaussian_scene(folder: Path, name: str) -> Path:
    """The scene ``name`` of ``tests/gaussian_scene.py``, written to ``folder`` in the server's Python."""
    script = REPOSITORY / "tests" / "gaussian_scene.py"
    subprocess.run([str(server_python()), str(script), str(folder), name], check=True)
    return folder


def use_server(server: RunningServer) -> None:
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.host, preferences.port, preferences.token = "127.0.0.1", server.port, server.token
    preferences.state_dir = str(server.state_dir)
    preferences.environment = ""


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def other_program() -> Iterator[int]:
    """The port of a web server that is not ours."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            pass

    page = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=page.serve_forever)
    thread.start()
    yield page.server_port
    page.shutdown()
    thread.join()
    page.server_close()
