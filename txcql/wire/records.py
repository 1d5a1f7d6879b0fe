"""Classes with named fields, for rows, user-defined types and parameters: dataclasses, attrs, any other.

A class is asked for its signature once; after that its instances are made by keywords.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from txcql.wire.aliases import clean_names

__all__ = ["attribute_names", "field_values", "keywords_for"]


def keywords_for(kind: Callable[..., Any], names: Sequence[str], what: str) -> tuple[str, ...]:
    """Give the keyword by which a class takes each of some named values.

    A value's keyword is its name or, where the class has no such parameter, its clean
    alias: ``class`` is given as ``class_``.

    :param kind: a dataclass, an attrs class, a named tuple, or anything else that takes keywords.
    :param what: what the values are: ``"column"``.
    :raises TypeError: naming the values that the class does not take, and the parameters that
        no value is for.
    """
    title = getattr(kind, "__qualname__", None) or repr(kind)
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError:
        # Some classes written in C do not tell; they will say by themselves what they do not like.
        return clean_names(names)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = {
        parameter.name: parameter.default is parameter.empty
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    pairs = zip(names, clean_names(names), strict=True)
    keywords = tuple(name if name in known else alias for name, alias in pairs)
    problems = []
    if not open_ended:
        extra = [name for name, word in zip(names, keywords, strict=True) if word not in known]
        if extra:
            problems.append(f"it takes no {what} {_quoted(extra)}")
    missing = [word for word, needed in known.items() if needed and word not in keywords]
    if missing:
        problems.append(f"there is no {what} {_quoted(missing)}")
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty
    ]
    if missing:
        problems.append(f"it takes {_quoted(missing)} by position only")
    if len(set(keywords)) != len(keywords):
        problems.append(f"two of them mean the same: {_quoted(keywords)}")
    if problems:
        raise TypeError(f"{title} cannot be made of the {what}s {_quoted(names)}: {'; '.join(problems)}")
    return keywords


def attribute_names(kind: Callable[..., Any], keywords: Sequence[str]) -> tuple[str, ...]:
    """Give the attributes of an instance that hold what was given by some keywords.

    They differ in attrs classes only, whose ``_secret`` is given as ``secret``.
    """
    attributes = getattr(kind, "__attrs_attrs__", ())
    names = {_attrs_keyword(attribute): attribute.name for attribute in attributes}
    return tuple(names.get(keyword, keyword) for keyword in keywords)


def field_values(instance: object) -> dict[str, Any] | None:
    """Give the fields of an instance of a dataclass or an attrs class; ``None`` if it is none."""
    kind = type(instance)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(instance, field.name) for field in dataclasses.fields(kind)}
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is None:
        return None
    return {_attrs_keyword(attribute): getattr(instance, attribute.name) for attribute in attributes}


def _attrs_keyword(attribute: Any) -> str:
    # Before attrs 22.2 the alias is a rule, and no attribute.
    alias: str | None = getattr(attribute, "alias", None)
    return attribute.name.lstrip("_") if alias is None else alias


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"
