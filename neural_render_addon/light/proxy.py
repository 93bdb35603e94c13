"""The proxy mesh of a field: read from the server's file, made an object that moves with the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt

from ..errors import AddonError

# Custom property of a proxy object: the field object it was made from.
FIELD_KEY = "neural_render_proxy_of"

# What the server writes before the numbers (Turk, The PLY Polygon File Format, 1994).
_HEADER = (
    "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
    "property float z\nelement face {}\nproperty list uchar int vertex_indices\nend_header\n"
)
_FACE = np.dtype([("count", "u1"), ("indices", "<i4", (3,))])
# Cycles' kinds of rays, beside the camera's, that an object can be hidden from.
RAYS = ("diffuse", "glossy", "transmission", "volume_scatter", "shadow")
# Degrees between faces beyond which Smart UV Project starts a new island; Blender's own default.
ISLAND_ANGLE = 66.0


def read_triangles(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """``vertices`` (V, 3) and ``faces`` (F, 3) of the server's PLY file, in capture coordinates.

    Raises:
        AddonError: it cannot be read, or is no such file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AddonError(f"{path}: cannot be read ({error.strerror}); make the proxy again") from error
    header, _, body = data.partition(b"end_header\n")
    counts = [int(line.split()[2]) for line in header.splitlines() if line.startswith(b"element ")]
    expected = _HEADER.format(*counts) if len(counts) == 2 else ""
    if header + b"end_header\n" != expected.encode("ascii"):
        raise AddonError(f"{path}: not a mesh of our server; make the proxy again")
    vertex_count, face_count = counts
    if len(body) != 12 * vertex_count + _FACE.itemsize * face_count:
        raise AddonError(f"{path}: the file is cut short; make the proxy again")
    vertices = np.frombuffer(body, "<f4", 3 * vertex_count).reshape(-1, 3)
    faces = np.frombuffer(body, _FACE, face_count, offset=12 * vertex_count)["indices"]
    return vertices, np.ascontiguousarray(faces)


def find_proxy(scene: bpy.types.Scene, field: bpy.types.Object) -> bpy.types.Object | None:
    """The scene's proxy of ``field``, if it has been made."""
    return next((obj for obj in scene.objects if obj.get(FIELD_KEY) == field), None)


def make_proxy(
    context: bpy.types.Context,
    field: bpy.types.Object,
    vertices: npt.NDArray[np.float32],
    faces: npt.NDArray[np.int32],
    most_faces: int,
) -> bpy.types.Object:
    """The field's proxy object with this mesh, decimated and with UVs; one made before gets the new mesh."""
    obj = find_proxy(context.scene, field)
    mesh = bpy.data.meshes.new(f"{field.name} Proxy")
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(3 * len(faces))
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * len(faces), 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.validate()
    if obj is None:
        obj = bpy.data.objects.new(mesh.name, mesh)
        context.scene.collection.objects.link(obj)
        obj.parent = field  # its inverse stays the identity: the mesh is in capture coordinates
        obj[FIELD_KEY] = field
        obj.display_type = "WIRE"  # it must not hide what it stands for
    else:
        old, obj.data = obj.data, mesh
        for material in old.materials:
            mesh.materials.append(material)
        if old.users == 0:
            bpy.data.meshes.remove(old)
    if len(faces) > most_faces:
        _decimate(context, obj, most_faces / len(faces))
    _unwrap(context, obj)
    return obj


def set_role(obj: bpy.types.Object, role: str) -> None:
    """``SHADOW``, ``HOLDOUT`` or ``NONE``.

    A shadow catcher only receives: the light probe has the set's light in it already, and a filmed ceiling
    must not keep the artist's lamps away.
    """
    obj.is_shadow_catcher = role == "SHADOW"
    for ray in RAYS:
        setattr(obj, f"visible_{ray}", role != "SHADOW")
    obj.is_holdout = role == "HOLDOUT"


def set_collision(context: bpy.types.Context, obj: bpy.types.Object, on: bool) -> None:
    """Make it a passive rigid body with the mesh as its shape, or none."""
    if on == (obj.rigid_body is not None):
        return
    with context.temp_override(object=obj, active_object=obj, selected_objects=[obj]):
        if not on:
            bpy.ops.rigidbody.object_remove()
            return
        bpy.ops.rigidbody.object_add(type="PASSIVE")
    obj.rigid_body.collision_shape = "MESH"
    obj.rigid_body.mesh_source = "BASE"


def _decimate(context: bpy.types.Context, obj: bpy.types.Object, ratio: float) -> None:
    modifier = obj.modifiers.new("Decimate", "DECIMATE")
    modifier.ratio = ratio
    others = [other for other in obj.modifiers if other != modifier and other.show_viewport]
    for other in others:
        other.show_viewport = False
    depsgraph = context.evaluated_depsgraph_get()
    decimated = bpy.data.meshes.new_from_object(obj.evaluated_get(depsgraph))
    obj.modifiers.remove(modifier)
    for other in others:
        other.show_viewport = True
    full, obj.data = obj.data, decimated
    name = full.name
    bpy.data.meshes.remove(full)
    decimated.name = name


def _unwrap(context: bpy.types.Context, obj: bpy.types.Object) -> None:
    """Blender's Smart UV Project, which works in edit mode only."""
    with _only(context, obj):
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.uv.smart_project(angle_limit=np.radians(ISLAND_ANGLE))
        bpy.ops.object.mode_set(mode="OBJECT")


@contextmanager
def _only(context: bpy.types.Context, obj: bpy.types.Object) -> Iterator[None]:
    """While it lasts ``obj`` alone is selected and active, in object mode; then all is as it was."""
    layer = context.view_layer
    active, selected = layer.objects.active, list(context.selected_objects)
    mode = active.mode if active is not None else "OBJECT"
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in selected:
        other.select_set(False)
    hidden = obj.hide_get(), obj.hide_viewport
    obj.hide_set(False)
    obj.hide_viewport = False
    obj.select_set(True)
    layer.objects.active = obj
    try:
        yield
    finally:
        obj.select_set(False)
        obj.hide_set(hidden[0])
        obj.hide_viewport = hidden[1]
        for other in selected:
            other.select_set(True)
        layer.objects.active = active
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)
