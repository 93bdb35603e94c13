"""Captures made in Blender: rigs of cameras, rendered views, tracked clips."""
