"""Which tiles an iteration renders."""

from __future__ import annotations

import numpy as np
from ball_views import TIMES, Views, make_views

from neural_render_server.kernels.layout import TILE
from neural_render_server.methods.gaussians.tile_choice import TileChoice, draw_tiles, pixels_of, tile_means

WIDTH, HEIGHT = 64, 48


def choice_of(views: Views) -> TileChoice:
    return TileChoice(views, lambda _message, _fraction: None)


def test_tile_means_count_a_cut_tile_by_what_is_there() -> None:
    image = np.ones((TILE + 4, TILE), np.float32)
    np.testing.assert_allclose(tile_means(image), [[1.0], [4.0 / TILE]])


def test_as_many_tiles_are_drawn_as_asked_for_and_mostly_the_heavy() -> None:
    random = np.random.default_rng(0)
    weights = np.ones((3, 4), np.float32)
    weights[1, 2] = 50.0
    drawn = [draw_tiles(weights, 3, random) for _ in range(200)]
    assert {int(tiles.sum()) for tiles in drawn} == {3}
    shares = np.mean(drawn, axis=0)
    assert shares[1, 2] > 0.9
    light = np.delete(shares.ravel(), 6)
    assert light.min() > 0.05 and light.max() < 0.4


def test_before_any_error_is_known_what_moves_is_chosen() -> None:
    views = make_views()
    tiles, pixels = choice_of(views).choose(0, 0, WIDTH, HEIGHT, np.random.default_rng(0)) or (None, None)
    assert tiles is not None and 0 < tiles.sum() < tiles.size
    assert np.array_equal(pixels, pixels_of(tiles, WIDTH, HEIGHT))


def test_a_tile_that_is_wrong_is_drawn_though_nothing_moves_there() -> None:
    views = make_views()
    choice, random = choice_of(views), np.random.default_rng(0)
    moving, _ = choice.choose(0, 0, WIDTH, HEIGHT, random) or (None, None)
    assert moving is not None
    still = tuple(np.argwhere(~moving)[0])
    error = np.full((HEIGHT, WIDTH), 1e-4, np.float32)
    error[still[0] * TILE : (still[0] + 1) * TILE, still[1] * TILE : (still[1] + 1) * TILE] = 1.0
    choice.observe(0, error)
    drawn = [choice.choose(0, 0, WIDTH, HEIGHT, random) for _ in range(50)]
    assert np.mean([tiles[0][still] for tiles in drawn if tiles is not None]) > 0.95
    assert {int(tiles[0].sum()) for tiles in drawn if tiles is not None} == {int(moving.sum())}


def test_where_something_moves_at_that_moment_is_drawn_sooner() -> None:
    views = make_views(np.arange(4) / 3.0)  # the ball flies by, two units far
    choice, random = choice_of(views), np.random.default_rng(0)
    choice.observe(0, np.full((HEIGHT, WIDTH), 0.1, np.float32))
    moving, _ = choice_of(views).choose(0, 0, WIDTH, HEIGHT, random) or (None, None)
    assert moving is not None

    def share(view: int) -> np.ndarray:
        drawn = [choice.choose(view, 0, WIDTH, HEIGHT, random) for _ in range(200)]
        return np.mean([tiles[0] for tiles in drawn if tiles is not None], axis=0)

    of_camera = np.flatnonzero(views.camera_indices == 0)
    first, last = share(int(of_camera[0])), share(int(of_camera[-1]))
    assert np.abs(first - last)[moving].max() > 0.2  # the ball is elsewhere
    assert first[moving].mean() > first[~moving].mean()


def test_a_capture_that_stands_still_is_rendered_whole() -> None:
    views = make_views(TIMES[:1])
    choice = choice_of(views)
    choice.observe(0, np.ones((HEIGHT, WIDTH), np.float32))
    assert choice.choose(0, 0, WIDTH, HEIGHT, np.random.default_rng(0)) is None
    assert not choice.tensors()


def test_the_errors_survive_saving() -> None:
    views = make_views()
    choice = choice_of(views)
    choice.observe(1, np.random.default_rng(0).random((HEIGHT, WIDTH), dtype=np.float32))
    again = choice_of(views)
    again.load(choice.tensors())
    view = int(np.flatnonzero(views.camera_indices == 1)[0])
    one = choice.choose(view, 1, WIDTH, HEIGHT, np.random.default_rng(3))
    other = again.choose(view, 1, WIDTH, HEIGHT, np.random.default_rng(3))
    assert one is not None and other is not None and np.array_equal(one[0], other[0])
