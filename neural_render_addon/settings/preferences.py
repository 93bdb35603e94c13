"""The add-on's preferences, and what follows from them: the server's settings."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from ..service.install import InstallSettings
from ..service.pip_command import PackageSource
from ..service.server_process import ServerSettings, default_state_dir

# The extension's own package: one above this one, whatever repository it is installed in.
EXTENSION = __package__.rpartition(".neural_render_addon")[0]


class NeuralRenderPreferences(bpy.types.AddonPreferences):
    """Where the server is, or where it is to be installed from."""

    bl_idname = EXTENSION

    environment: StringProperty(
        name="Server Environment",
        description=(
            "An existing virtual environment with neural-render-server in it, or a neural-render command; "
            "empty is the one that Install Server makes"
        ),
        subtype="FILE_PATH",
    )
    host: StringProperty(
        name="Host", description="Where the server listens; this machine by default", default="127.0.0.1"
    )
    port: IntProperty(
        name="Port",
        description="The server's port; 0 finds the running server, or takes a free port to start one",
        default=0,
        min=0,
        max=65535,
    )
    token: StringProperty(
        name="Token",
        description="The token of a server started elsewhere; empty takes the running server's own",
        subtype="PASSWORD",
    )
    certificate: StringProperty(
        name="Certificate",
        description=(
            "Certificate (PEM) of a server on another machine, which is always reached encrypted; empty "
            "accepts what this machine trusts"
        ),
        subtype="FILE_PATH",
    )
    state_dir: StringProperty(
        name="State Folder",
        description="Where the server keeps its jobs and its address; empty is the user data folder",
        subtype="DIR_PATH",
    )
    cache_gigabytes: FloatProperty(
        name="Frame Cache",
        description=(
            "Gigabytes of rendered frames that the server keeps, so that Render Frames renders only those "
            "whose camera, time, field or settings have changed; 0 keeps none"
        ),
        default=2.0,
        min=0.0,
        soft_max=100.0,
        precision=1,
    )
    interpreter: StringProperty(
        name="Python for Install",
        description=(
            "The Python that Install Server uses, 3.11 to 3.13; empty looks on the PATH, then takes Blender's"
        ),
        subtype="FILE_PATH",
    )
    wheels: StringProperty(
        name="Folder of Wheels",
        description=(
            "Install Server takes all packages from the wheels in this folder and needs no internet; empty "
            "downloads them"
        ),
        subtype="DIR_PATH",
    )
    torch: EnumProperty(
        name="Torch",
        description="Which build of torch Install Server takes",
        items=(
            ("AUTO", "Automatic", "CUDA where this machine has an NVIDIA GPU, else the processor's"),
            ("CPU", "Processor", "The smallest; without a GPU"),
            ("CUDA", "CUDA", "For NVIDIA GPUs; several gigabytes"),
        ),
    )
    pip_options: StringProperty(
        name="Options for pip",
        description="More options for pip in Install Server, for instance another package index",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        column = layout.column(heading="Server")
        for name in ("environment", "host", "port", "token", "certificate", "state_dir"):
            column.prop(self, name)
        row = layout.row(align=True)
        row.prop(self, "cache_gigabytes", text="Frame Cache (GB)")
        row.operator("neural_render.clear_cache", text="", icon="TRASH")
        column = layout.column(heading="Install")
        for name in ("interpreter", "wheels", "torch", "pip_options"):
            column.prop(self, name)
        row = layout.row(align=True)
        row.operator("neural_render.server_install", icon="IMPORT")
        row.operator("neural_render.server_repair", icon="TOOL_SETTINGS")
        row.operator("neural_render.server_uninstall_ask", icon="TRASH")


def preferences(context: bpy.types.Context) -> NeuralRenderPreferences:
    chosen: NeuralRenderPreferences = context.preferences.addons[EXTENSION].preferences
    return chosen


def user_folder() -> Path:
    """The only folder that an extension may write its own files in."""
    return Path(bpy.utils.extension_path_user(EXTENSION, create=True))


def server_settings(context: bpy.types.Context) -> ServerSettings:
    """A snapshot of the preferences that a worker thread may use."""
    chosen = preferences(context)
    folder = user_folder()
    return ServerSettings(
        host=chosen.host.strip() or "127.0.0.1",
        port=chosen.port,
        token=chosen.token.strip(),
        state_dir=Path(bpy.path.abspath(chosen.state_dir)) if chosen.state_dir else default_state_dir(),
        environment=bpy.path.abspath(chosen.environment) if chosen.environment else "",
        installed=folder / "environment",
        log_path=folder / "server.log",
        may_go_online=bpy.app.online_access,
        certificate=bpy.path.abspath(chosen.certificate) if chosen.certificate else "",
    )


def install_settings(context: bpy.types.Context) -> InstallSettings:
    chosen = preferences(context)
    folder = user_folder()
    return InstallSettings(
        source=Path(__file__).resolve().parents[2] / "server",
        environment=folder / "environment",
        log_path=folder / "install.log",
        interpreter=bpy.path.abspath(chosen.interpreter) if chosen.interpreter else "",
        own_python=sys.executable or "",
        packages=PackageSource(
            Path(bpy.path.abspath(chosen.wheels)) if chosen.wheels else None, chosen.torch, chosen.pip_options
        ),
        may_go_online=bpy.app.online_access,
    )


CLASSES = (NeuralRenderPreferences,)
