"""`Plan`: how many rows bits-back takes at once, from the first batch on."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.applications.compression.latent_stack import LatentStack

__all__ = ["MOST_GROWTH", "UNIT", "Plan"]

_FIRST_SHARE = 2000  # rows for each row of the first batch, whose z random bits have to pay for
UNIT, MOST_GROWTH = 16, 1 << 10


@dataclass(frozen=True)
class Plan:
    """Sizes of batches, which a decoder has to know: the first, then in proportion to the rows.

    Args:
        num_rows: of all batches.
        largest: size of a batch.
        growth: rows of a batch for every 16 before it.
    """

    num_rows: int
    largest: int
    growth: int

    def size_at(self, start: int) -> int:
        """Of the batch that begins with this row."""
        first = max(1, self.num_rows // _FIRST_SHARE)
        size = max(first, start * self.growth // UNIT)
        return min(size, self.largest, self.num_rows - start)

    @property
    def starts(self) -> list[int]:
        """Where batches begin."""
        found, at = [], 0
        while at < self.num_rows:
            found.append(at)
            at += self.size_at(at)
        return found

    def push(self, stack: LatentStack) -> None:
        """What a decoder does not know."""
        stack.push_number(self.growth, MOST_GROWTH)

    @staticmethod
    def pop(stack: LatentStack, num_rows: int, largest: int) -> Plan:
        """What `push` put there."""
        return Plan(num_rows, largest, stack.pop_number(MOST_GROWTH))
