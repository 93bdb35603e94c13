"""From footage to a capture: sharp frames, poses (pycolmap), the world's axes, and one clock for all."""
