"""Which implementation runs: the compiled twins of two modules, or those in Python.

A build with a C compiler has the twins. The environment variable ``TXCQL_PURE``, when it is set and not
empty, leaves them alone: to find out whether they are at fault, or what they are worth.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["COMPILED", "DecoderClass", "compiled_rows", "compiled_splitting"]

DecoderClass = Any
"""A ``CompiledDecoder``."""

compiled_rows: Any = None
compiled_splitting: Any = None
if not os.environ.get("TXCQL_PURE"):
    try:
        from txcql.wire import compiledrows as compiled_rows, compiledsplitting as compiled_splitting
    except ImportError:
        compiled_rows = compiled_splitting = None

COMPILED: bool = compiled_rows is not None
"""Whether the twins run: decoding rows, splitting what is received into frames, the checksums of headers."""
