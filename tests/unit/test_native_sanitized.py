"""The compiled part under AddressSanitizer and UndefinedBehaviorSanitizer: no byte out of place, whatever is sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness import KEMI, ROOT


def test_nothing_is_read_or_written_out_of_place(tmp_path: Path) -> None:
    kemi = tmp_path / "kemi"
    shutil.copytree(KEMI, kemi, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    built = kemi / "sipsieve" / "_native.abi3.so"
    subprocess.run(
        ["make", "-s", "-B", "-f", "make/native.mk", built, f"NATIVE={built}",
         "CFLAGS=-g -O1 -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all"],
        cwd=ROOT, check=True, timeout=120,
    )  # fmt: skip
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_native.py",
         "tests/unit/test_native_tables.py",
         # The whole file takes minutes that way.
         "-k", "built or same_messages or outside or makes_room or no_place or 1-each"],
        cwd=ROOT, capture_output=True, text=True, timeout=500,
        env={
            **os.environ, "PYTHONPATH": str(kemi), "LD_PRELOAD": library.stdout.strip(), "PYTHONMALLOC": "malloc",
            # What Python itself keeps until it ends is no leak of ours; a new type of ours is told by the counts.
            "ASAN_OPTIONS": "detect_leaks=0", "SIPSIEVE_NATIVE_BUILT": str(built),
        },
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
