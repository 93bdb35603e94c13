"""Blender's cameras as the server's: projection, lens, shutter, rigs over time."""
