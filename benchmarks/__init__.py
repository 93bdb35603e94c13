"""Measurements; each module is a command of its own. The server's package comes first: it sets up threads
before torch is imported."""

import neural_render_server  # noqa: F401
