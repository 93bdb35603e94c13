"""Who is let in, and how far: origins, allowed folders, TLS."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import point_scene
import pytest
import requests

from neural_render_server.errors import OptionError
from neural_render_server.service.announced import call
from neural_render_server.service.error_bodies import HttpError
from neural_render_server.service.paths import AllowedPaths
from neural_render_server.service.state import ServerInfo

START = (sys.executable, "-m", "neural_render_server.cli", "serve", "--json")


def refused_start(*arguments: str | Path) -> str:
    ended = subprocess.run([*START, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stdout
    return str(json.loads(ended.stdout.splitlines()[-1])["error"]["message"])


def test_a_web_page_is_refused_even_with_the_token(server: Any) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        answer = server.get("/v1/health", headers={"Origin": origin})
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "wrong_origin"
    assert server.get("/v1/health", headers={"Origin": server.url}).ok
    preflight = requests.options(
        server.url + "/v1/jobs", headers={"Origin": "https://evil.example"}, timeout=30
    )
    assert not preflight.ok and "access-control-allow-origin" not in preflight.headers


def test_private_folders_are_refused_everywhere(server: Any, tmp_path: Path) -> None:
    """Each call that names a path, with one of the system, by itself, by dots and by a link."""
    link = tmp_path / "link"
    link.symlink_to("/etc")
    camera = {"w": 8, "h": 8, "fl_x": 8, "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}
    behind = {**camera, "split_depth": {"path": "/etc/shadow"}}
    render = {"scene": str(tmp_path), "cameras": {"frames": [camera]}, "out": str(tmp_path)}
    train = {"capture": str(tmp_path), "scene": str(tmp_path / "scene")}
    for path in ("/etc", f"{tmp_path}{'/..' * 12}/etc", str(link), str(Path.home() / ".ssh")):
        for call_path, body in (
            ("/v1/captures/inspect", {"path": path}),
            ("/v1/captures/points", {"path": path}),
            ("/v1/scenes/inspect", {"path": path}),
            ("/v1/render", {"scene": path, "camera": camera}),
            ("/v1/render", {"scene": str(tmp_path), "camera": behind}),
            ("/v1/jobs", {"kind": "train", "params": {**train, "capture": path}}),
            ("/v1/jobs", {"kind": "train", "params": {**train, "scene": path}}),
            ("/v1/jobs", {"kind": "render", "params": {**render, "out": path}}),
            ("/v1/jobs", {"kind": "render", "params": {**render, "scene": path}}),
            ("/v1/jobs", {"kind": "render", "params": {**render, "cameras": path}}),
            ("/v1/jobs", {"kind": "render", "params": {**render, "cameras": {"frames": [behind]}}}),
        ):
            answer = server.post(call_path, body)
            assert answer.status_code == 400 and answer.json()["error"]["code"] == "path", (
                path,
                call_path,
                body,
            )
            assert "--allow-root" in answer.json()["error"]["message"]
    assert server.get("/v1/jobs").json()["jobs"] == []


def test_links_inside_a_folder_are_followed_no_further(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    """A capture or scene from an archive may hold links to what the request itself may not name."""
    film, scene = tmp_path / "film", tmp_path / "scene"
    shutil.copytree(tiny_film, film)
    (film / "cam01.mp4").unlink()
    (film / "cam01.mp4").symlink_to(tiny_film / "cam01.mp4")  # as artists do, to their own films
    assert server.post("/v1/captures/inspect", {"path": str(film)}).ok
    (film / "deep").mkdir()
    (film / "deep" / "notes.txt").symlink_to("/etc/hostname")
    scene.mkdir()
    (scene / "previews").symlink_to("/etc")
    solved = tmp_path / "solved"
    (solved / "solve").mkdir(parents=True)
    (solved / "solve" / "stills").symlink_to("/etc")
    train = {"capture": str(tiny_film), "scene": str(scene)}
    solve = {"footage": str(tiny_film), "out": str(tmp_path / "out")}
    for call_path, body in (
        ("/v1/captures/inspect", {"path": str(film)}),
        ("/v1/captures/points", {"path": str(film)}),
        ("/v1/scenes/inspect", {"path": str(scene)}),
        ("/v1/jobs", {"kind": "train", "params": train}),
        ("/v1/jobs", {"kind": "train", "params": {**train, "capture": str(film)}}),
        ("/v1/jobs", {"kind": "solve", "params": {**solve, "footage": str(film)}}),
        ("/v1/jobs", {"kind": "solve", "params": {**solve, "out": str(solved)}}),
    ):
        answer = server.post(call_path, body)
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "path", (call_path, body)
        assert "the link" in answer.json()["error"]["message"]


def test_in_an_output_folder_only_what_is_opened_counts(server: Any, tmp_path: Path) -> None:
    """It may be a whole disk: what a rendering neither reads nor writes is not looked through."""
    scene, out = point_scene.write(tmp_path / "scene"), tmp_path / "out"
    (out / "other").mkdir(parents=True)
    (out / "other" / "system").symlink_to("/etc")
    (out / "0001.exr").symlink_to("/etc/hostname")
    camera = {"w": 8, "h": 6, "fl_x": 8, "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5]]}
    params = {"scene": str(scene), "cameras": {"frames": [camera]}, "out": str(out), "overwrite": False}
    answer = server.post("/v1/jobs", {"kind": "render", "params": params})
    assert answer.status_code == 400 and "the link" in answer.json()["error"]["message"]
    (out / "0001.exr").unlink()
    job = server.wait_for(server.submit("render", **params)["id"], "done", "failed")
    assert job["state"] == "done", job["error"]
    frame = f"/v1/jobs/{job['id']}/frames/0001"
    assert server.get(frame).ok
    (out / "0001.exr").unlink()
    (out / "0001.exr").symlink_to("/etc/hostname")  # by whoever else may write there
    answer = server.get(frame)
    assert answer.status_code == 400 and "the link" in answer.json()["error"]["message"]


def test_links_that_a_job_would_write_through_are_refused(
    server: Any, tiny_film: Path, tmp_path: Path
) -> None:
    """The folders that a training or a solve fills and clears in a scene or capture of a stranger."""
    mine, scene, capture = tmp_path / "mine", tmp_path / "scene", tmp_path / "capture"
    for folder in (mine / "stills", scene, capture):
        folder.mkdir(parents=True)
    (mine / "stills" / "letter.txt").write_text("dear")
    (scene / "previews").symlink_to(mine)
    (capture / "solve").symlink_to(mine)
    train = {"capture": str(tiny_film), "scene": str(scene), "steps": 1, "overwrite": True}
    job = server.wait_for(server.submit("train", **train)["id"], "done", "failed")
    assert "previews: leads to another folder" in job["error"]["message"]
    answer = server.post(
        "/v1/jobs", {"kind": "solve", "params": {"footage": str(tiny_film), "out": str(capture)}}
    )
    assert answer.status_code == 400 and "solve: leads to another folder" in answer.json()["error"]["message"]
    assert [path.name for path in mine.rglob("*")] == ["stills", "letter.txt"]


def test_allowed_roots_are_the_only_ones(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "out").symlink_to(tmp_path)
    paths = AllowedPaths.of([tmp_path / "films"])
    inside = tmp_path / "films" / "stage"
    assert paths.check(str(inside), "path") == inside
    for outside in (tmp_path, tmp_path / "films2", tmp_path / "films" / "out" / "x", inside / ".." / ".."):
        with pytest.raises(HttpError, match="outside of what this server may use"):
            paths.check(str(outside), "path")
    with pytest.raises(OptionError, match="absolute"):
        paths.check("films/stage", "path")
    with pytest.raises(OptionError, match=r"none: there is no such folder"):
        AllowedPaths.of([tmp_path / "none"])
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((OptionError, HttpError)):
        paths.check(str(tmp_path / "loop" / "x"), "path")


def test_films_may_lie_anywhere_else(tmp_path: Path) -> None:
    paths = AllowedPaths()
    for path in (
        "/mnt/nas/show/stage",
        "/media/me/card",
        "/data/stage",
        str(tmp_path),
        str(Path.home() / "films"),
    ):
        assert paths.check(path, "path") == Path(path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Made as docs/security.md says."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=render -keyout key.pem -out cert.pem"
    )
    names = "subjectAltName=DNS:render.example,IP:127.0.0.1"
    subprocess.run([*command.split(), "-addext", names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_beyond_this_machine_only_encrypted_and_confined(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    state, (cert, key) = ("--state-dir", tmp_path / "state"), certificate
    assert "needs encryption" in refused_start(*state, "--host", "0.0.0.0")
    tls = ("--tls-cert", cert, "--tls-key", key)
    assert "--allow-root" in refused_start(*state, "--host", "0.0.0.0", *tls)
    assert "belong together" in refused_start(*state, "--tls-cert", cert)
    assert "cannot be used" in refused_start(*state, "--tls-cert", key, "--tls-key", cert)
    assert not (tmp_path / "state" / "server.json").exists()


def test_a_server_for_other_machines(
    certificate: tuple[Path, Path], start_server: Callable[..., Any], tmp_path: Path
) -> None:
    cert, key = certificate
    films = tmp_path / "films"
    films.mkdir()
    tls = ("--tls-cert", str(cert), "--tls-key", str(key))
    server = start_server(
        "--host", "0.0.0.0", *tls, "--allow-root", str(films), "--parent-pid", str(os.getpid())
    )
    ready = dict(server.ready)
    assert ready.pop("event") == "ready" and ready["scheme"] == "https"
    info = ServerInfo(**ready)
    assert json.loads(call(info, "/v1/health"))["pid"] == server.process.pid  # as a second start finds it

    url = f"https://127.0.0.1:{info.port}/v1"
    session = requests.Session()
    session.trust_env = False
    session.verify = str(cert)
    assert session.get(f"{url}/health", timeout=30).status_code == 401
    session.headers["Authorization"] = f"Bearer {info.token}"
    # The certificate's name is what a client on another machine would have asked for.
    assert session.get(f"{url}/health", headers={"Host": "render.example"}, timeout=30).ok
    refused = session.post(f"{url}/scenes/inspect", json={"path": str(tmp_path)}, timeout=30)
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "path"
    page = session.get(f"{url}/health", headers={"Origin": "https://evil.example"}, timeout=30)
    assert page.status_code == 403

    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{url}/health", timeout=30)  # nobody vouches for it
    with socket.create_connection(("127.0.0.1", info.port)) as plain:
        plain.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):  # it may hang up, which is as good
            assert not plain.recv(100).startswith(b"HTTP")
