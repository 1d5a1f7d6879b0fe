"""What a node answers before a version is agreed on, byte by byte as a real one does."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.testing.firstframes import FirstFrames
from txcql.wire.frames import Frame

STARTUP = bytes.fromhex("0000010100000016") + bytes.fromhex("0001000b43514c5f56455253494f4e0005332e302e30")


def sentence(version: int) -> bytes:
    return (
        f"Invalid or unsupported protocol version ({version}); "
        "supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)"
    ).encode()


class FirstFramesTests(SynchronousTestCase):
    """:class:`FirstFrames`."""

    def ask(self, data: bytes, versions: tuple[int, ...] = (3, 4, 5)) -> Frame | bytes | None:
        first = FirstFrames(versions)
        first.receive(data)
        return first.next_frame()

    def refusal(self, data: bytes, versions: tuple[int, ...] = (3, 4, 5)) -> bytes:
        answer = self.ask(data, versions)
        assert isinstance(answer, bytes)
        return answer

    def test_spoken(self) -> None:
        """Versions that are spoken come through."""
        for version in (3, 4, 5):
            frame = self.ask(bytes((version,)) + STARTUP)
            self.assertEqual(frame, Frame(version, 0, 1, 1, STARTUP[8:]))

    def test_any_cut(self) -> None:
        """A frame may arrive in pieces, and another behind it."""
        data = bytes((5,)) + STARTUP + bytes((4,)) + STARTUP
        first = FirstFrames((3, 4, 5))
        found = []
        for position in range(len(data)):
            first.receive(data[position : position + 1])
            while (frame := first.next_frame()) is not None:
                found.append(frame)
        self.assertEqual([frame.version for frame in found if isinstance(frame, Frame)], [5, 4])

    def test_ancient(self) -> None:
        """Versions 1 and 2 have a header of 8 bytes, and are answered in version 1."""
        for version in (1, 2):
            answer = self.refusal(bytes((version, 0, 1, 1, 0, 0, 0, 0)))
            self.assertEqual(answer[:4].hex(), "81000000")
            self.assertEqual(int.from_bytes(answer[4:8], "big"), len(answer) - 8)
            self.assertEqual(answer[8:12].hex(), "0000000a")
            self.assertEqual(answer[14:], sentence(version))

    def test_future(self) -> None:
        """Later versions are answered in version 5, on the stream 0."""
        for version, size in ((7, 0x67), (8, 0x67), (65, 0x68), (66, 0x68), (127, 0x69)):
            answer = self.refusal(bytes((version,)) + STARTUP)
            self.assertEqual(answer[:9].hex(), f"8500000000000000{size:02x}")
            self.assertEqual(answer[15:], sentence(version))

    def test_beta(self) -> None:
        """Version 6 is a beta: without its flag it is refused in its own version."""
        answer = self.refusal(b"\x06" + STARTUP)
        self.assertEqual(answer[:9].hex(), "86100000000000004f")
        self.assertEqual(
            answer[15:], b"Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset"
        )

    def test_beta_is_not_supported(self) -> None:
        """With its flag, a real node would take it: the fake says that it does not."""
        answer = self.refusal(b"\x06\x10" + STARTUP[1:])
        self.assertIn(b"not supported by txcql.testing", answer)

    def test_older_node(self) -> None:
        """A node that speaks less names what it speaks, in the latest of them."""
        answer = self.refusal(b"\x05" + STARTUP, (3, 4))
        self.assertEqual(answer[0], 0x84)
        self.assertTrue(answer.endswith(b"protocol version (5); supported versions are (3/v3, 4/v4)"))

    def test_not_cql(self) -> None:
        """Whatever else comes is a version that does not exist."""
        self.assertEqual(self.refusal(b"GET / HTTP/1.1\r\n")[15:], sentence(ord("G")))

    def test_too_large(self) -> None:
        """A first message of many megabytes is not waited for."""
        self.assertIn(b"not supported by txcql.testing", self.refusal(b"\x05\0\0\1\1\x7f\0\0\0"))

    def test_refused_bytes_are_dropped(self) -> None:
        """What came with a refused message is gone; the connection goes on."""
        first = FirstFrames((3, 4, 5))
        first.receive(b"\x42" + STARTUP)
        self.assertIsInstance(first.next_frame(), bytes)
        self.assertIsNone(first.next_frame())
        first.receive(b"\x05" + STARTUP)
        self.assertIsInstance(first.next_frame(), Frame)
