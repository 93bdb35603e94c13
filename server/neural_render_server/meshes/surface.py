"""The zero level of a distance grid as a triangle mesh, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.measure
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..files import write_bytes
from .fusion import Grid

# Pieces with less than this share of all faces are floaters that few views saw, not things.
SMALLEST_PIECE = 0.005


@dataclass(frozen=True, eq=False)
class Mesh:
    """``vertices`` (V, 3) float32 in capture coordinates, ``faces`` (F, 3) int32, facing outwards."""

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]


def zero_level(distance: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], grid: Grid) -> Mesh:
    """Marching cubes over the cubes whose corners were all ``seen``: an open surface where views ended."""
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    if not seen.any() or distance[seen].min() >= 0.0 or distance[seen].max() <= 0.0:
        return empty
    cubes = np.zeros_like(seen)  # scikit-image looks a cube up at its last corner
    corners = [
        seen[x : x - 1 or None, y : y - 1 or None, z : z - 1 or None] for x, y, z in np.ndindex(2, 2, 2)
    ]
    cubes[1:, 1:, 1:] = np.logical_and.reduce(corners)
    try:
        vertices, faces, _, _ = skimage.measure.marching_cubes(
            distance, 0.0, spacing=(grid.voxel,) * 3, gradient_direction="descent", mask=cubes
        )
    except RuntimeError:  # its word for a level that no cube of the mask crosses
        return empty
    return Mesh((vertices + np.array(grid.origin)).astype(np.float32), faces.astype(np.int32))


def without_small_pieces(mesh: Mesh, share: float = SMALLEST_PIECE) -> Mesh:
    """The mesh without connected pieces of less than ``share`` of its faces."""
    if not len(mesh.faces):
        return mesh
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    count = len(mesh.vertices)
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    piece = connected_components(graph, directed=False)[1][mesh.faces[:, 0]]
    large = np.bincount(piece) >= share * len(mesh.faces)
    faces = mesh.faces[large[piece]]
    used, renumbered = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], renumbered.reshape(-1, 3).astype(np.int32))


def write_ply(path: Path, mesh: Mesh) -> None:
    """A binary little-endian PLY of triangles (Turk 1994), atomically.

    Raises:
        SceneError: it cannot be written.
    """
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(mesh.vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(mesh.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(mesh.faces), np.dtype([("count", "u1"), ("indices", "<i4", (3,))]))
    rows["count"], rows["indices"] = 3, mesh.faces
    write_bytes(path, header.encode("ascii") + mesh.vertices.astype("<f4").tobytes() + rows.tobytes())
