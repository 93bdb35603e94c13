"""A server on another machine, as Blender sees it: encrypted, with its certificate, and when online.

The other machine is an address of this one that is not the loopback the add-on takes for its own.
"""

import contextlib
import socket
import subprocess
import threading
from pathlib import Path

import bpy
import pytest

from tests.addon.conftest import RunningServer

OTHER_MACHINE = "127.0.0.2"


def _can_listen() -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((OTHER_MACHINE, 0))
        return True
    return False


pytestmark = pytest.mark.skipif(not _can_listen(), reason="this system has one loopback address only")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """As docs/security.md says."""
    folder.mkdir(parents=True)
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=render -keyout key.pem -out cert.pem"
    )
    names = f"subjectAltName=DNS:render.example,IP:{OTHER_MACHINE}"
    subprocess.run([*command.split(), "-addext", names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def remote(tiny, tmp_path_factory):
    """A server for other machines that may use the tiny captures, and its certificate."""
    folder = tmp_path_factory.mktemp("remote")
    certificate, key = make_certificate(folder / "tls")
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    running = RunningServer(folder / "state", "--host", OTHER_MACHINE, *tls, "--allow-root", str(tiny))
    yield running, certificate
    running.stop()


@pytest.fixture
def remote_preferences(remote, preferences):
    """The preferences of an artist who was given address, token and certificate."""
    server, certificate = remote
    preferences.host, preferences.port, preferences.token = OTHER_MACHINE, server.port, server.token
    preferences.certificate = str(certificate)
    system = bpy.context.preferences.system
    before, system.use_online_access = system.use_online_access, True
    yield preferences
    system.use_online_access = before
    preferences.certificate = ""


def connect() -> set[str]:
    """As the button does."""
    return bpy.ops.neural_render.server_start()


def test_a_server_with_a_trusted_certificate_is_used(remote_preferences, tiny, tmp_path):
    assert connect() == {"FINISHED"}
    manager = bpy.context.window_manager.neural_render
    assert manager.server_state == "RUNNING" and manager.server_address.startswith(OTHER_MACHINE)
    assert bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"), use_clips=False) == {"FINISHED"}
    assert len([one for one in bpy.context.scene.objects if one.type == "CAMERA"]) == 7
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(RuntimeError, match="outside of what this server may use"):
        bpy.ops.neural_render.import_capture(filepath=str(tmp_path / "elsewhere"))


def test_an_unknown_certificate_is_refused(remote_preferences, tmp_path):
    for certificate in ("", str(make_certificate(tmp_path / "other")[0])):
        remote_preferences.certificate = certificate
        with pytest.raises(RuntimeError, match=r"could not prove that it is yours.*choose its certificate"):
            connect()
    assert bpy.context.window_manager.neural_render.server_state == "STOPPED"
    remote_preferences.certificate = str(tmp_path / "none.pem")
    with pytest.raises(RuntimeError, match=r"none\.pem: there is no such file"):
        connect()


def test_a_server_that_does_not_answer_is_told(remote_preferences):
    remote_preferences.host = "127.0.0.3"
    with pytest.raises(RuntimeError, match=r"No server answers at 127\.0\.0\.3.*start it there"):
        connect()


def test_no_other_machine_without_online_access(remote_preferences):
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match=r"another machine; enable .* Allow Online Access"):
        connect()
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.neural_render.queue_watch()


def test_the_token_of_this_machines_server_goes_nowhere_else(remote_preferences, server):
    """With an empty preference: the one of a server here is not tried on a server elsewhere."""
    remote_preferences.token, remote_preferences.state_dir = "", str(server.state_dir)
    with pytest.raises(RuntimeError, match="refuses the token"):
        connect()


def test_the_token_never_travels_in_the_clear(remote_preferences):
    """To somebody who listens at the address, and to one that sends Blender elsewhere."""
    heard = []

    def listen(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    heard.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n")

    with socket.create_server((OTHER_MACHINE, 0)) as listener:
        thread = threading.Thread(target=listen, args=(listener,), daemon=True)
        thread.start()
        remote_preferences.port = listener.getsockname()[1]
        with pytest.raises(RuntimeError):
            connect()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert heard and all(remote_preferences.token.encode() not in data for data in heard)
