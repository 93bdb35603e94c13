"""A trained field as a triangle mesh: a proxy for shadows, holdouts and collisions, no likeness."""
