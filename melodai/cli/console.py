"""What is only shown: it fits the terminal, and no failure to show it stops the work."""

import errno
import io
import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


_JOINERS = "\u200c\u200d"  # of Persian letters, of emoji


class _Shown(io.RawIOBase):
    """Passes bytes on for as long as that works, and keeps the error that ended it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # which would close what is below it if nobody kept it
        self._raw = getattr(stream.buffer, "raw", stream.buffer)
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw.isatty()

    def fileno(self) -> int:
        return self._raw.fileno()

    def write(self, data: memoryview) -> int:
        try:
            while self.error is None:
                if (length := self._raw.write(data)) is not None:
                    return length
                time.sleep(0.01)  # a pipe that is full and was set not to block
        except OSError as error:
            self.error = error
        return len(data)


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """While it lasts, writing to standard output and error raises nothing.

    Characters that the console cannot show become `?`. A reader who has left (`head`) misses
    nothing; if the output is not all there for another reason, such as a full disk, that is said
    at the end, and the exit code is 1.

    Raises:
        SystemExit: always, unless it ends by an error.
    """
    before, code = (sys.stdout, sys.stderr), None
    sys.stdout, output = _forgiving(sys.stdout)
    sys.stderr, _ = _forgiving(sys.stderr)
    try:
        yield
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        if output.error is not None and output.error.errno != errno.EPIPE:
            sys.stderr.write(f"error: standard output is cut off: {output.error.strerror}\n")
            code = code or 1
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
    sys.exit(code)


def _forgiving(stream: TextIO | None) -> tuple[TextIO, _Shown]:
    if stream is None:  # it was closed before the program began
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    stream.flush()
    raw = _Shown(stream)
    text = io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "replace", line_buffering=stream.line_buffering
    )
    return text, raw


def plain_console(*, stderr: bool = False, markup: bool = False, quiet: bool = False) -> "Console":
    """Shows text as it is: no emoji for `:cat:`, numbers without colour, lines of any length."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    if not (columns.isdecimal() and int(columns)):
        os.environ.pop("COLUMNS", None)  # into no columns rich writes nothing
    return Console(
        highlight=False, markup=markup, emoji=False, soft_wrap=True, stderr=stderr, quiet=quiet
    )


def readable(name: object) -> str:
    """A name without what a terminal would obey or could not show."""
    text = str(name).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else "\N{REPLACEMENT CHARACTER}"
        for letter in unicodedata.normalize("NFC", text)
    )


def readable_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(readable, text.split("\n")))
