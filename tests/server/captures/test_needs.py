"""What a training will take, told before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from neural_render_server.captures.capture import Capture
from neural_render_server.captures.describe import describe, format_description
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import DEFAULT_MEMORY_LIMIT, Frames
from neural_render_server.captures.needs import training_needs


def enlarged(capture: Capture, factor: int) -> Capture:
    """Cameras that claim to be larger; nothing is decoded."""
    cameras = [
        replace(camera, width=camera.width * factor, height=camera.height * factor)
        for camera in capture.cameras
    ]
    return replace(capture, cameras=cameras)


def test_frames_are_counted_as_they_are_decoded(tiny_film: Path) -> None:
    capture = open_capture(tiny_film)
    needs = training_needs(capture)
    with Frames(capture, capture.train_indices) as frames:
        assert needs.frames == frames.bytes_needed == 6 * 6 * 64 * 48 * 3
    assert needs.disk == 0 and 0.5e9 < needs.memory < 1.0e9


def test_what_does_not_fit_in_memory_goes_to_disk(tiny_film: Path) -> None:
    large, larger = (training_needs(enlarged(open_capture(tiny_film), factor)) for factor in (100, 200))
    assert large.frames > DEFAULT_MEMORY_LIMIT and large.disk > large.frames
    assert larger.frames == 4 * large.frames and larger.memory == large.memory < 2.1e9


def test_a_shortage_is_told_before_the_start(tiny_film: Path) -> None:
    good = describe(open_capture(tiny_film))
    assert good["needs"]["memory"] > 0 and "training   about 0." in format_description(good)
    assert not any("Training it takes" in warning for warning in good["warnings"])
    (warning,) = [
        warning
        for warning in describe(enlarged(open_capture(tiny_film), 100_000))["warnings"]
        if "Training it takes" in warning
    ]
    assert "GB of disk" in warning and "free some space, or use a higher downscale" in warning
