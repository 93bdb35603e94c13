"""Start, find, stop and install the server, through the operators."""

import os
import resource
import shutil
import sys
import time
from pathlib import Path

import bpy
import pytest

from neural_render_addon import install as install_module
from neural_render_addon.errors import JobCancelled, ServerProcessError, ServerUnreachable
from neural_render_addon.install import InstallSettings, find_python, install
from neural_render_addon.server_process import (
    connect,
    default_state_dir,
    find_executable,
    read_server_file,
)
from tests.addon.conftest import EXTENSION, REPOSITORY, RunningServer, server_python


@pytest.fixture
def preferences(empty_scene, tmp_path):
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.host, preferences.port, preferences.token = "127.0.0.1", 0, ""
    preferences.state_dir = str(tmp_path / "state")
    preferences.environment = str(server_python().parent.parent)
    return preferences


def manager():
    return bpy.context.window_manager.neural_render


def settings(tmp_path, **changes):
    values = {
        "source": REPOSITORY / "server",
        "environment": tmp_path / "environment",
        "log_path": tmp_path / "install.log",
        "interpreter": "",
        "own_python": sys.executable,
        "pip_options": "",
        "may_go_online": True,
    }
    return InstallSettings(**{**values, **changes})


def test_start_find_and_stop(preferences, tmp_path):
    assert bpy.ops.neural_render.server_start() == {"FINISHED"}
    assert manager().server_state == "RUNNING"
    first = read_server_file(tmp_path / "state")
    assert manager().server_address == f"127.0.0.1:{first['port']}"
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


def test_install_needs_online_access(preferences):
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.neural_render.server_install()


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


def test_a_fitting_python_is_found():
    found = find_python("", sys.executable)
    assert install_module.python_version(found) in install_module.PYTHON_VERSIONS


def test_an_interpreter_that_is_none_is_told(tmp_path):
    with pytest.raises(ServerProcessError, match=r"nothing: is no Python with venv and pip.*3\.11 or 3\.12"):
        find_python(str(tmp_path / "nothing"), sys.executable)


def test_install_makes_an_environment_with_the_command(tmp_path):
    """All but the dependencies, which are large: a real environment, pip and the shipped source."""
    told = []
    source_before = sorted(path.name for path in (REPOSITORY / "server").iterdir())
    command = install(settings(tmp_path, pip_options="--no-deps"), told.append, lambda: False)
    assert command.is_file()
    assert os.access(command, os.X_OK)
    fractions = [message.fraction for message in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert "Successfully installed" in (tmp_path / "install.log").read_text()
    assert sorted(path.name for path in (REPOSITORY / "server").iterdir()) == source_before


@pytest.mark.slow
@pytest.mark.skipif(
    "NEURAL_RENDER_TEST_INSTALL" not in os.environ,
    reason="downloads the server's dependencies; set NEURAL_RENDER_TEST_INSTALL=1",
)
def test_install_server_with_everything_and_train_on_it(preferences, tiny, tmp_path):
    """What an artist does first, with nothing there before: install, start, import, train."""
    preferences.environment = ""
    bpy.context.preferences.system.use_online_access = True
    began = time.monotonic()
    assert bpy.ops.neural_render.server_install() == {"FINISHED"}
    environment = Path(bpy.utils.extension_path_user(EXTENSION)) / "environment"
    size = sum(path.lstat().st_size for path in environment.rglob("*"))
    print(f"installed in {time.monotonic() - began:.0f} s, {size / 1e6:.0f} MB")
    assert bpy.ops.neural_render.server_start() == {"FINISHED"}
    try:
        assert bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv")) == {"FINISHED"}
        settings = bpy.context.scene.neural_render.train
        settings.budget, settings.steps, settings.preset = "STEPS", 20, "small"
        settings.folder = str(tmp_path / "tiny.scene")
        assert bpy.ops.neural_render.train() == {"FINISHED"}
    finally:
        bpy.ops.neural_render.server_stop()
        shutil.rmtree(environment)


def test_a_failed_install_names_its_log_and_leaves_nothing(tmp_path):
    source = tmp_path / "server"
    source.mkdir()
    (source / "pyproject.toml").write_text("this is no TOML [")
    with pytest.raises(ServerProcessError, match=r"pip|python failed.*install\.log"):
        install(settings(tmp_path, source=source), lambda message: None, lambda: False)
    assert not (tmp_path / "environment").exists()


def test_an_install_on_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    """The operating system refuses to write beyond a limit, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(ServerProcessError, match=r"environment: cannot be written .*free some space"):
            install(settings(tmp_path), lambda message: None, lambda: False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "environment").exists()


def test_an_install_can_be_cancelled(tmp_path):
    began = time.monotonic()
    with pytest.raises(JobCancelled):
        install(settings(tmp_path), lambda message: None, lambda: time.monotonic() > began + 0.5)
    assert not (tmp_path / "environment").exists()


def test_nothing_runs_and_nothing_is_installed(tmp_path):
    from neural_render_addon.server_process import ServerSettings

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
