"""The decoders of rows that are generated: one function for the columns of a result.

Per row there is no loop over columns and no look-up of types. Neighbouring columns
of fixed size are read by one ``struct``, together with their lengths and the length
that follows; where a length is not the usual one (null, empty), that run of columns
is read again one by one. Whatever goes wrong in the fast code, the row is decoded
once more by plain code, which knows what to say about it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from uuid import UUID, SafeUUID

from txcql.wire.collectiontypes import ListType, SetType, fixed_elements, unwrap
from txcql.wire.conversions import EXACT, make_timestamp
from txcql.wire.cqltypes import Codec, CQLType
from txcql.wire.scalars import (
    AsciiType,
    BlobType,
    CustomType,
    DecimalType,
    TextType,
    TimestampType,
    TimeuuidType,
    UUIDType,
    VarintType,
    is_fused,
)

__all__ = ["Decode", "RowSource"]

_unpack_int = struct.Struct(">i").unpack_from
_LONGEST_RUN = 12
_MOST_COMPILED = 512  # columns: to compile more takes longer than to decode a page by plain code
_LONGEST_KEPT = 16384

Decode = Callable[[bytes, int], tuple[Any, int]]
"""Gives the row at an offset of bytes, and the offset of the next one."""


def _factory(source: str) -> Callable[..., Decode]:
    """Compile a source; results of the same shape share it, unless it is too long to be kept."""
    return _kept(source) if len(source) <= _LONGEST_KEPT else _compiled(source)


def _compiled(source: str) -> Callable[..., Decode]:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made: Callable[..., Decode] = namespace["make"]
    return made


_kept = lru_cache(maxsize=512)(_compiled)


class RowSource:
    """The source of one function that decodes some of a row's columns, and the objects it needs.

    :param wanted: the places of the columns to decode; the others are skipped.
    :param result: an expression of ``v0``, ``v1`` …, the values.
    """

    def __init__(self, codecs: Sequence[Codec], wanted: frozenset[int], result: str) -> None:
        self.codecs = codecs
        self.wanted = wanted
        self.result = result
        self.objects: dict[str, Any] = {"unpack_int": _unpack_int}
        self.lines: list[str] = []

    def make(self, checked: Decode, **objects: Any) -> Decode:
        """Give the function.

        :param checked: decodes the same by plain code.
        :param objects: what the result's expression names.
        """
        place, count = 0, len(self.codecs)
        if count > _MOST_COMPILED:
            return checked
        self.objects.update(objects, checked=checked)
        while place < count:
            run: list[int] = []
            while place < count and len(run) < _LONGEST_RUN and is_fused(self.codecs[place]):
                run.append(place)
                place += 1
            trailing = place if place < count and not is_fused(self.codecs[place]) else None
            self.run(run, trailing)
            if trailing is not None:
                self.variable(trailing)
                place += 1
        body = "\n".join(f"            {line}" for line in self.lines)
        source = (
            f"def make({', '.join(sorted(self.objects))}):\n"
            "    def decode(data, start):\n"
            "        o = start\n"
            "        try:\n"
            f"{body}\n"
            "            if o <= len(data):\n"
            f"                return {self.result}, o\n"
            "        except Exception:\n"
            "            pass\n"
            "        return checked(data, start)\n"
            "    return decode\n"
        )
        return _factory(source)(**self.objects)

    def run(self, run: Sequence[int], trailing: int | None) -> None:
        """Read a run of columns of fixed size and the length of the one that follows, its scale too."""
        code, names, guards, size = ">", [], [], 0
        for place in run:
            kind = self.codecs[place]
            wanted = place in self.wanted
            code += f"i{kind.format}" if wanted else f"i{kind.size}x"
            names += [f"n{place}", f"v{place}"] if wanted else [f"n{place}"]
            guards.append(f"n{place} == {kind.size}")
            size += 4 + kind.size
        scaled = trailing in self.wanted and type(self.codecs[trailing]) is DecimalType
        if trailing is not None:
            code, names, size = code + "i", [*names, "m"], size + 4
        if scaled:
            # Of a null it is not the scale, but what follows; then it is not used.
            code, names = code + "i", [*names, "s"]
        unpack = f"unpack_{run[0] if run else trailing}"
        self.objects[unpack] = struct.Struct(code).unpack_from
        self.lines.append(f"{', '.join(names)}, = {unpack}(data, o)")
        if not run:
            self.lines.append(f"o += {size}")
            return
        self.lines += [f"if {' and '.join(guards)}:", f"    o += {size}"]
        for place in run:
            if place in self.wanted:
                self.lines += [f"    {line}" for line in self.fixed(place)]
        self.lines.append("else:")
        for place in run:
            self.lines += [f"    {line}" for line in self.single(place)]
        if trailing is not None:
            self.lines += ["    m, = unpack_int(data, o)", "    o += 4"]
        if scaled:
            self.lines.append("    s, = unpack_int(data, o)")

    def single(self, place: int) -> list[str]:
        """Read one column of a run in which one is null, empty or of a wrong length."""
        kind = self.codecs[place]
        if place not in self.wanted:
            return ["m, = unpack_int(data, o)", "o += 4 + m if m > 0 else 4"]
        pair, decode = f"pair_{place}", f"decode_{place}"
        self.objects |= {pair: struct.Struct(f">i{kind.format}").unpack_from, decode: kind.decode}
        return [
            f"m, v{place} = {pair}(data, o)",
            f"if m == {kind.size}:",
            f"    o += {4 + kind.size}",
            *(f"    {line}" for line in self.fixed(place)),
            "elif m < 0:",
            "    o += 4",
            f"    v{place} = None",
            "else:",
            f"    v{place} = {decode}(data[o + 4:(o := o + 4 + m)])",
        ]

    def fixed(self, place: int) -> list[str]:
        """Make the value of what the struct gave."""
        kind = self.codecs[place]
        value = f"v{place}"
        if kind.convert is None:
            return []
        if type(kind) in (UUIDType, TimeuuidType):
            self.objects |= _UUID_NAMES
            return [
                f"b = {value}",
                f"{value} = new_object(UUID)",
                f'set_int({value}, from_bytes(b, "big"))',
                f"set_safe({value}, unknown)",
            ]
        if type(kind) is TimestampType:
            # Below 2**32 seconds a float is exact to half a microsecond, so that no millisecond is rounded.
            self.objects |= {
                "from_seconds": datetime.fromtimestamp,
                "utc": timezone.utc,
                "timestamp": make_timestamp,
            }
            return [
                f"{value} = from_seconds({value} / 1000, utc) "
                f"if 0 <= {value} < 4294967296000 else timestamp({value})"
            ]
        self.objects[f"convert_{place}"] = kind.convert
        return [f"{value} = convert_{place}({value})"]

    def variable(self, place: int) -> None:
        """Make the value of the next ``m`` bytes."""
        if place not in self.wanted:
            self.lines += ["if m > 0:", "    o += m"]
            return
        kind = self.codecs[place]
        value = f"v{place}"
        decode = f"decode_{place}"
        part = "data[o:(o := o + m)]"
        if type(kind) is TextType:
            self.lines.append(f"{value} = {part}.decode() if m >= 0 else None")
        elif type(kind) is AsciiType:
            self.lines.append(f'{value} = {part}.decode("ascii") if m >= 0 else None')
        elif type(kind) in (BlobType, CustomType):
            self.lines.append(f"{value} = {part} if m >= 0 else None")
        elif type(kind) is VarintType:
            self.objects |= {"from_bytes": int.from_bytes, decode: kind.decode}
            self.lines += [
                "if m > 0:",
                f'    {value} = from_bytes({part}, "big", signed=True)',
                "else:",
                f"    {value} = {decode}(b'') if m == 0 else None",
            ]
        elif type(kind) is DecimalType:
            self.objects |= {"from_bytes": int.from_bytes, "scaleb": EXACT.scaleb, decode: kind.decode}
            self.lines += [
                "if 5 <= m <= 1024:",
                f'    {value} = scaleb(from_bytes(data[o + 4:(o := o + m)], "big", signed=True), -s)',
                "else:",
                f"    {value} = {decode}({part}) if m >= 0 else None",
            ]
        elif not self.elements(place, kind):
            # A codec of the user's may give null a value of its own.
            null = "None" if isinstance(kind, CQLType) else f"{decode}(None)"
            self.objects[decode] = kind.decode
            self.lines.append(f"{value} = {decode}({part}) if m >= 0 else {null}")

    def elements(self, place: int, kind: Codec) -> bool:
        """Read a list or set of fixed-size elements, if it is one."""
        if type(kind) not in (ListType, SetType):
            return False
        element = unwrap(kind.element)
        read = fixed_elements(element)
        # Sets of floats may hold 0.0 and -0.0, which only their own decode() keeps apart, and 128 bits
        # may be chosen to have one hash.
        if read is None or kind.hashed or (type(kind) is SetType and element.format in ("f", "d", "16s")):
            return False
        make = "list" if type(kind) is ListType else "set"
        values = "f" if element.convert is None else f"map(convert_{place}, f)"
        self.objects |= {f"fixed_{place}": read, f"decode_{place}": kind.decode}
        if element.convert is not None:
            self.objects[f"convert_{place}"] = element.convert
        self.lines += [
            "if m >= 0:",
            "    e = o + m",
            f"    f = fixed_{place}(data, o, e)",
            f"    v{place} = {make}({values}) if f is not None else decode_{place}(data[o:e])",
            "    o = e",
            "else:",
            f"    v{place} = None",
        ]
        return True


_UUID_NAMES = {
    "UUID": UUID,
    "from_bytes": int.from_bytes,
    "new_object": object.__new__,
    "set_int": UUID.__dict__["int"].__set__,
    "set_safe": UUID.__dict__["is_safe"].__set__,
    "unknown": SafeUUID.unknown,
}
