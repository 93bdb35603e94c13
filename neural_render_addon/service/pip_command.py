"""What Install Server asks of pip: an index or a folder of wheels, and which build of torch. No ``bpy``."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import ServerProcessError
from .server_process import clean_environment

# PyTorch's own indexes (pytorch.org, Get Started); the version is that of server/constraints.txt.
TORCH_INDEX = "https://download.pytorch.org/whl"
CPU_INDEX, CUDA_INDEX = f"{TORCH_INDEX}/cpu", f"{TORCH_INDEX}/cu130"

# A server's packages are two gigabytes: one connection that drops must not cost all of it.
PATIENCE = ("--retries", "10", "--timeout", "60")

# Where the user or the site names a package index, torch comes from there as all else does.
INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index")


@dataclass(frozen=True)
class PackageSource:
    """``wheels`` is a folder of wheels to install from without a network, or None.

    ``torch`` is ``AUTO``, ``CPU`` or ``CUDA``; ``options`` are the user's own for pip.
    """

    wheels: Path | None = None
    torch: str = "AUTO"
    options: str = ""

    @property
    def is_offline(self) -> bool:
        return self.wheels is not None


def check_source(source: PackageSource) -> None:
    """
    Raises:
        ServerProcessError: the folder of wheels is missing or has none, or the options are not closed.
    """
    try:
        shlex.split(source.options)
    except ValueError as error:
        raise ServerProcessError(f"Options for pip: {error}; correct them in the preferences") from error
    if source.wheels is not None and not any(source.wheels.glob("*.whl")):
        raise ServerProcessError(
            f"{source.wheels}: there are no wheels in this folder; fill it on a machine with a network by "
            "'pip wheel --wheel-dir FOLDER SERVER', SERVER being the folder server of the add-on"
        )


def pip_command(source: PackageSource, python: Path, server: Path) -> list[str]:
    """The command that installs the server's source tree ``server`` for ``python``."""
    pip = [str(python), "-m", "pip"]
    command = [*pip, "install", "--disable-pip-version-check", "--progress-bar", "off", *PATIENCE]
    constraints = server / "constraints.txt"
    if constraints.is_file():
        command += ["--constraint", str(constraints)]
    options = shlex.split(source.options)
    if source.wheels is not None:
        own = sorted(source.wheels.glob("neural_render_server-*.whl"))
        package = own[-1] if own else server
        return [*command, *options, "--no-index", "--find-links", str(source.wheels), str(package)]
    if not _names_an_index(options) and not _site_has_index(pip):
        index = torch_index(source.torch, sys.platform, has_nvidia_gpu())
        command += ["--extra-index-url", index] if index else []
    return [*command, *options, str(server)]


def torch_index(choice: str, platform: str, has_gpu: bool) -> str:
    """The index with the build of torch that fits, or empty where the default index has it.

    The default index has CUDA's build for Linux (gigabytes too much without a GPU), the processor's for
    Windows, and macOS's only one.
    """
    if platform == "darwin":
        return ""
    wants_cuda = has_gpu if choice == "AUTO" else choice == "CUDA"
    if platform == "win32":
        return CUDA_INDEX if wants_cuda else ""
    return "" if wants_cuda else CPU_INDEX


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is installed and knows a GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU 0" in listed.stdout


def _names_an_index(options: list[str]) -> bool:
    return any(option.partition("=")[0] in INDEX_OPTIONS for option in options)


def _site_has_index(pip: list[str]) -> bool:
    """Whether pip's configuration (files and environment) names an index."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, env=clean_environment())
    keys = [line.partition("=")[0].rpartition(".")[2] for line in listed.stdout.splitlines()]
    return _names_an_index([f"--{key}" for key in keys])
