"""What load is made of: something that is done again and again from two threads, until one has seen enough."""

from __future__ import annotations

import threading
import time
from typing import Self


class WithoutPause:
    """As a context manager; who inherits says what one turn is."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def turn(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.is_set():
            self.turn()
            time.sleep(self._pause_seconds)
