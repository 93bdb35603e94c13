"""The render engine ``Neural Render``: final frames and the viewport, from the server."""
