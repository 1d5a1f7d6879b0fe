"""Bytes to values and back: frames, messages, CQL types and rows; it knows no socket and no clock."""

from txcql.wire.compiled import COMPILED
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.responses import decode_response
from txcql.wire.typeoptions import read_type

__all__ = ["COMPILED", "Frame", "FrameCodec", "decode_response", "read_type"]
