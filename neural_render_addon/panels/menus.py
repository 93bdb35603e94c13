"""Entries in Blender's own menus: File > Import and Export, Add, Render, and the clips' Reconstruction."""

from __future__ import annotations

import bpy


def draw_import(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.operator("neural_render.import_capture", text="Neural Render Capture")
    self.layout.operator("neural_render.open_scene", text="Neural Render Trained Scene")


def draw_export(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.operator("neural_render.export_rig", text="Neural Render Rig (.json)")


def draw_add(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.menu("NEURALRENDER_MT_add", icon="OUTLINER_OB_CAMERA")


def draw_render(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator(
        "neural_render.render_frames", text="Render Neural Render Frames", icon="RENDER_ANIMATION"
    )
    self.layout.operator("neural_render.render_capture", text="Render Neural Render Capture")


def draw_clip(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator("neural_render.capture_clip", text="Neural Render Capture", icon="TRACKER")


ENTRIES = (
    ("TOPBAR_MT_file_import", draw_import),
    ("TOPBAR_MT_file_export", draw_export),
    ("VIEW3D_MT_add", draw_add),
    ("TOPBAR_MT_render", draw_render),
    ("CLIP_MT_reconstruction", draw_clip),
)


def register() -> None:
    for menu, draw in ENTRIES:
        getattr(bpy.types, menu).append(draw)


def unregister() -> None:
    for menu, draw in reversed(ENTRIES):
        getattr(bpy.types, menu).remove(draw)
