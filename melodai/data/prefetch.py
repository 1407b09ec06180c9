"""Makes the next batches in a thread while the device works on this one."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2


def prefetch(items: Iterator[T], depth: int = DEPTH) -> Iterator[T]:
    """The same items, made ahead in a thread that ends with this generator.

    An error of the thread is raised here.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    is_closed = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> bool:
        while not is_closed.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, None))
        except BaseException as error:  # noqa: BLE001  it is raised again where it can be handled
            put((None, error))

    thread = threading.Thread(target=work, daemon=True, name="melodai-loader")
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        is_closed.set()
        thread.join()
