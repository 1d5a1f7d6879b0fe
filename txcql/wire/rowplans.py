"""What the compiled decoder of rows is told of their columns, where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from txcql.wire.collectiontypes import ListType, unwrap
from txcql.wire.compiled import DecoderClass, compiled_rows
from txcql.wire.conversions import EXACT
from txcql.wire.cqltypes import Codec
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

__all__ = ["plan_decoder"]

_KINDS: dict[type, str] = {
    AsciiType: "ascii",
    BlobType: "blob",
    CustomType: "blob",
    DecimalType: "decimal",
    TextType: "text",
    TimestampType: "timestamp",
    TimeuuidType: "uuid",
    UUIDType: "uuid",
    VarintType: "varint",
}


def plan_decoder(
    codecs: Sequence[Codec], places: Sequence[int], shape: str, row: Any, checked: Callable[[bytes, int], Any]
) -> DecoderClass:
    """The compiled decoder of rows.

    :param codecs: the types of the columns, without ``frozen`` and ``reversed`` around them.
    :param places: the columns whose values are wanted, each once, in the order of the values.
    :param shape: ``"NOTHING"``, ``"VALUE"``, ``"TUPLE"`` or ``"CALL"``: what becomes of the values.
    :param row: the tuple's class, or what is called with the values, in a tuple.
    :param checked: the plain decoder.
    """
    columns, place_of = [], {index: place for place, index in enumerate(places)}
    for index, codec in enumerate(codecs):
        place = place_of.get(index, -1)
        kind = _kind(codec)
        inner = unwrap(codec.element) if kind == "elements" else codec
        convert = inner.convert if is_fused(inner) else None
        columns.append((_number(kind), _number(_kind(inner)), place, codec.decode, convert))
    made: DecoderClass = compiled_rows.CompiledDecoder(
        columns, getattr(compiled_rows, shape), row, checked, EXACT.scaleb
    )
    return made


def _number(kind: str) -> int:
    """The number of a kind; that of what only the type itself can read, if it has none."""
    found: int = compiled_rows.KINDS.get(kind, compiled_rows.KINDS["other"])
    return found


def _kind(codec: Codec) -> str:
    """What is made of a value of this type."""
    known = _KINDS.get(type(codec))
    if known is not None:
        return known
    if is_fused(codec):
        return str(codec.format if codec.convert is None else f"convert {codec.format}")
    if type(codec) is ListType and not codec.hashed:
        inner = unwrap(codec.element)
        if is_fused(inner) and _kind(inner) in compiled_rows.KINDS:
            return "elements"
    return "other"
