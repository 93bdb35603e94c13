"""Scene frames against capture seconds."""

import pytest

from neural_render_addon.timing import (
    FieldTiming,
    capture_seconds,
    duration_in_frames,
    frame_rate,
    scene_fps,
    scene_frame,
)


def test_the_start_frame_shows_the_offset():
    assert capture_seconds(10, 24.0, FieldTiming(frame_start=10, offset=0.5)) == 0.5


def test_time_follows_the_scene_rate_with_its_base():
    fps = scene_fps(30, 1.001)
    assert capture_seconds(31, fps, FieldTiming(frame_start=1)) == pytest.approx(30 * 1.001 / 30)


@pytest.mark.parametrize(("speed", "seconds"), [(2.0, 2.0), (0.5, 0.5), (0.0, 0.0), (-1.0, -1.0)])
def test_speed(speed, seconds):
    assert capture_seconds(25, 24.0, FieldTiming(frame_start=1, speed=speed)) == pytest.approx(seconds)


def test_subframes_count():
    assert capture_seconds(1.5, 25.0, FieldTiming()) == pytest.approx(0.02)


def test_outside_the_capture_the_ends_are_held():
    timing = FieldTiming()
    assert capture_seconds(-100, 24.0, timing, 2.0) == 0.0
    assert capture_seconds(1000, 24.0, timing, 2.0) == 2.0
    assert capture_seconds(25, 24.0, timing, 2.0) == pytest.approx(1.0)


def test_scene_frame_is_the_inverse():
    timing = FieldTiming(frame_start=7, offset=0.3, speed=-1.5)
    assert scene_frame(capture_seconds(42.25, 23.976, timing), 23.976, timing) == pytest.approx(42.25)


@pytest.mark.parametrize("fps", [24.0, 29.97, 23.976, 60.0, 12.5, 6.0])
def test_frame_rate_gives_blenders_two_numbers(fps):
    whole, base = frame_rate(fps)
    assert isinstance(whole, int)
    assert whole / base == pytest.approx(fps)
    assert 1.0 <= base < 2.0


def test_a_capture_covers_all_its_timesteps():
    assert duration_in_frames(47 / 24, 24.0) == 48
    assert duration_in_frames(0.0, 24.0) == 1
