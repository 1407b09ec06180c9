"""One program at a time in a folder; the system lets go of the lock however the program ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melodai.errors import MelodaiError

if os.name == "nt":
    import msvcrt
else:
    import fcntl


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Holds a lock file.

    Raises:
        MelodaiError: another process holds it.
    """
    with path.open("ab") as file:
        try:
            if os.name == "nt":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MelodaiError(
                f"another download into {path.parent.parent} is running; wait for it or end it"
            ) from error
        yield
