from collections.abc import Callable, Iterator
from typing import Any

KINDS: dict[str, int]
NOTHING: int
VALUE: int
TUPLE: int
CALL: int

class CompiledDecoder:
    def __init__(
        self,
        columns: list[tuple[int, int, int, Any, Any]],
        shape: int,
        row: Any,
        checked: Callable[[bytes, int], tuple[Any, int]],
        scaleb: Any,
    ) -> None: ...
    def __call__(self, data: bytes, start: int) -> tuple[Any, int]: ...

class CompiledRows(Iterator[Any]):
    def __init__(
        self, decoder: CompiledDecoder, data: bytes, offset: int, count: int, failed: Callable[..., Any]
    ) -> None: ...
    def __next__(self) -> Any: ...
