"""Makes root create files as the owner of their folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def owner_of(folder: str) -> Iterator[None]:
    """Inside the block, files are created as, and with the rights of, whoever owns `folder`.

    Kamailio started by root with `-u` loads its modules before it becomes that user; a log that root
    created then could not be written by the workers. Root in a folder of another user is also a
    danger: a link planted there would be followed. Does nothing for other users than root.
    """
    try:
        about = os.stat(folder)
    except OSError:
        yield
        return
    if os.geteuid() != 0 or about.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(about.st_gid)
    os.seteuid(about.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
