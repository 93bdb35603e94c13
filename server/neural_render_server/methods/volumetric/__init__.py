"""What all volumetric methods share: rays, samplers, scene bounds, step functions, rendering in chunks."""
