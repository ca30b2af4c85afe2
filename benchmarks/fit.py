"""A line through measurements, and how far it rises."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """seconds = intercept + slope * millions of calls."""

    intercept: float
    slope: float

    def at(self, millions: float) -> float:
        """Seconds that the line gives."""
        return self.intercept + self.slope * millions

    def growth(self, smallest: float, largest: float) -> float:
        """Share by which the line is higher at the largest history than at the smallest."""
        return (self.at(largest) - self.at(smallest)) / self.at(smallest)


def fitted(millions: Sequence[float], seconds: Sequence[float]) -> Line:
    """The least squares line; ValueError with fewer than two different histories."""
    if len(set(millions)) < 2:
        raise ValueError("a line needs two different histories")
    middle, mean = sum(millions) / len(millions), sum(seconds) / len(seconds)
    pairs = list(zip(millions, seconds, strict=True))
    slope = sum((x - middle) * (y - mean) for x, y in pairs) / sum((x - middle) ** 2 for x in millions)
    return Line(mean - slope * middle, slope)


def exponent(millions: Sequence[float], seconds: Sequence[float]) -> float:
    """The power of the history that seconds grow with: 1 when they double with it, 0 when they stand."""
    return fitted([math.log(one) for one in millions], [math.log(one) for one in seconds]).slope
