"""The built zip installs, registers everything, and takes everything away again."""

import subprocess
import sys
import threading
import zipfile

import bpy

from tests.addon.conftest import EXTENSION, REPOSITORY, extension_tool

SHIPPED = ("__init__.py", "blender_manifest.toml", "LICENSE", "neural_render_addon/", "server/")
PANELS = ("Server", "Capture", "Train", "Render", "Light & Shadow", "Composite")


def our_classes():
    return {
        name
        for kind in (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences)
        for cls in kind.__subclasses__()
        if cls.is_registered and (name := cls.__name__) and cls.__module__.startswith(EXTENSION)
    }


def menu_entries():
    names = (
        "TOPBAR_MT_file_import",
        "TOPBAR_MT_file_export",
        "VIEW3D_MT_add",
        "TOPBAR_MT_render",
        "CLIP_MT_reconstruction",
    )
    return [
        entry.__module__
        for name in names
        for entry in getattr(bpy.types, name).draw._draw_funcs
        if EXTENSION in entry.__module__
    ]


def test_zip_holds_the_addon_and_the_server_and_nothing_else(built_zip):
    names = zipfile.ZipFile(built_zip).namelist()
    assert all(name.startswith(SHIPPED) for name in names), names
    assert not [name for name in names if "__pycache__" in name or "egg-info" in name]
    for needed in (
        "neural_render_addon/operators/train.py",
        "server/pyproject.toml",
        "server/constraints.txt",
        "server/neural_render_server/service/app.py",
    ):
        assert needed in names


def test_zip_passes_blenders_validation(built_zip):
    result = subprocess.run(
        [sys.executable, str(extension_tool()), "validate", str(built_zip)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_panels_stand_in_the_works_order(empty_scene):
    panels = [
        cls
        for cls in bpy.types.Panel.__subclasses__()
        if cls.is_registered
        and getattr(cls, "bl_category", "") == "Neural Render"
        and cls.bl_space_type == "VIEW_3D"
        and not getattr(cls, "bl_parent_id", "")
    ]
    assert tuple(cls.bl_label for cls in sorted(panels, key=lambda cls: cls.bl_order)) == PANELS


def test_every_property_and_operator_explains_itself(empty_scene):
    groups = [cls for cls in bpy.types.PropertyGroup.__subclasses__() if cls.__module__.startswith(EXTENSION)]
    assert groups
    for cls in groups:
        for name, item in cls.bl_rna.properties.items():
            if name not in ("rna_type", "name"):
                assert item.description, f"{cls.__name__}.{name}"
    for name in dir(bpy.ops.neural_render):
        assert getattr(bpy.ops.neural_render, name).get_rna_type().description, name


def test_disabling_leaves_nothing_behind(empty_scene):
    assert our_classes()
    assert len(menu_entries()) == 5
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    try:
        assert our_classes() == set()
        assert menu_entries() == []
        for owner in (bpy.types.Scene, bpy.types.Object, bpy.types.WindowManager):
            assert not hasattr(owner, "neural_render")
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("neural-render")]
        handlers = [getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)]
        ours = [
            handler
            for group in handlers
            if isinstance(group, list)
            for handler in group
            if handler.__module__.startswith(EXTENSION)
        ]
        assert ours == []
    finally:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
    assert our_classes()


def test_enabling_loads_nothing_that_takes_long():
    """``requests`` is half of the time that Blender's start would wait for; 5.2 has loaded it by itself."""
    code = (
        "import os, sys, bpy; before = 'requests' in sys.modules;"
        "import neural_render_addon.registration; os._exit(('requests' in sys.modules) != before)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_client_works_in_a_python_without_blender():
    code = (
        "import sys, neural_render_addon.service.client, neural_render_addon.service.server_process;"
        "sys.exit('bpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
