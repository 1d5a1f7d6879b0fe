"""The Request Queue: what has been accepted and waits for a link."""

from __future__ import annotations

from collections import OrderedDict

from txcql.connection.pendingrequest import PendingRequest

__all__ = ["RequestQueue"]


class RequestQueue:
    """First in, first out; any request can be withdrawn in constant time.

    Its bounds are the pool's, which counts what is sent and what is queued together.

    :ivar requests: those that are queued, oldest first; to be looked at only.
    :ivar request_bytes: bodies queued, in bytes.
    """

    __slots__ = ("request_bytes", "requests")

    def __init__(self) -> None:
        # An OrderedDict: taking the first of a plain dict again and again costs more each time.
        self.requests: OrderedDict[PendingRequest, None] = OrderedDict()
        self.request_bytes = 0

    def __len__(self) -> int:
        return len(self.requests)

    def append(self, request: PendingRequest) -> None:
        """Put a request at the tail; the queue is its holder from here on."""
        request.holder = self
        self.requests[request] = None
        self.request_bytes += request.size

    def popleft(self) -> PendingRequest:
        """Take the request at the head.

        :raises KeyError: the queue is empty.
        """
        request, _ = self.requests.popitem(last=False)
        request.holder = None
        self.request_bytes -= request.size
        return request

    def withdraw(self, request: PendingRequest) -> None:
        """Forget a request: it will not be sent."""
        del self.requests[request]
        self.request_bytes -= request.size

    def clear(self) -> list[PendingRequest]:
        """Take all requests, oldest first."""
        requests = list(self.requests)
        self.requests.clear()
        self.request_bytes = 0
        for request in requests:
            request.holder = None
        return requests

    def __repr__(self) -> str:
        return f"<RequestQueue queued={len(self)} bytes={self.request_bytes}>"
