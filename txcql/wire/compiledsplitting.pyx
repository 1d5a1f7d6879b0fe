# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twin of splitting.py and of the checksum of segment headers: the same frames and numbers.

It reads the received bytes by pointers, and only where it has seen that they are there.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t

from txcql.wire.splitting import Frame

cdef extern from *:
    """
    #define txcql_allocate(type, size) (((PyTypeObject *)(type))->tp_alloc((PyTypeObject *)(type), (size)))
    """
    object txcql_allocate(object type, Py_ssize_t size)

cdef enum:
    HEADER_SIZE = 9
    COMPRESSED = 1      # the flag
    RESPONSE = 0x80

cdef object FRAME = Frame


cdef inline void put(object frame, Py_ssize_t place, object value):
    Py_INCREF(value)
    PyTuple_SET_ITEM(frame, place, value)


cdef class FrameSplitter:
    """As ``splitting.FrameSplitter``, which see."""

    cdef public bytes _data
    cdef public Py_ssize_t _offset
    cdef public int version, _expected
    cdef public long long max_frame_size

    def __init__(self, int version, long long max_frame_size):
        self.version = version
        self.max_frame_size = max_frame_size
        self._expected = version | RESPONSE
        self._data = b""
        self._offset = 0

    def next_frame(self):
        """As there."""
        cdef const uint8_t *header
        cdef Py_ssize_t size, start, missing
        cdef int32_t length
        cdef bytes body
        while True:
            size = PyBytes_GET_SIZE(self._data)
            if not 0 <= self._offset <= size:
                raise IndexError("the offset is outside of the data")
            if size - self._offset >= HEADER_SIZE:
                header = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._offset
                length = <int32_t>(
                    <uint32_t>header[5] << 24 | <uint32_t>header[6] << 16 | <uint32_t>header[7] << 8 | header[8]
                )
                if length < 0 or length > self.max_frame_size or header[0] != self._expected:
                    self.check_header(self._data[self._offset:], header[0], length)
                start = self._offset + HEADER_SIZE
                if size - start >= length:
                    body = PyBytes_FromStringAndSize(<const char *>header + HEADER_SIZE, length)
                    self._offset = start + length
                    frame = make_frame(header, body)
                    if header[1] & COMPRESSED and header[0] & 0x7F != 5:
                        body = self.decompressed(body, header[0], frame[2])
                        return frame._replace(body=body)
                    return frame
                missing = start + length - size
            else:
                missing = HEADER_SIZE - (size - self._offset)
            found = self.more(missing)
            if found is not True:
                return found


cdef object make_frame(const uint8_t *header, bytes body):
    frame = txcql_allocate(FRAME, 5)
    put(frame, 0, header[0])
    put(frame, 1, header[1])
    put(frame, 2, <int16_t>(<uint32_t>header[2] << 8 | header[3]))
    put(frame, 3, header[4])
    put(frame, 4, body)
    return frame


def crc24(const uint8_t[::1] header not None):
    """As ``checksums.crc24``."""
    cdef uint32_t crc = 0x875060
    cdef Py_ssize_t index
    cdef int bit
    for index in range(header.shape[0]):
        crc ^= <uint32_t>header[index] << 16
        for bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1974F0B
    return crc
