"""Building blocks of volumetric fields: encodings, networks, contraction, activations."""
