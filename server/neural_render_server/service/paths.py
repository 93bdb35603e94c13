"""Which folders requests may name: no client reads or writes a system's or a user's private files."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..camera_path import CameraPath, PathFrame
from ..errors import OptionError
from .error_bodies import HttpError

if TYPE_CHECKING:
    from ..scene import Scene

# Where no film or frame lies (Filesystem Hierarchy Standard 3.0, chapter 3; Apple's File System Basics).
_SYSTEM = "/bin /boot /dev /etc /lib /lib32 /lib64 /proc /run /sbin /sys /usr /var"
_SYSTEM_MACOS = "/System /Library /private/etc /private/var"
_WINDOWS_VARIABLES = ("SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramData")
# Below these, all the same: mounted media and temporary files.
_MEDIA = "/run/media /run/user /var/tmp"


@dataclass(frozen=True)
class AllowedPaths:
    """``roots`` are the folders that requests may name, and all below them.

    Without ``roots`` it is every folder but the system's own and the hidden ones of the user's home
    (``~/.ssh`` and its kin): films lie on disks that nobody can list beforehand.
    """

    roots: tuple[Path, ...] = ()

    @staticmethod
    def of(roots: Iterable[Path]) -> AllowedPaths:
        """
        Raises:
            OptionError: a root is no folder.
        """
        resolved = []
        for root in roots:
            if not root.expanduser().is_dir():
                raise OptionError(f"{root}: there is no such folder; give --allow-root one that exists")
            resolved.append(root.expanduser().resolve())
        return AllowedPaths(tuple(resolved))

    def check(self, path: str, what: str) -> Path:
        """``path`` of a request as it was given, once it is known to lie where requests may reach.

        Raises:
            OptionError: it is not absolute. The server's working folder means nothing to a client.
            HttpError: 400 ``path``, it leads elsewhere, by itself, by ``..`` or by a symbolic link.
        """
        found = Path(path)
        if not found.is_absolute() or "\0" in path:
            raise OptionError(f"{what} {path!r} must be an absolute path on the server's machine")
        try:
            resolved = found.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or no name of any file
            raise OptionError(f"{what} {path!r} cannot be followed; check the path") from error
        if self.roots:
            if not _is_below(resolved, self.roots):
                listed = ", ".join(map(str, self.roots))
                raise HttpError(
                    400,
                    "path",
                    f"{what} {path!r} is outside of what this server may use ({listed}); move it there, or "
                    "start the server with another --allow-root",
                )
        elif _is_private(resolved):
            raise HttpError(
                400,
                "path",
                f"{what} {path!r} is in a folder of the system or a hidden one of your home, which requests "
                "may not use; choose another folder, or start the server with --allow-root for it",
            )
        return found

    def check_links(self, opened: Iterable[Path], what: str) -> None:
        """As ``check``, for those of the files and folders that a request leads to that are links.

        Raises:
            OptionError, HttpError: as ``check``.
        """
        for path in opened:
            if os.path.islink(path):
                self.check(str(path), f"{what}: the link")

    def check_tree(self, path: str, what: str) -> Path:
        """As ``check``, also for every link in the folder ``path``: archives may hold some.

        For folders that are read whole, captures and footage. What a folder's listing says of its entries is
        enough, so that a hundred thousand frames take a tenth of a second.

        Raises:
            OptionError, HttpError: as ``check``.
        """
        found = self.check(path, what)
        folders = [str(found)]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    listed = list(entries)
            except OSError:  # no folder, or not ours to read: then nothing in it is read either
                continue
            self.check_links((Path(entry.path) for entry in listed if entry.is_symlink()), what)
            folders += [entry.path for entry in listed if entry.is_dir(follow_symlinks=False)]
        return found

    def check_scene(self, path: str) -> Scene:
        """The scene folder of a request, of whose links only those count that rendering or training follows.

        Raises:
            OptionError, HttpError: as ``check``.
        """
        from ..scene import Scene

        scene = Scene(self.check(path, "scene"))
        self.check_links([*scene.files, scene.preview_file], "scene")
        return scene

    def check_frame(self, frame: PathFrame) -> None:
        """
        Raises:
            HttpError: as ``check``, for the file that a camera's ``split_depth`` names.
        """
        if frame.split_depth is not None and frame.split_depth.path:
            self.check(frame.split_depth.path, "split_depth")

    def check_frames(self, path: CameraPath) -> None:
        for frame in path.frames:
            self.check_frame(frame)


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _is_private(path: Path) -> bool:
    if _is_below(path, [Path(tempfile.gettempdir()).resolve(), *map(Path, _MEDIA.split())]):
        return False
    home = Path.home().resolve()
    if path.is_relative_to(home):
        return any(part.startswith(".") for part in path.relative_to(home).parts[:1])
    return _is_below(path, _system_folders())


def _system_folders() -> list[Path]:
    if sys.platform == "win32":
        return [Path(os.environ[name]) for name in _WINDOWS_VARIABLES if os.environ.get(name)]
    names = _SYSTEM.split() + (_SYSTEM_MACOS.split() if sys.platform == "darwin" else [])
    return [Path(name) for name in names]
