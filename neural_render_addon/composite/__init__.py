"""Rendered frames as layers: in the compositor, against CG, and in the sequencer."""
