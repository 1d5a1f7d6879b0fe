"""Tests for :mod:`txcql.session.connectoptions`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql.session.connectoptions import ConnectOptions
from txcql.settings import Settings


def as_text(annotation: Any) -> str:
    """An annotation, as it is written."""
    return str(getattr(annotation, "__forward_arg__", annotation))


class ConnectOptionsTests(SynchronousTestCase):
    """The keyword arguments of ``connect``, and the settings."""

    def test_the_same(self) -> None:
        """The same names in the same order, of the same types: whoever adds a setting adds it twice."""
        options = {name: as_text(kind) for name, kind in ConnectOptions.__annotations__.items()}
        settings = {name: as_text(Settings.__annotations__[name]) for name in Settings.names()}
        self.assertEqual(list(options.items()), list(settings.items()))
