"""Start, find and stop the server, through the operators."""

import os
from pathlib import Path

import bpy
import pytest

from neural_render_addon.errors import ServerProcessError, ServerUnreachable
from neural_render_addon.service.server_process import (
    connect,
    default_state_dir,
    find_executable,
    read_server_file,
)
from tests.addon.conftest import EXTENSION, RunningServer, server_python


def manager():
    return bpy.context.window_manager.neural_render


def test_start_find_and_stop(preferences, tmp_path):
    assert bpy.ops.neural_render.server_start() == {"FINISHED"}
    assert manager().server_state == "RUNNING"
    first = read_server_file(tmp_path / "state")
    assert manager().server_address == f"127.0.0.1:{first['port']}"
    log = Path(bpy.utils.extension_path_user(EXTENSION)) / "server.log"
    assert first["token"] in log.read_text() and log.stat().st_mode & 0o077 == 0  # for nobody else's eyes
    # A second Blender, or a second click, finds the running one.
    assert bpy.ops.neural_render.server_start() == {"FINISHED"}
    assert read_server_file(tmp_path / "state") == first
    assert bpy.ops.neural_render.server_stop() == {"FINISHED"}
    assert manager().server_state == "STOPPED"
    assert read_server_file(tmp_path / "state") is None


def test_a_stale_server_file_does_not_stop_a_start(preferences, own_server: RunningServer, tmp_path):
    stale = (own_server.state_dir / "server.json").read_text()
    own_server.kill()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "server.json").write_text(stale)
    assert bpy.ops.neural_render.server_start() == {"FINISHED"}
    assert bpy.ops.neural_render.server_stop() == {"FINISHED"}


def test_a_port_that_is_taken_is_told(preferences, other_program):
    preferences.port = other_program
    with pytest.raises(RuntimeError, match="no Neural Render server"):
        bpy.ops.neural_render.server_start()
    assert manager().server_state == "STOPPED"


def test_an_environment_without_the_server_is_told(preferences, tmp_path):
    preferences.environment = str(tmp_path / "empty")
    with pytest.raises(RuntimeError, match="no neural-render command is there"):
        bpy.ops.neural_render.server_start()


def test_another_machine_needs_online_access(preferences):
    preferences.host, preferences.port = "render.example", 8000
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.neural_render.server_start()


def test_state_folder_is_the_servers_own_default(monkeypatch):
    import subprocess

    monkeypatch.delenv("NEURAL_RENDER_STATE_DIR", raising=False)
    code = "from neural_render_server.service.state import default_state_dir; print(default_state_dir())"
    output = subprocess.run(
        [str(server_python()), "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert Path(output.strip()) == default_state_dir()
    monkeypatch.setenv("NEURAL_RENDER_STATE_DIR", "/somewhere")
    assert default_state_dir() == Path("/somewhere")


def test_nothing_runs_and_nothing_is_installed(tmp_path):
    from neural_render_addon.service.server_process import ServerSettings

    nothing = ServerSettings(
        "127.0.0.1", 0, "", tmp_path, "", tmp_path / "none", tmp_path / "log", may_go_online=False
    )
    with pytest.raises(ServerUnreachable, match="press Start Server"):
        connect(nothing)
    path = os.environ["PATH"]
    os.environ["PATH"] = str(tmp_path)
    try:
        with pytest.raises(ServerProcessError, match="press Install Server"):
            find_executable(nothing)
    finally:
        os.environ["PATH"] = path
