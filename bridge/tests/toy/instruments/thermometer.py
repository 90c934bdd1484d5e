"""An instrument of the user's own, outside the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gauge import OFFSET  # noqa: F401
