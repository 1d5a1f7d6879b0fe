"""What the statements of the suite look like, and how the answer to one is written down."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from txcql.errors import EncodeError, ServerError
from txcql.test.conformance.wireclient import WireClient
from txcql.wire.responses import Prepared, Rows, SchemaChanged, SetKeyspace

__all__ = ["Answer", "Asked", "Chapter", "ask", "comparable", "is_refusal", "run_chapter"]

Answer = dict[str, Any]

MOST_PAGES = 100
MOST_TRIES = 50
SIMPLE = "{'class': 'SimpleStrategy', 'replication_factor': 1}"


@dataclass(frozen=True)
class Asked:
    """One statement.

    :ivar parameters: values for its markers; it is prepared and executed if there are any, and prepared
        if ``None`` stands for them.
    :ivar options: of the request, such as ``page_size``.
    :ivar batch: the statements of a BATCH request, instead of a text.
    :ivar vague: whether only the shape of its rows can be compared, as in ``now()``.
    """

    text: str
    parameters: Sequence[Any] | None = ()
    options: dict[str, Any] = field(default_factory=dict)
    batch: Sequence[tuple[str, Sequence[Any]]] = ()
    vague: bool = False


def ask(text: str, *parameters: Any, vague: bool = False, prepare: bool = False, **options: Any) -> Asked:
    """A statement with parameters, or options of its request."""
    return Asked(text, None if prepare else parameters, options, vague=vague)


@dataclass(frozen=True)
class Chapter:
    """Statements that follow each other in a keyspace of their own."""

    name: str
    statements: Sequence[str | Asked]

    def asked(self) -> list[Asked]:
        """All of its statements in one form."""
        return [Asked(item) if isinstance(item, str) else item for item in self.statements]


def run_chapter(client: WireClient, chapter: Chapter) -> list[Answer]:
    """Run the statements of a chapter in a new keyspace, which is dropped in the end.

    :returns: what each was answered.
    """
    keyspace = f"conf_{uuid.uuid4().hex[:12]}"
    client.query(f"CREATE KEYSPACE {keyspace} WITH replication = {SIMPLE}")
    client.query(f"USE {keyspace}")
    try:
        return [_masked(_answer(client, asked, keyspace), keyspace) for asked in chapter.asked()]
    finally:
        client.query(f"DROP KEYSPACE {keyspace}")


def _answer(client: WireClient, asked: Asked, keyspace: str) -> Answer:
    text = re.sub(r"\bKS\b", keyspace, asked.text)
    answer = _once(client, asked, text)
    for _ in range(MOST_TRIES):
        if answer.get("error") != "ReadFailure":
            break
        # A real node builds an index after it has answered.
        time.sleep(0.1)
        answer = _once(client, asked, text)
    return answer


def _once(client: WireClient, asked: Asked, text: str) -> Answer:
    try:
        if asked.batch:
            return _result(client.batch(text, asked.batch, **asked.options), asked)
        if asked.parameters == ():
            return _pages(client, asked, lambda **paging: client.query(text, **asked.options, **paging))
        prepared = client.prepare(text)
        if asked.parameters is None:
            return _prepared(prepared)
        values = asked.parameters
        found = _pages(
            client, asked, lambda **paging: client.execute(prepared, values, **asked.options, **paging)
        )
        return {**_prepared(prepared), **found}
    except ServerError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except (EncodeError, ValueError) as error:
        return {"encode": str(error)}


def _pages(client: WireClient, asked: Asked, request: Any) -> Answer:
    answer = request()
    found = _result(answer, asked)
    if not asked.options.get("page_size"):
        return found
    pages = [len(found["rows"])]
    while answer.paging_state is not None and len(pages) < MOST_PAGES:
        answer = request(paging_state=answer.paging_state)
        more = _result(answer, asked)
        found["rows"] += more["rows"]
        pages.append(len(more["rows"]))
    return {**found, "pages": pages}


def _result(answer: Any, asked: Asked) -> Answer:
    warnings = list(answer.prefixes.warnings or ())
    found: Answer = {"warnings": warnings} if warnings else {}
    if isinstance(answer, Rows):
        rows = [[_shown(value) for value in row] for row in answer.rows]
        found["columns"] = _columns(answer.columns or ())
        found["rows"] = [len(rows)] if asked.vague else rows
    elif isinstance(answer, SchemaChanged):
        change = answer.change
        found["schema"] = [change.change, change.target, change.name]
    elif isinstance(answer, SetKeyspace):
        found["keyspace"] = answer.keyspace
    else:
        found["void"] = True
    return found


def _shown(value: Any) -> str:
    """A value as text; what has no order in Python, in one order."""
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_shown, value))) + "}"
    return repr(value)


def _prepared(prepared: Prepared) -> Answer:
    return {
        "parameters": _columns(prepared.parameters),
        "key": list(prepared.partition_key or ()),
        "result": _columns(prepared.columns or ()),
    }


def _columns(columns: Sequence[Any]) -> list[str]:
    return [f"{column.table}.{column.name} {column.type.name}" for column in columns]


def _masked(answer: Any, keyspace: str) -> Any:
    """The answer without the name of this run's keyspace."""
    if isinstance(answer, dict):
        return {key: _masked(value, keyspace) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_masked(value, keyspace) for value in answer]
    return answer.replace(keyspace, "KS") if isinstance(answer, str) else answer


def comparable(answer: Answer) -> Answer:
    """What is compared of an answer: all of it, but for the wording of a few errors.

    Where a text is no CQL or no JSON, real nodes tell of their parsers' states; and they list the signatures
    of a function in the order of a hash table.
    """
    message = answer.get("message")
    if message is None:
        if "columns" in answer:
            # A node calls both by the name that it was first asked for, with an argument of that type.
            columns = [name.replace("system.to_json(", "system.tojson(") for name in answer["columns"]]
            return {**answer, "columns": columns}
        return answer
    if answer["error"] == "CQLSyntaxError":
        message = ""
    message = message.partition(" (known type signatures")[0]
    if message.startswith("Could not decode JSON"):
        message = "Could not decode JSON"
    return {**answer, "message": message}


def is_refusal(answer: Answer) -> bool:
    """Whether it says that the fake does not know this."""
    return "not supported by txcql.testing" in answer.get("message", "")
