"""Install, check, repair and uninstall the server."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

from neural_render_addon.errors import JobCancelled, ServerProcessError
from neural_render_addon.service import install as install_module
from neural_render_addon.service.doctor import examine
from neural_render_addon.service.install import InstallSettings, find_python, install, repair, uninstall
from neural_render_addon.service.pip_command import (
    CPU_INDEX,
    CUDA_INDEX,
    PackageSource,
    pip_command,
    torch_index,
)
from neural_render_addon.service.server_process import ServerSettings
from tests.addon.conftest import EXTENSION, REPOSITORY, server_python


def settings(tmp_path, **changes):
    values = {
        "source": REPOSITORY / "server",
        "environment": tmp_path / "environment",
        "log_path": tmp_path / "install.log",
        "interpreter": "",
        "own_python": sys.executable,
        "packages": PackageSource(),
        "may_go_online": True,
    }
    return InstallSettings(**{**values, **changes})


def test_install_needs_online_access(preferences):
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.neural_render.server_install()


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
    command = install(
        settings(tmp_path, packages=PackageSource(options="--no-deps")), told.append, lambda: False
    )
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


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with the server's own wheel; what it depends on is left out for its size."""
    folder = tmp_path_factory.mktemp("wheels")
    source = tmp_path_factory.mktemp("source") / "server"
    shutil.copytree(REPOSITORY / "server", source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    build = [str(server_python()), "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(source)], check=True)
    return folder


def from_wheels(tmp_path, folder):
    packages = PackageSource(folder, options="--no-deps")
    return settings(tmp_path, packages=packages, may_go_online=False)


def server_settings(tmp_path, environment):
    return ServerSettings(
        "127.0.0.1", 0, "", tmp_path / "state", "", environment, tmp_path / "log", may_go_online=False
    )


def test_install_offline_break_check_repair_and_uninstall(tmp_path, wheels):
    """The life of an installation on a machine without a network."""
    chosen = from_wheels(tmp_path, wheels)
    command = install(chosen, lambda message: None, lambda: False)
    assert "--no-index" in chosen.log_path.read_text()
    subprocess.run([str(command), "--version"], check=True)

    # What it depends on is not there: the doctor says so in the server's own words.
    (finding,) = examine(server_settings(tmp_path, chosen.environment))
    assert finding.status == "error" and "torch" in finding.text and "Repair Server" in finding.remedy

    # Half deleted, it cannot even say that.
    (package,) = chosen.environment.glob("**/site-packages/neural_render_server")
    shutil.rmtree(package)
    (finding,) = examine(server_settings(tmp_path, chosen.environment))
    assert finding.remedy == "press Repair Server" and "neural_render_server" in finding.text

    # A repair that fails leaves what was there; one that does not, makes it work.
    (tmp_path / "none").mkdir()
    with pytest.raises(ServerProcessError, match=r"none: there are no wheels in this folder"):
        repair(from_wheels(tmp_path, tmp_path / "none"), lambda message: None, lambda: False)
    assert command.is_file() and not package.exists() and not chosen.set_aside.exists()
    assert repair(chosen, lambda message: None, lambda: False) == command
    assert package.is_dir() and not chosen.set_aside.exists()
    subprocess.run([str(command), "--version"], check=True)

    assert uninstall(chosen) > 1e6
    assert not chosen.environment.exists()
    with pytest.raises(ServerProcessError, match="no server is installed there"):
        uninstall(chosen)


def test_a_repair_that_was_killed_is_taken_up(tmp_path):
    """The environment was set aside, the new one half made."""
    chosen = settings(tmp_path, packages=PackageSource(tmp_path / "none"))
    (chosen.set_aside / "bin").mkdir(parents=True)
    (chosen.environment / "half").mkdir(parents=True)
    with pytest.raises(ServerProcessError, match="there are no wheels"):
        repair(chosen, lambda message: None, lambda: False)
    assert (chosen.environment / "bin").is_dir() and not chosen.set_aside.exists()


def test_the_build_of_torch_fits_the_machine():
    assert torch_index("AUTO", "linux", has_gpu=False) == CPU_INDEX
    assert torch_index("AUTO", "linux", has_gpu=True) == ""
    assert torch_index("AUTO", "win32", has_gpu=False) == ""
    assert torch_index("AUTO", "win32", has_gpu=True) == CUDA_INDEX
    assert torch_index("CPU", "linux", has_gpu=True) == CPU_INDEX
    assert torch_index("CUDA", "win32", has_gpu=False) == CUDA_INDEX
    assert torch_index("CUDA", "darwin", has_gpu=True) == ""


def test_an_index_of_the_users_own_is_the_only_one(tmp_path, monkeypatch):
    server = REPOSITORY / "server"
    own = PackageSource(torch="CPU", options="--index-url https://packages.example/simple")
    assert CPU_INDEX not in pip_command(own, Path(sys.executable), server)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    for name in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name)
    python = str(server_python())
    (tmp_path / "pip.conf").write_text("[global]\ntimeout = 15\n")
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    if "index" not in listed and "find-links" not in listed:
        assert CPU_INDEX in pip_command(PackageSource(torch="CPU"), Path(python), server)
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://packages.example/simple\n")
    assert CPU_INDEX not in pip_command(PackageSource(torch="CPU"), Path(python), server)


def test_check_server_shows_what_it_finds(preferences, tmp_path):
    assert bpy.ops.neural_render.server_doctor() == {"FINISHED"}
    found = bpy.context.window_manager.neural_render.findings
    assert {"versions", "device", "memory", "disk", "codecs", "ports", "state folder"} <= set(found.keys())
    assert found["codecs"].status == "OK" and "h264" in found["codecs"].text
    preferences.environment = str(tmp_path / "empty")
    assert bpy.ops.neural_render.server_doctor() == {"FINISHED"}
    assert [(finding.name, finding.status) for finding in found] == [("installation", "ERROR")]
    assert "press Install Server" in found["installation"].remedy


def test_uninstall_by_operator_tells_that_there_is_nothing(preferences):
    with pytest.raises(RuntimeError, match="no server is installed there"):
        bpy.ops.neural_render.server_uninstall()
