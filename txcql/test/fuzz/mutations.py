"""Mutations that know what a message is made of: lengths, counts, ids, texts, headers, segments."""

from __future__ import annotations

import random
import struct

from txcql.test.fuzz.corpus import Envelope, envelopes

__all__ = ["mutated_body", "mutated_bytes", "mutated_header"]

_HEADER = struct.Struct(">BBhBi")
_NUMBERS = (0, 1, 2, 4, 5, 16, 64, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, -1, -2, -(2**31))
_SHORTS = (0, 1, 9, 13, 0x20, 0x21, 0x22, 0x30, 0x31, 255, 256, 0x7FFF, 0xFFFF)
_TEXTS = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\x00" * 8,
    b"\x00\x20" * 80,
    b"\x00\x31\xff\xff",
    b"org.apache.cassandra.db.marshal.ListType(" * 3,
    b"\x00\x00\x00\x01\x00\x00\x00\x05",
    b"\xff\xff\xff\xff" * 4,
    b"\x7f\xff\xff\xff",
)
_LARGEST = 65536


def mutated_body(body: bytes, version: int, chance: random.Random) -> bytes:
    """A body of which some notations say something else; often several of them."""
    data = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        kind = chance.randrange(9)
        place = chance.randrange(len(data) + 1)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            number = chance.choice(_NUMBERS)
            data[place : place + 4] = struct.pack(">i", number)
        elif kind == 2:
            data[place : place + 2] = struct.pack(">H", chance.choice(_SHORTS))
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            del data[place : place + chance.choice((1, 2, 4, 8))]
        elif kind == 5:
            data[place:place] = chance.choice(_TEXTS)
        elif kind == 6:
            other = chance.choice(envelopes(version)).body
            start = chance.randrange(len(other) + 1)
            data[place:] = other[start:]
        elif kind == 7:
            end = place + chance.randrange(1, 40)
            data[place:end] = data[place:end] * chance.choice((2, 3, 50))
        else:
            end = place + chance.randrange(1, 9)
            data[place:end] = chance.randbytes(min(end, len(data) + 1) - place)
    return bytes(data[:_LARGEST])


def mutated_header(frame: bytes, chance: random.Random) -> bytes:
    """A frame of whose header one field says something else."""
    version, flags, stream, opcode, length = _HEADER.unpack_from(frame)
    kind = chance.randrange(5)
    if kind == 0:
        version = chance.choice((0x03, 0x04, 0x05, 0x81, 0x83, 0x84, 0x85, 0x86, 0xFF, 0x15, 0x48))
    elif kind == 1:
        flags = chance.randrange(256)
    elif kind == 2:
        stream = chance.choice((-(2**15), -2, -1, 0, 1, 2, 3, 77, 2**15 - 1))
    elif kind == 3:
        opcode = chance.choice((*range(0x11), 0xFF))
    else:
        length = chance.choice((-1, 0, 1, length - 1, length + 1, length + 9, 2**24, 2**31 - 1))
    return _HEADER.pack(version, flags, stream, opcode, length) + frame[_HEADER.size :]


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """A stream of which some bytes are others, without regard to what they mean."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(4)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[place : place + chance.randrange(1, 20)]
        elif kind == 2:
            changed[place:place] = chance.randbytes(chance.randrange(1, 20))
        else:
            end = place + chance.randrange(1, 60)
            changed[place:place] = changed[place:end]
    return bytes(changed)


def any_envelope(version: int, chance: random.Random) -> Envelope:
    """One of the corpus, as it is or mutated."""
    envelope = chance.choice(envelopes(version))
    if chance.random() < 0.8:
        return envelope._replace(body=mutated_body(envelope.body, version, chance))
    return envelope
