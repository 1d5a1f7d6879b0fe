"""Programs of users, for the type checker: what is right passes, what is wrong does not.

They are checked by mypy, with all of ``--strict``, in tox's ``lint``. In ``wronguse`` each mistake is on
a line that expects its error: were it accepted, the comment would be an unused one, which is an error.
"""
