"""Polling, simulated: what a way of polling costs over many jobs, against a clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from random import Random

from runcomfy._pace import Durations, Expectation, Pace

_LATENCY = 0.06


@dataclass
class Simulated:
    """The mean of what a way of polling cost over many jobs."""

    wait: float
    requests: float

    @property
    def product(self) -> float:
        return self.wait * self.requests


def simulate(durations: list[float], pace: Callable[[float], Pace], learn: Callable[[float], None]) -> Simulated:
    """Poll one job after the other as a wait does, against a clock of its own; every poll takes the latency."""
    requests = waited = start = 0.0
    for duration in durations:
        polling = pace(start)
        now = start
        while True:
            now += polling.pause(now)
            polling.poll(now)
            requests += 1
            done = now + _LATENCY / 2 - start >= duration
            now += _LATENCY
            polling.saw(now, done=done)
            if done:
                break
        waited += now - start - duration
        if polling.duration is not None:
            learn(polling.duration)
        start = now + 1000
    return Simulated(waited / len(durations), requests / len(durations))


def log_normal(median: float, spread: float, count: int, seed: int = 7) -> list[float]:
    random = Random(seed)
    return [exp(random.gauss(log(median), spread)) for _ in range(count)]


def learned(durations: list[float]) -> Simulated:
    known = Durations()
    return simulate(
        durations,
        lambda now: Pace(now, now, expectation=known.expectation("m")),
        lambda duration: known.record("m", duration),
    )


def fixed(durations: list[float], interval: float) -> Simulated:
    return simulate(durations, lambda now: Pace(now, now, fixed=interval), lambda _: None)


class Oracle(Pace):
    """Knows the true distribution, and polls first when 1.4 % of the jobs have ended, however late that is."""

    def __init__(self, now: float, truth: Expectation) -> None:
        super().__init__(now, now, expectation=truth)
        self._first = truth.first_poll

    def pause(self, now: float) -> float:
        usual = super().pause(now)
        return self._first if self._polled_at is None else usual


def oracle(durations: list[float], median: float) -> Simulated:
    return simulate(durations, lambda now: Oracle(now, Expectation(log(median), 0.5)), lambda _: None)
