"""Two films of one event, started a known part of a frame apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from moving_light import FPS, FRAMES, HEIGHT, WIDTH, write_film
from tiny_capture import write_video

from neural_render_server.captures.detect import open_capture
from neural_render_server.errors import CaptureError, OptionError, SolveError
from neural_render_server.progress import Control, Event
from neural_render_server.solving.audio import read_sound
from neural_render_server.solving.brightness import Changes, flash_time, picture_delay
from neural_render_server.solving.clocks import settle
from neural_render_server.solving.synchronise import set_offsets, synchronise_capture
from neural_render_server.solving.timecode import timecode_seconds

FRAMES_APART = 2.5


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of two fixed cameras; cam1 was started 2.5 frames after cam0."""
    folder = tmp_path_factory.mktemp("film")
    write_film(folder / "cam0.mp4", 0.0, timecode="01:00:00:00")
    write_film(folder / "cam1.mp4", FRAMES_APART / FPS, is_other_side=True, timecode="01:00:00:03")
    poses = [np.eye(4), np.eye(4)]
    poses[1][0, 3] = 0.5
    shared = {"w": WIDTH, "h": HEIGHT, "fl_x": 60.0, "fl_y": 60.0, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    frames = [
        {"file_path": f"cam{index}.mp4", "transform_matrix": pose.tolist()}
        for index, pose in enumerate(poses)
    ]
    (folder / "transforms.json").write_text(json.dumps({**shared, "frames": frames}))
    return folder


def synchronise(film: Path, by: str) -> dict:
    return synchronise_capture(film, by, lambda event: None, Control())


@pytest.mark.parametrize(("by", "allowed"), [("audio", 0.1), ("picture", 0.5), ("timecode", 0.51)])
def test_an_offset_of_two_and_a_half_frames_is_found(film: Path, by: str, allowed: float) -> None:
    events: list[Event] = []
    result = synchronise_capture(film, by, events.append, Control())
    assert result["offsets"]["cam0"] == 0.0
    assert result["offsets"]["cam1"] * FPS == pytest.approx(FRAMES_APART, abs=allowed)
    assert result["residuals"]["cam1"] * FPS < 0.1 and result["warnings"] == []
    assert events and all(event.kind == "progress" for event in events)


def test_the_readers_honour_the_offsets(film: Path) -> None:
    set_offsets(film, {"cam0": 0.0, "cam1": FRAMES_APART / FPS})
    capture = open_capture(film)
    assert len(capture.times) in (FRAMES - 3, FRAMES - 2)  # half a frame counts as one or none
    shifts = {view.camera: view.time_shift for view in capture.views}
    apart = shifts[1] - shifts[0]
    own = {(capture.cameras[view.camera].name, view.timestep): view.source.frame for view in capture.views}
    # What the cameras took at one timestep, and when: whole frames are counted on, the rest is a shift.
    frames_on = own["cam0", 10] - own["cam1", 10]
    assert frames_on + apart * FPS == pytest.approx(FRAMES_APART)
    assert frames_on in (2, 3) and abs(apart) * FPS <= 0.5 + 1e-9
    times = dict(zip(((v.camera, v.timestep) for v in capture.views), capture.view_times, strict=True))
    assert times[1, 10] - times[0, 10] == pytest.approx(apart)


def test_an_offset_by_hand_names_a_camera_and_leaves_common_time(film: Path) -> None:
    with pytest.raises(CaptureError, match="no such camera"):
        set_offsets(film, {"cam7": 0.1})
    with pytest.raises(CaptureError, match="no two moments"):
        set_offsets(film, {"cam1": 3600.0})
    with pytest.raises(OptionError, match="no way to synchronise"):
        synchronise(film, "magic")


def test_a_film_without_sound_is_told(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", [np.zeros((16, 16, 3), np.uint8)] * 2)
    with pytest.raises(SolveError, match="has no sound; synchronise by picture"):
        read_sound(tmp_path / "mute.mp4")


def test_a_light_that_goes_on_within_a_frame_is_timed_to_a_part_of_it() -> None:
    def level(on_at: float) -> np.ndarray:
        """Mean levels of 40 frames; the light goes on at ``on_at`` frames from the start."""
        return 50.0 + 60.0 * np.clip(np.arange(1, 41) - on_at, 0.0, 1.0)

    for on_at in (12.0, 12.3, 12.8):
        time = flash_time(Changes(level(on_at), np.zeros(40), 24.0))
        assert time is not None and time * 24.0 == pytest.approx(on_at, abs=0.02)
    flash = np.full(40, 50.0)
    flash[20] += 80.0
    time = flash_time(Changes(flash, np.zeros(40), 24.0))
    assert time is not None and abs(time * 24.0 - 20.5) <= 0.5
    assert flash_time(Changes(np.full(40, 50.0), np.zeros(40), 24.0)) is None


def test_recordings_of_different_rates_are_compared_in_seconds() -> None:
    def changes(fps: float, start: float) -> Changes:
        times = start + np.arange(round(6 * fps)) / fps
        signal = np.sin(2.3 * times) + 0.6 * np.sin(6.1 * times + 1.0) + 0.4 * np.sin(11.0 * times)
        return Changes(signal, np.abs(signal), fps)

    delay, likeness = picture_delay(changes(24.0, 0.0), changes(30.0, 0.37))
    assert delay == pytest.approx(0.37, abs=0.3 / 24) and likeness > 0.8


def test_one_wrong_pair_does_not_move_the_clocks_and_who_is_alone_is_left_out() -> None:
    true = np.array([0.0, 0.1, -0.2, 0.05])
    delays = {(a, b): (float(true[b] - true[a]), 1.0) for a in range(4) for b in range(a + 1, 4)}
    delays[1, 2] = 5.0, 1.0  # wrong altogether
    clocks = settle(5, delays)
    assert clocks.offsets[:4] - clocks.offsets[0] == pytest.approx(true, abs=0.01)
    assert clocks.residuals[:4].max() < 0.01
    assert np.isnan(clocks.residuals[4]) and clocks.offsets[4] == 0.0 and clocks.offsets.min() == 0.0


def test_timecode_counts_frames_and_drops_numbers_where_it_says_so() -> None:
    assert timecode_seconds("01:00:00:12", 24.0) == pytest.approx(3600.5)
    # SMPTE ST 12-1: 29.97 with drop frame keeps the clock; without, it falls 3.6 s an hour behind.
    assert timecode_seconds("01:00:00;00", 30000 / 1001) == pytest.approx(3600.0, abs=0.01)
    assert timecode_seconds("01:00:00:00", 30000 / 1001) == pytest.approx(3603.6, abs=0.01)
    assert timecode_seconds("noon", 24.0) is None and timecode_seconds("01:00:00:00", 0.0) is None
