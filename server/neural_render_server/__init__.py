"""Neural Render server: trains radiance fields of filmed scenes and renders them.

Layers, each knowing only those before it: ``cameras``, ``captures``, ``kernels``, ``methods``,
``training`` and ``rendering``, ``service`` and ``cli``.
"""

import os

# Spinning OpenMP threads cost several times the CPU time when anything else runs; it must be set
# before torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
