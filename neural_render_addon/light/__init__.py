"""What makes CG belong in the field: its proxy mesh, its light, the field behind the scene in camera view."""
