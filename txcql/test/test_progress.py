"""The progress line."""

from __future__ import annotations

from io import StringIO

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class ProgressTests(SynchronousTestCase):
    """:class:`Progress`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1)

    def test_plain(self) -> None:
        """Elsewhere than on a terminal: a line for each quarter."""
        output = StringIO()
        progress = Progress(self.clock, output)
        progress.begin("writing:", 1000)
        for done in range(0, 1001, 10):
            progress.tell(done, "x")
        progress.end()
        self.assertEqual(
            output.getvalue(),
            "".join(f"writing: {done} of 1,000 rows, x\n" for done in ("250", "500", "750", "1,000")),
        )

    def test_terminal(self) -> None:
        """On a terminal: one line, ten times a second at most, and always at the end."""
        output = Terminal()
        progress = Progress(self.clock, output)
        progress.begin("reading:", 100)
        for done in range(101):
            progress.tell(done, "x")
            self.clock.advance(0.01)
        lines = output.getvalue().split("\r\x1b[K")[1:]
        self.assertEqual(lines[0], f"[{'.' * 24}] reading: 0 of 100 rows, x")
        self.assertEqual(lines[-1], f"[{'#' * 24}] reading: 100 of 100 rows, x")
        self.assertTrue(9 <= len(lines) <= 12, lines)
        progress.end()
        self.assertTrue(output.getvalue().endswith("\r\x1b[K"))
