# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of the decoders that rows.py generates: the same rows out of the same bytes.

It reads the page by pointers. Nothing is read that has not been compared with the end of the page first:
a length before its value, and each length and value inside of a list. Whatever is unusual is left to the
type's own ``decode``, and whatever is wrong to the plain decoder, which knows what to say about it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport datetime_new, import_datetime
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from datetime import timezone
from uuid import UUID, SafeUUID

cdef extern from "Python.h":
    object _PyLong_FromByteArray(const unsigned char *data, size_t size, int little_endian, int is_signed)
    void PyObject_GC_Track(object)
    void PyObject_GC_UnTrack(object)

cdef extern from *:
    """
    #define txcql_allocate(type, size) (((PyTypeObject *)(type))->tp_alloc((PyTypeObject *)(type), (size)))
    #define txcql_set_slot(slot, object, value) (Py_TYPE(slot)->tp_descr_set((slot), (object), (value)))
    """
    object txcql_allocate(object type, Py_ssize_t size)
    int txcql_set_slot(object slot, object instance, object value) except -1

import_datetime()

cdef object UTC = timezone.utc
cdef object UUID_INT = UUID.__dict__["int"]
cdef object UUID_SAFE = UUID.__dict__["is_safe"]
cdef object UNKNOWN_SAFETY = SafeUUID.unknown
cdef object new_object = object.__new__

cdef enum Kind:         # what is made of a value; of those up to FIXED, all have one size
    INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOL, UUID16, TIMESTAMP, CONVERTED32, CONVERTED64
    FIXED
    TEXT, ASCII, BLOB, VARINT, DECIMAL, ELEMENTS, OTHER

KINDS = {
    "b": INT8, "h": INT16, "i": INT32, "q": INT64, "f": FLOAT32, "d": FLOAT64, "?": BOOL, "uuid": UUID16,
    "timestamp": TIMESTAMP, "convert I": CONVERTED32, "convert q": CONVERTED64, "text": TEXT, "ascii": ASCII,
    "blob": BLOB, "varint": VARINT, "decimal": DECIMAL, "elements": ELEMENTS, "other": OTHER,
}  # fmt: skip
NOTHING, VALUE, TUPLE, CALL = range(4)
"""What is made of the values of a row: nothing, the only one, a tuple (or subclass), what a function makes."""

cdef Py_ssize_t *SIZES = [1, 2, 4, 8, 4, 8, 1, 16, 8, 4, 8]    # in bytes, of those up to FIXED

cdef struct Column:
    int kind
    int element         # the kind of a list's elements
    Py_ssize_t size     # of a value of one size; of such an element
    Py_ssize_t place    # of the value among those wanted; -1 if it is skipped


cdef inline uint64_t big_endian(const uint8_t *at, Py_ssize_t size) noexcept:
    cdef uint64_t value = 0
    cdef Py_ssize_t index
    for index in range(size):
        value = value << 8 | at[index]
    return value


cdef inline object fixed(int kind, const uint8_t *at, object convert):
    """A value of one size, all of which is there."""
    cdef uint64_t bits
    cdef uint32_t half_bits
    cdef double number
    cdef float single
    if kind == INT32:
        return <int32_t>big_endian(at, 4)
    if kind == INT64:
        return <int64_t>big_endian(at, 8)
    if kind == FLOAT64:
        bits = big_endian(at, 8)
        memcpy(&number, &bits, 8)
        return number
    if kind == BOOL:
        return at[0] != 0
    if kind == UUID16:
        value = new_object(UUID)    # as conversions.make_uuid
        txcql_set_slot(UUID_INT, value, _PyLong_FromByteArray(at, 16, 0, 0))
        txcql_set_slot(UUID_SAFE, value, UNKNOWN_SAFETY)
        return value
    if kind == TIMESTAMP:
        return make_timestamp(<int64_t>big_endian(at, 8), convert)
    if kind == INT16:
        return <int16_t>big_endian(at, 2)
    if kind == INT8:
        return <int8_t>at[0]
    if kind == FLOAT32:
        half_bits = <uint32_t>big_endian(at, 4)
        memcpy(&single, &half_bits, 4)
        return <double>single
    if kind == CONVERTED32:
        return convert(<uint32_t>big_endian(at, 4))
    return convert(<int64_t>big_endian(at, 8))


cdef object make_timestamp(int64_t milliseconds, object otherwise):
    """As ``conversions.make_timestamp``, which is asked outside of 1970 to 9999."""
    cdef int64_t day, rest, era, of_era, year, of_year, month
    if not 0 <= milliseconds < 253402300800000:
        return otherwise(milliseconds)
    day = milliseconds // 86400000 + 719468         # since 1 March of the year 0
    rest = milliseconds % 86400000
    era = day // 146097
    of_era = day % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153                # 0 is March
    day = of_year - (153 * month + 2) // 5 + 1
    year += era * 400 + (month >= 10)
    month = month + 3 if month < 10 else month - 9
    return datetime_new(
        year, month, day, rest // 3600000, rest // 60000 % 60, rest // 1000 % 60, rest % 1000 * 1000, UTC
    )


cdef class CompiledDecoder:
    """Decodes rows: called with bytes and an offset, it gives the row and the offset of the next one.

    Its arguments are those of ``rowplans.plan_decoder``. For each column there are its kind, that of its
    elements, the place of its value (-1: it is skipped), and ``decode`` and ``convert`` of its type.
    """

    cdef Column *columns
    cdef Py_ssize_t count, wanted
    cdef int shape
    cdef object row, checked, scaleb
    cdef list decodes, converts

    def __cinit__(self, list columns, int shape, object row, object checked, object scaleb):
        self.count = len(columns)
        self.columns = <Column *>PyMem_Calloc(self.count + 1, sizeof(Column))
        if self.columns == NULL:
            raise MemoryError
        self.shape, self.row, self.checked, self.scaleb = shape, row, checked, scaleb
        self.decodes, self.converts = [], []
        places = []
        for index, (kind, element, place, decode, convert) in enumerate(columns):
            sized = element if kind == ELEMENTS else kind
            if not 0 <= kind <= OTHER or sized < 0 or (kind == ELEMENTS and element >= FIXED):
                raise ValueError(f"no kinds {kind} and {element}")
            self.columns[index] = Column(kind, element, SIZES[<int>sized] if sized < FIXED else 0, place)
            self.decodes.append(decode)
            self.converts.append(convert)
            if place >= 0:
                places.append(place)
        self.wanted = len(places)
        if sorted(places) != list(range(self.wanted)) or (shape == VALUE and self.wanted != 1) or (
            shape == TUPLE and not issubclass(row, tuple)
        ):
            raise ValueError(f"values for the places {places} of {row!r}")

    def __dealloc__(self):
        PyMem_Free(self.columns)

    def __call__(self, data, Py_ssize_t start):
        cdef Py_ssize_t after = start
        if PyBytes_CheckExact(data) and 0 <= start <= PyBytes_GET_SIZE(data):
            try:
                row = self.read(data, &after)
                if after >= 0:
                    return row, after
            except Exception:
                pass
        return self.checked(data, start)

    cdef object read(self, object data, Py_ssize_t *position):
        """One row; the position moves behind it. At -1 the page ends within the row, and there is none."""
        cdef const uint8_t *page = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(data), offset = position[0], index
        cdef int32_t length
        cdef Column *column
        cdef object values = None, value
        if self.shape == TUPLE and self.row is not tuple:
            # Nobody is to find it before it is full.
            values = txcql_allocate(self.row, self.wanted)
            PyObject_GC_UnTrack(values)
        elif self.shape != NOTHING:
            values = PyTuple_New(self.wanted)
        position[0] = -1
        for index in range(self.count):
            if end - offset < 4:
                return None
            length = <int32_t>big_endian(page + offset, 4)
            offset += 4
            if length > end - offset:
                return None
            column = self.columns + index
            if column.place >= 0:
                value = self.value(column, index, page + offset, length)
                Py_INCREF(value)
                PyTuple_SET_ITEM(values, column.place, value)
            if length > 0:
                offset += length
        position[0] = offset
        if self.shape == TUPLE and self.row is not tuple:
            PyObject_GC_Track(values)
        elif self.shape == VALUE:
            return values[0]
        return self.row(values) if self.shape == CALL else values

    cdef inline object value(self, Column *column, Py_ssize_t index, const uint8_t *at, int32_t length):
        """The value of a column, of whose bytes so many are there; below 0 it is null."""
        cdef int kind = column.kind
        if length < 0:
            # A codec of the user's may give null a value of its own.
            return self.decodes[index](None) if kind == OTHER else None
        if kind < FIXED:
            if length == column.size:
                return fixed(kind, at, <object>self.converts[index])
        elif kind == TEXT:
            return PyUnicode_DecodeUTF8(<const char *>at, length, NULL)
        elif kind == DECIMAL:
            if 5 <= length <= 1024:
                return self.scaleb(
                    _PyLong_FromByteArray(at + 4, length - 4, 0, 1), -<int64_t><int32_t>big_endian(at, 4)
                )
        elif kind == ELEMENTS:
            value = self.elements(column, index, at, length)
            if value is not None:
                return value
        elif kind == ASCII:
            return PyUnicode_DecodeASCII(<const char *>at, length, NULL)
        elif kind == BLOB:
            return PyBytes_FromStringAndSize(<const char *>at, length)
        elif kind == VARINT and length > 0:
            return _PyLong_FromByteArray(at, length, 0, 1)
        return self.decodes[index](PyBytes_FromStringAndSize(<const char *>at, length))

    cdef object elements(self, Column *column, Py_ssize_t index, const uint8_t *at, int32_t length):
        """A list of elements of one size; ``None`` for nulls, other sizes, too many or too few bytes."""
        cdef Py_ssize_t count, number, stride = 4 + column.size
        if length < 4:
            return None
        count = <int32_t>big_endian(at, 4)
        if count < 0 or count * stride != length - 4:
            return None
        at += 4
        values = PyList_New(count)
        for number in range(count):
            if <int32_t>big_endian(at, 4) != column.size:
                return None
            value = fixed(column.element, at + 4, <object>self.converts[index])
            Py_INCREF(value)
            PyList_SET_ITEM(values, number, value)
            at += stride
        return values


cdef class CompiledRows:
    """The rows of one page: as ``rows.RowIterator``; of a bad one, ``RowDecoder.failed`` tells what to raise."""

    cdef CompiledDecoder decoder
    cdef object data, failed
    cdef Py_ssize_t offset, count, left

    def __init__(self, CompiledDecoder decoder, bytes data, Py_ssize_t offset, Py_ssize_t count, failed):
        self.decoder, self.data, self.failed = decoder, data, failed
        self.offset, self.count, self.left = offset, count, count

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t after = self.offset
        if self.left <= 0:
            self.data = b""
            raise StopIteration
        self.left -= 1
        try:
            if 0 <= self.offset <= PyBytes_GET_SIZE(self.data):
                row = self.decoder.read(self.data, &after)
                if after >= 0:
                    self.offset = after
                    return row
        except Exception:
            pass
        try:
            row, self.offset = self.decoder.checked(self.data, self.offset)
            return row
        except Exception as error:
            raised, after_it = self.failed(error, self.count - self.left, self.data, self.offset)
            if after_it is None:
                self.left = 0
            else:
                self.offset = after_it
            raise raised from error.__cause__
