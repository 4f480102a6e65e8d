"""A consumer who reads the six tables all the time, and notices every wrong answer and every moment without one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from databricks.sql.exc import Error

from databricks_client.endpoint import Endpoint


@dataclass
class Consumer:
    """Reads each table in turn on its own connection until stopped.

    answers: reads of each table. wrong: what a read returned other than expected. gaps: seconds between the last good
    read before an error and the next good read of that table. unread: tables that could not be read at the end either.
    errors: error classes seen.
    """

    endpoint: Endpoint
    expected: dict[str, int]
    answers: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    errors: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begins reading, two tables at a time."""
        names = sorted(self.expected)
        for part in (names[::2], names[1::2]):
            thread = threading.Thread(target=self._read, args=(part,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> float:
        """Ends reading; gives the seconds that it took the statements under way to end."""
        began = time.monotonic()
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return time.monotonic() - began

    @property
    def longest_gap(self) -> float:
        """Seconds for which the least fortunate table could not be read."""
        return max(self.gaps, default=0.0)

    def _read(self, names: list[str]) -> None:
        last_good = dict.fromkeys(names, time.monotonic())
        failing: set[str] = set()
        with self.endpoint.sql() as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                for name in names:
                    try:
                        cursor.execute(f"SELECT count(*) FROM {name}")
                        (rows,) = cursor.fetchone()
                    except Error as e:
                        failing.add(name)
                        self.errors.add(str(e)[:60])
                        continue
                    moment = time.monotonic()
                    if name in failing:
                        failing.discard(name)
                        self.gaps.append(moment - last_good[name])
                    last_good[name] = moment
                    self.answers[name] = self.answers.get(name, 0) + 1
                    if rows != self.expected[name]:
                        self.wrong.append(f"{name}: {rows} rows, expected {self.expected[name]}")
                self._stop.wait(0.05)
        for name in failing:
            self.unread.append(name)
            self.gaps.append(time.monotonic() - last_good[name])
