"""Puts the harness on the path of all tests, which may run in the background."""

import signal
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# How long an example takes on a machine that does other things too says nothing of it: what is to be quick has tests that measure.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

# A shell's background job ignores Ctrl-C, and so would each program that a test starts to send it one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
