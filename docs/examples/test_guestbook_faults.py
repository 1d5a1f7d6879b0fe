"""What the guestbook does when the database does badly: on the fake only, which does so at will."""

from __future__ import annotations

from test_guestbook import GuestbookTestCase

from txcql import errors
from txcql.testing import Delay, Drop


class FaultTests(GuestbookTestCase):
    """What the web sees."""

    def test_unavailable(self) -> None:
        cluster = self.cluster
        cluster.inject(errors.Unavailable("too few", consistency="LOCAL_QUORUM", required=2, alive=1))
        self.assertEqual(self.ask("GET", "inn").status, 503)
        cluster.clear()
        self.assertEqual(self.ask("GET", "inn").status, 200)

    def test_silence(self) -> None:
        self.cluster.inject(Drop())
        self.assertEqual(self.ask("POST", "inn", author="Cy", text="x").status, 504)

    def test_a_slow_database_is_waited_for(self) -> None:
        self.cluster.inject(Delay(1.5))
        self.assertEqual(self.ask("GET", "inn").status, 200)

    def test_one_statement_for_each_visit(self) -> None:
        cluster = self.cluster
        self.ask("GET", "inn")
        [update] = cluster.requests.assert_received(
            "UPDATE visits SET count = count + 1 WHERE book = ?", times=1
        )
        self.assertEqual(update.values, ["inn"])
