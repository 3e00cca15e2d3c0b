"""Puts the harness on the path of all tests, and keeps compiled rules from one to the next."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("SIPSIEVE_CACHE", str(Path(__file__).parent.parent / "build" / "patterns"))
