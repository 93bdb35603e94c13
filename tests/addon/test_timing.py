"""Scene frames against capture seconds."""

import pytest

from neural_render_addon.timing import (
    FieldTiming,
    TimeMapping,
    capture_seconds,
    duration_in_frames,
    frame_rate,
    scene_fps,
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


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        # seconds that the unmapped time takes at these frames: -0.5, 0, 1.5, 2.5, 4.25 of a 2 s capture
        (TimeMapping.FOLLOW, [0.0, 0.0, 1.5, 2.0, 2.0]),
        (TimeMapping.LOOP, [1.5, 0.0, 1.5, 0.5, 0.25]),
        (TimeMapping.PING_PONG, [0.5, 0.0, 1.5, 1.5, 0.25]),
        (TimeMapping.FIELD_TIME, [0.7] * 5),
    ],
)
def test_mappings(mapping, expected):
    timing = FieldTiming(frame_start=1, mapping=mapping, field_time=0.7)
    frames = [-11, 1, 37, 61, 103]
    assert [capture_seconds(frame, 24.0, timing, 2.0) for frame in frames] == pytest.approx(expected)


def test_field_time_stays_within_the_capture():
    timing = FieldTiming(mapping=TimeMapping.FIELD_TIME, field_time=3.0)
    assert capture_seconds(1, 24.0, timing, 2.0) == 2.0


def test_a_still_capture_loops_without_failing():
    for mapping in TimeMapping:
        assert capture_seconds(77, 24.0, FieldTiming(mapping=mapping), 0.0) == 0.0


@pytest.mark.parametrize("fps", [24.0, 29.97, 23.976, 60.0, 12.5, 6.0])
def test_frame_rate_gives_blenders_two_numbers(fps):
    whole, base = frame_rate(fps)
    assert isinstance(whole, int)
    assert whole / base == pytest.approx(fps)
    assert 1.0 <= base < 2.0


def test_a_capture_covers_all_its_timesteps():
    assert duration_in_frames(47 / 24, 24.0) == 48
    assert duration_in_frames(0.0, 24.0) == 1
