"""The server as a process: who may talk to it, how it is found, when it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from neural_render_server import __version__
from neural_render_server.service.serve import listen

START = (sys.executable, "-m", "neural_render_server.cli", "serve")


def serve_to_the_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``neural-render serve`` that is expected to end by itself."""
    return subprocess.run([*START, *arguments], capture_output=True, text=True, timeout=120)


def test_health_tells_who_answers(server: Any) -> None:
    health = server.get("/v1/health").json()
    assert (health["name"], health["version"], health["api_version"]) == (
        "neural-render-server",
        __version__,
        1,
    )
    assert health["pid"] == server.process.pid == server.ready["pid"]
    assert health["memory"]["total"] == psutil.virtual_memory().total
    assert 0 < health["memory"]["server"] < health["memory"]["total"]
    assert health["jobs"] == {"queued": 0, "running": 0}


def test_the_ready_line_and_the_file_tell_the_same_and_only_to_the_user(server: Any) -> None:
    file = server.state_dir / "server.json"
    assert {"event": "ready", **json.loads(file.read_text())} == server.ready
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.state_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "wrong"}])
@pytest.mark.parametrize("path", ["/v1/health", "/v1/jobs", "/v1/nothing"])
def test_without_the_token_nothing_is_answered(server: Any, path: str, header: dict[str, str]) -> None:
    answer = requests.get(server.url + path, headers=header, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert "server.json" in answer.json()["error"]["message"]


def test_a_foreign_host_name_is_refused(server: Any) -> None:
    answer = server.get("/v1/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421 and "evil.example" in answer.json()["error"]["message"]
    assert server.get("/v1/health", headers={"Host": f"localhost:{server.ready['port']}"}).ok


def test_an_oversized_body_is_refused_declared_or_not(server: Any) -> None:
    body = b" " * (33 * 1024 * 1024)
    connection = http.client.HTTPConnection("127.0.0.1", server.ready["port"], timeout=30)
    authorization = {"Authorization": f"Bearer {server.ready['token']}"}
    connection.request("POST", "/v1/render", b"{}", {**authorization, "Content-Length": str(10**12)})
    declared = connection.getresponse()
    assert declared.status == 413 and json.loads(declared.read())["error"]["code"] == "too_large"
    connection.close()
    try:
        chunked = server.session.post(
            server.url + "/v1/render",
            data=(body[start : start + 2**20] for start in range(0, len(body), 2**20)),
            timeout=30,
        )
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
        pass  # the server closed the connection while we were still sending: either may notice it first
    else:
        assert chunked.status_code == 413
    assert server.get("/v1/health").ok


def test_another_api_version_is_named_on_both_sides(server: Any) -> None:
    for answer in (server.get("/v2/health"), server.get("/v1/health", headers={"X-Neural-Render-Api": "2"})):
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "version"
        assert "API version 2" in error["message"] and "speaks version 1" in error["message"]
    assert server.get("/v1/health", headers={"X-Neural-Render-Api": "1"}).ok


def test_errors_have_one_shape(server: Any) -> None:
    for answer, status in (
        (server.get("/v1/nothing"), 404),
        (server.post("/v1/health"), 405),
        (server.post("/v1/captures/inspect", {"paht": "/tmp"}), 422),
        (server.post("/v1/captures/inspect", {"path": "relative"}), 400),
        (server.get("/v1/jobs/none"), 404),
        (server.get("/v1/jobs/none/events"), 404),
        (server.post("/v1/clients", {"pid": 2**22 + 1}), 400),
    ):
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert set(error) == {"code", "message"} and error["message"]


def test_the_api_describes_itself(server: Any) -> None:
    description = server.get("/v1/openapi.json").json()
    assert {"/v1/health", "/v1/jobs/{job_id}/events", "/v1/render"} <= set(description["paths"])
    page = requests.get(server.url + "/v1/docs", timeout=30)  # a browser has no token
    assert page.ok and "POST /v1/captures/inspect" in page.text and server.ready["token"] not in page.text


def test_a_taken_port_is_told_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = serve_to_the_end("--state-dir", str(tmp_path), "--port", str(port))
    assert ended.returncode == 1 and ended.stdout == ""
    assert str(port) in ended.stderr and "--port" in ended.stderr and "Traceback" not in ended.stderr


def test_an_unusable_state_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = serve_to_the_end("--state-dir", str(tmp_path / "file"), "--json")
    error = json.loads(ended.stdout.splitlines()[-1])["error"]
    assert ended.returncode == 1 and str(tmp_path / "file") in error["message"]
    assert "--state-dir" in error["message"]


def test_a_damaged_job_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"this is no database" * 100)
    ended = serve_to_the_end("--state-dir", str(tmp_path))
    assert ended.returncode == 1 and "jobs.sqlite" in ended.stderr and "Traceback" not in ended.stderr


def test_a_second_start_finds_the_first(start_server: Callable[..., Any]) -> None:
    first = start_server()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        second = serve_to_the_end("--state-dir", str(first.state_dir), "--parent-pid", str(parent.pid))
        assert second.returncode == 0
        assert json.loads(second.stdout) == {**first.ready, "already_running": True}
        parent.communicate(b"\n")
    assert first.get("/v1/health").ok  # our own pid is its parent still


def test_it_ends_when_its_last_parent_has_ended(start_server: Callable[..., Any]) -> None:
    first = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    second = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server = start_server("--parent-pid", str(first.pid))
    assert server.post("/v1/clients", {"pid": second.pid}).ok
    first.communicate(b"\n")
    assert server.get("/v1/health").ok
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(5.0)  # longer than it takes to see that a parent has ended
    second.communicate(b"\n")
    assert server.process.wait(60.0) == 0
    assert not (server.state_dir / "server.json").exists()


def test_it_stays_when_asked_to(start_server: Callable[..., Any]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server = start_server("--parent-pid", str(parent.pid), "--stay")
    parent.communicate(b"\n")
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(5.0)
    assert server.post("/v1/shutdown").status_code == 202
    assert server.process.wait(60.0) == 0


def test_a_killed_server_leaves_nothing_in_the_way(start_server: Callable[..., Any]) -> None:
    first = start_server()
    first.process.kill()
    first.process.wait()
    assert (first.state_dir / "server.json").exists()
    second = start_server()
    assert second.ready["pid"] != first.ready["pid"] and second.get("/v1/health").ok
    assert "already_running" not in second.ready


def test_small_answers_are_sent_at_once() -> None:
    """Without TCP_NODELAY the end of each answer waits for the acknowledgement of its beginning."""

    async def option_of_a_connection() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await found

    assert asyncio.run(option_of_a_connection())
