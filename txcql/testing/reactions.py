"""What a fake node does with a request instead of answering it as usual: primed answers and faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from txcql.errors import ServerError
from txcql.testing.receivedrequests import Match, Received, matcher
from txcql.wire.metadata import Column
from txcql.wire.typeparser import parse_type

__all__ = [
    "BadChecksum",
    "Close",
    "Delay",
    "Drop",
    "Reaction",
    "Reorder",
    "Reset",
    "Rows",
    "Rule",
    "Rules",
    "Split",
    "Unprepare",
    "Void",
    "WrongStream",
]


@dataclass(frozen=True)
class Rows:
    """Answer with rows.

    :ivar columns: names, and types as CQL text.
    :ivar rows: Python values, one sequence a row.
    :ivar parameters: names and types of the bind markers, for statements that the fake cannot read.
    :ivar warnings: what the server warns of.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]] = ()
    parameters: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    keyspace: str = "primed"
    table: str = "primed"

    def wire_columns(self) -> tuple[Column, ...]:
        """The columns as the metadata has them."""
        return columns_of(self.columns, self.keyspace, self.table)

    def encoded(self) -> list[list[bytes | None]]:
        """The cells of all rows.

        :raises EncodeError: a value is none of its column's type.
        :raises ValueError: a row has more or fewer values than there are columns.
        """
        types = [column.type for column in self.wire_columns()]
        return [[kind.encode(value) for kind, value in zip(types, row, strict=True)] for row in self.rows]


@dataclass(frozen=True)
class Void:
    """Answer that it is done.

    :ivar parameters: names and types of the bind markers, for statements that the fake cannot read.
    """

    parameters: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Delay:
    """Do what follows, or answer as usual, some seconds later."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """Never answer."""


@dataclass(frozen=True)
class Close:
    """Close the connection instead of answering."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of answering."""


@dataclass(frozen=True)
class Reorder:
    """Hold answers back until there are so many, and give the last first.

    :ivar count: how many answers are turned round.
    :ivar seconds: after which those that are there are given, if no more come.
    """

    count: int = 2
    seconds: float = 0.5


@dataclass(frozen=True)
class Split:
    """Write the answer in pieces of so many bytes, each of which arrives alone."""

    size: int = 1


@dataclass(frozen=True)
class BadChecksum:
    """Damage the answer: its checksum is wrong. Only protocol v5 has checksums."""


@dataclass(frozen=True)
class WrongStream:
    """Answer on a stream on which nothing was asked."""


@dataclass(frozen=True)
class Unprepare:
    """Forget all prepared statements of the node first, as a restart does."""


Reaction = (
    Rows
    | Void
    | Delay
    | Drop
    | Close
    | Reset
    | Reorder
    | Split
    | BadChecksum
    | WrongStream
    | Unprepare
    | ServerError
)
"""What may be done with a request; an error of the server is answered."""


class Rule:
    """What is done with the requests that match.

    :ivar requests: those that it was applied to.
    """

    def __init__(
        self,
        match: Match,
        reactions: Sequence[Reaction | Sequence[Reaction]],
        *,
        node: str | None = None,
        times: int | None = None,
        probability: float = 1.0,
        random: Random | None = None,
    ) -> None:
        if not reactions:
            raise ValueError("a rule needs something to do")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be in 0..1, got {probability}")
        self.requests: list[Received] = []
        self.reactions: list[list[Reaction]] = [
            [one] if isinstance(one, Reaction) else list(one) for one in reactions
        ]
        for one in self.reactions:
            for reaction in one:
                if not isinstance(reaction, Reaction):
                    raise TypeError(f"expected an answer, a fault or a ServerError, got {reaction!r}")
                if isinstance(reaction, Rows):
                    reaction.encoded()
        self._match = matcher(match)
        self._node = node
        self._times = times
        self._probability = probability
        self._random = random or Random(0)
        self._removed = False

    def __repr__(self) -> str:
        return f"<Rule applied={len(self.requests)} left={'any' if self._times is None else self._times}>"

    @property
    def active(self) -> bool:
        """Whether it may be applied once more."""
        return not self._removed and (self._times is None or self._times > 0)

    def remove(self) -> None:
        """Apply it no longer."""
        self._removed = True

    def fits(self, request: Received) -> bool:
        """Whether a request is meant, whatever chance says."""
        return self.active and (self._node is None or self._node == request.node) and self._match(request)

    def take(self, request: Received) -> list[Reaction] | None:
        """What to do with a request; ``None`` if it is not meant, or chance says no."""
        if request.kind == "PREPARE" and any(isinstance(one, (Rows, Void)) for one in self.reactions[0]):
            return None
        if not self.fits(request):
            return None
        if self._probability < 1 and self._random.random() >= self._probability:
            return None
        place = min(len(self.requests), len(self.reactions) - 1)
        self.requests.append(request)
        if self._times is not None:
            self._times -= 1
        return self.reactions[place]


class Rules:
    """The rules of a cluster; the newest that fits is applied."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: Rule) -> Rule:
        """Apply a rule from now on."""
        self._rules = [one for one in self._rules if one.active]
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all of them."""
        for rule in self._rules:
            rule.remove()
        self._rules.clear()

    def take(self, request: Received) -> list[Reaction] | None:
        """What to do with a request."""
        for rule in reversed(self._rules):
            found = rule.take(request)
            if found is not None:
                return found
        return None

    def primed(self, request: Received) -> Rows | Void | None:
        """The answer that a statement was given, for its PREPARE."""
        for rule in reversed(self._rules):
            if rule.fits(request):
                for reaction in [one for several in rule.reactions for one in several]:
                    if isinstance(reaction, (Rows, Void)):
                        return reaction
        return None


def columns_of(given: Sequence[tuple[str, str]], keyspace: str, table: str) -> tuple[Column, ...]:
    """Columns of a metadata, from names and CQL texts."""
    return tuple(Column(keyspace, table, name, parse_type(text)) for name, text in given)
