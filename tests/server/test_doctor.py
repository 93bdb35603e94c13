"""The doctor: what it finds on a machine that works, and on what is broken here on purpose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neural_render_server.cli import main
from neural_render_server.doctor import Finding, worst
from neural_render_server.doctor.machine import NvidiaGpu, check_device, check_disk, nvidia_gpu
from neural_render_server.doctor.service import check_server, check_state_folder
from neural_render_server.service.state import ServerInfo, StateFolder
from neural_render_server.service.store import JobStore


def test_all_is_well_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--state-dir", str(tmp_path / "state")]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = {finding["name"]: finding for finding in answer["findings"]}
    expected = {"versions", "device", "driver", "memory", "disk", "codecs", "frames"}
    assert expected | {"state folder", "ports", "server"} <= set(found)
    for name in ("versions", "codecs", "frames", "ports", "server", "state folder"):
        assert found[name]["status"] == "ok", found[name]
    assert "torch" in found["versions"]["text"] and "h264" in found["codecs"]["text"]
    assert not (tmp_path / "state").exists()  # it only looks


def test_what_is_wrong_has_a_remedy_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--state-dir", str(tmp_path / "file")]) == 1
    (line, remedy) = [
        line
        for line in capsys.readouterr().out.splitlines()
        if ("state folder " in line and "GB" not in line) or "-> choose" in line
    ]
    assert line.startswith("error") and "cannot be written" in line and "--state-dir" in remedy


def test_a_damaged_job_database(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.prepare()
    JobStore(state.database).close()
    assert check_state_folder(state.path).status == "ok"
    state.database.write_bytes(b"this is no database" * 100)
    finding = check_state_folder(state.path)
    assert (
        finding.status == "error" and "jobs.sqlite" in finding.text and "move the file away" in finding.remedy
    )


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_state_folder_that_others_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    finding = check_state_folder(folder)
    assert finding.status == "warning" and finding.remedy == f"chmod 700 {folder}"


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.prepare()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        info = ServerInfo("127.0.0.1", nobody.getsockname()[1], "token", os.getpid(), "0", 1)
        state.write_server(info)
        assert check_server(tmp_path).text.startswith("not running")
        assert state.lock()
        held = check_server(tmp_path)
    assert held.status == "error" and held.remedy == f"end process {os.getpid()}"


def test_a_gpu_that_this_torch_cannot_use() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine's GPU is in use")
    finding = check_device(NvidiaGpu("NVIDIA RTX 4090", "570.1", "24564 MiB"))
    assert finding.status == "warning" and "RTX 4090 is unused" in finding.text and finding.remedy


@pytest.mark.skipif(os.name != "posix", reason="the tool is a shell script")
def test_the_driver_is_asked_for_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 570.1, 81559 MiB'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert nvidia_gpu() == NvidiaGpu("NVIDIA H100", "570.1", "81559 MiB")
    tool.write_text("#!/bin/sh\necho 'has failed: no driver' >&2; exit 9\n")
    assert nvidia_gpu() is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a file system without room")
def test_a_disk_without_room() -> None:
    finding = check_disk(Path("/proc/none"))
    assert finding.status == "error" and "free some space on the disk of /proc" in finding.remedy


def test_a_package_that_does_not_import_is_named(tmp_path: Path) -> None:
    """A module of that name that stands before the real one, as a half-deleted package does."""
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so.61 is missing')")
    source = str(Path(__file__).resolve().parents[2] / "server")
    ended = subprocess.run(
        [sys.executable, "-m", "neural_render_server.cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), source])},
    )
    assert ended.returncode == 1, ended.stderr
    (finding,) = json.loads(ended.stdout)["findings"]
    assert "av (libavcodec.so.61 is missing)" in finding["text"] and "Repair Server" in finding["remedy"]


def test_the_worst_finding_counts() -> None:
    fine, poor, bad = (Finding("a", status, "") for status in ("ok", "warning", "error"))
    assert (worst([]), worst([fine, poor]), worst([bad, fine])) == ("ok", "warning", "error")
