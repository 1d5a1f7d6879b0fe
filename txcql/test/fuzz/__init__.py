"""A fuzzer: mutated exchanges against the codec, and against whole sessions in memory.

By hand, for hours: ``python -m txcql.test.fuzz wire --hours 4``; see :mod:`txcql.test.fuzz.__main__`.
Every input follows from a seed, which is told with whatever is found.
"""
