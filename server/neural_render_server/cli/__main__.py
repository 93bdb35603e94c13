"""``python -m neural_render_server.cli`` is ``neural-render``."""

import sys

from . import main

sys.exit(main())
