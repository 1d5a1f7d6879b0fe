"""Values as ``INSERT … JSON`` wants them, where that is not what they are called in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from txcql.session.jsonlines import json_lines
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, SetType, VectorType
from txcql.wire.fieldtypes import TupleType, UDTType

__all__ = ["Converter", "converter", "json_key"]

Converter = Callable[[Any], Any]


def json_key(name: str) -> str:
    """The name of a column or a field as the server's JSON has it: one with capitals is in quotes."""
    return name if name == name.lower() else f'"{name}"'


def converter(kind: Any) -> Converter | None:
    """What makes the values of a CQL type fit: those with user-defined types in them get the fields' own
    names.

    :param kind: the type, a codec of :mod:`txcql.wire`.
    :returns: gives ``None`` for null; ``None`` in place of it if nothing is to be done.
    """
    if isinstance(kind, FrozenType):
        return converter(kind.inner)
    if isinstance(kind, UDTType):
        names = [json_key(name) for name in kind.field_names]
        fields = [converter(inner) or _same for inner in kind.types]
        return _of(
            lambda value: {
                name: convert(item) for name, convert, item in zip(names, fields, value, strict=False)
            }
        )
    if isinstance(kind, TupleType):
        inners = [converter(inner) for inner in kind.types]
        if not any(inners):
            return None
        items = [inner or _same for inner in inners]
        return _of(lambda value: [convert(item) for convert, item in zip(items, value, strict=False)])
    if isinstance(kind, ListType | SetType | VectorType):
        inner = converter(kind.element)
        return None if inner is None else _of(lambda value: [inner(item) for item in value])
    if isinstance(kind, MapType):
        return _map_converter(converter(kind.key), converter(kind.value))
    return None


def _map_converter(key: Converter | None, value: Converter | None) -> Converter | None:
    if key is None and value is None:
        return None
    convert_key, convert_value = key or _same, value or _same

    def convert(pairs: Any) -> Any:
        items = pairs.items() if hasattr(pairs, "items") else pairs
        return {_key_text(convert_key(key)): convert_value(item) for key, item in items}

    return _of(convert)


def _key_text(key: Any) -> str:
    """A key of a map: text is itself, all else the JSON of it."""
    plain = json.loads(json_lines((key,)))[0]
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _of(convert: Converter) -> Converter:
    return lambda value: None if value is None else convert(value)


def _same(value: Any) -> Any:
    return value
