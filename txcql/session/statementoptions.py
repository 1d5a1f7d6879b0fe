"""Options that belong to a statement rather than to one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from txcql.session.options import RequestOptions, checked_options

__all__ = ["NO_OPTIONS", "StatementOptions"]

_ROW_KINDS = ("row_factory", "into")


class StatementOptions(Mapping[str, Any]):
    """Some of the options of ``execute()``, checked; they never change.

    :param options: by name; ``None`` stands for nothing.
    :raises TypeError: one that does not exist, or of the wrong type.
    :raises ValueError: a value out of its range.
    """

    __slots__ = ("_chosen", "_default", "_given")

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._given = checked_options(options)
        self._default: RequestOptions | None = None
        self._chosen: RequestOptions | None = None

    def changed(self, options: Mapping[str, Any]) -> StatementOptions:
        """These options, with others in their place where there are; ``None`` takes one away."""
        kept = {name: value for name, value in self._merged(options).items() if name not in options}
        return StatementOptions({**kept, **options})

    def chosen(self, default: RequestOptions, version: int, given: Mapping[str, Any]) -> RequestOptions:
        """The options of a call.

        :param default: the session's.
        :param version: the protocol version of the session.
        :param given: those that the call gives, which win.
        :raises TypeError: an option that does not exist, or of the wrong type.
        :raises ValueError: a value out of its range, or an option that the version does not have.
        """
        if given:
            own = self._merged(given)
            rest = {name: value for name, value in given.items() if value is not None}
            return default.changed(version, {**own, **rest})  # type: ignore[typeddict-item]
        if not self._given:
            return default
        if self._chosen is None or self._default is not default:
            # The same object each time, so that what was encoded for it is found again.
            self._chosen = default.changed(version, self._given)  # type: ignore[arg-type]
            self._default = default
        return self._chosen

    def _merged(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Its options, without what others take the place of."""
        if any(given.get(name) is not None for name in _ROW_KINDS):
            return {name: value for name, value in self._given.items() if name not in _ROW_KINDS}
        return self._given

    def __getitem__(self, name: str) -> Any:
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        # What a payload holds may be secret.
        return ", ".join(
            f"{name}=…" if name == "payload" else f"{name}={value!r}" for name, value in self._given.items()
        )


NO_OPTIONS = StatementOptions({})
