"""Tests for :mod:`txcql.cli.ping`."""

from __future__ import annotations

from txcql.test.clicase import CommandTestCase


class PingTests(CommandTestCase):
    """Every node that is used is asked; the others are named."""

    def test_all_answer(self) -> None:
        lines = self.run_command("ping", "--count", "3").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[0].endswith("protocol version 5"), lines[0])
        others = [line for line in lines if line.endswith("not used, being in another data center")]
        used = [line for line in lines if line.endswith("ms (least/median/most)")]
        self.assertEqual((len(others), len(used)), (1, 2))
        self.assertIn("(dc1/", used[0])

    def test_one_is_silent(self) -> None:
        """It says why, and the command fails."""
        self.cluster.nodes[1].pause_reading()
        self.assertEqual(self.fails("ping", "--count", "1"), "1 of 3 nodes did not answer")
        silent = self.cluster.nodes[1].contact_point
        (line,) = [line for line in self.output.getvalue().splitlines() if line.startswith(silent)]
        self.assertIn("is not connected", line)
