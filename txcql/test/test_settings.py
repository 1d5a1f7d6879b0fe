"""Tests for :mod:`txcql.settings`."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.settings import Settings


class SettingsTests(SynchronousTestCase):
    """Checked when they are made."""

    def test_defaults(self) -> None:
        """Those of the documentation."""
        settings = Settings()
        self.assertEqual(
            {
                "consistency": settings.consistency,
                "page_size": settings.page_size,
                "max_requests_per_connection": settings.max_requests_per_connection,
                "connect_timeout": settings.connect_timeout,
                "read_timeout": settings.read_timeout,
                "request_timeout": settings.request_timeout,
                "ddl_timeout": settings.ddl_timeout,
                "schema_agreement_timeout": settings.schema_agreement_timeout,
                "max_request_bytes": settings.max_request_bytes,
                "max_orphans_per_connection": settings.max_orphans_per_connection,
            },
            {
                "consistency": "LOCAL_QUORUM",
                "page_size": 5000,
                "max_requests_per_connection": 1024,
                "connect_timeout": 5.0,
                "read_timeout": 5.0,
                "request_timeout": 10.0,
                "ddl_timeout": 30.0,
                "schema_agreement_timeout": 10.0,
                "max_request_bytes": 16 << 20,
                "max_orphans_per_connection": 256,
            },
        )

    def test_frozen(self) -> None:
        """Nobody changes them behind a session's back."""
        with self.assertRaises(FrozenInstanceError):
            Settings().page_size = 5  # type: ignore[misc]

    def test_password(self) -> None:
        """It is in no repr, and in no error."""
        self.assertNotIn("geheim", repr(Settings(username="app", password="geheim")))
        with self.assertRaisesRegex(
            TypeError, "^password must be a str, or a callable that gives one, got bytes$"
        ):
            Settings(username="app", password=b"geheim")  # type: ignore[arg-type]

    def test_marks(self) -> None:
        """Floors of the shares, but never below 1."""
        for most, high, low, expected in (
            (1024, 0.8, 0.5, (819, 512)),
            (10, 0.8, 0.5, (8, 5)),
            (1, 0.8, 0.5, (1, 1)),
            (3, 1, 1, (3, 3)),
            (32767, 0.1, 0.00001, (3276, 1)),
        ):
            settings = Settings(max_requests_per_connection=most, high_watermark=high, low_watermark=low)
            self.assertEqual((settings.high_mark, settings.low_mark), expected)

    def test_continuous_release(self) -> None:
        """The low mark is the high mark."""
        settings = Settings(release="continuous")
        self.assertEqual((settings.high_mark, settings.low_mark), (819, 819))
        self.refuse(ValueError, "release must be one of 'hysteresis', 'continuous'", release="none")

    def refuse(self, kind: type[Exception], text: str, **values: Any) -> None:
        with self.assertRaisesRegex(kind, text):
            Settings(**values)

    def test_marks_refused(self) -> None:
        """0 < low <= high <= 1."""
        for low, high in ((0, 0.5), (0.6, 0.5), (0.5, 1.1), (-1, 0.5), (float("nan"), 0.5)):
            self.refuse(
                ValueError, "0 < low_watermark <= high_watermark <= 1", low_watermark=low, high_watermark=high
            )
        for value in ("0.5", None, True):
            self.refuse(TypeError, "high_watermark must be a share, got", high_watermark=value)

    def test_choices(self) -> None:
        """One of those there are; the text lists them."""
        cases: dict[str, tuple[Any, ...]] = {
            "protocol_version": (2, 6, "5", 4.0, True),
            "compression": ("gzip", b"lz4", True),
            "consistency": ("quorum", None, 1, []),
            "serial_consistency": ("QUORUM", 8),
            "stream_allocation": ("random", None),
        }
        for name, values in cases.items():
            for value in values:
                self.refuse(ValueError, f"^{name} must be one of .*, got ", **{name: value})
        self.refuse(ValueError, "row_factory", row_factory="list")

    def test_counts(self) -> None:
        """Whole numbers in their range."""
        for name in (
            "page_size",
            "core_connections",
            "max_requests_per_connection",
            "max_orphans_per_connection",
            "max_request_bytes",
            "read_buffer_size",
            "write_buffer_size",
            "max_frame_size",
            "prepared_cache_size",
        ):
            for value in (0, -1, 1 << 31):
                self.refuse(ValueError, f"^{name} must be in 1\\.\\.", **{name: value})
            for wrong in (1.0, "1", None, True):
                self.refuse(TypeError, f"^{name} must be an int, got ", **{name: wrong})
        self.refuse(ValueError, "must be in 1..32767, got 32768", max_requests_per_connection=32768)

    def test_seconds(self) -> None:
        """Positive, and not for ever."""
        for name in (
            "connect_timeout",
            "read_timeout",
            "request_timeout",
            "ddl_timeout",
            "schema_agreement_timeout",
        ):
            for value in (0, -1.0, float("inf"), float("nan")):
                self.refuse(ValueError, f"^{name} must be a positive number of seconds", **{name: value})
            for wrong in ("1", None, True):
                self.refuse(TypeError, f"^{name} must be a number of seconds", **{name: wrong})

    def test_texts(self) -> None:
        """Names are str."""
        for name in ("username", "local_datacenter", "application_name"):
            self.refuse(TypeError, f"^{name} must be a str, got 5", **{name: 5})

    def test_login(self) -> None:
        """Both or neither; or an authenticator."""
        self.refuse(ValueError, "username and password go together", username="app")
        self.refuse(ValueError, "username and password go together", password="x")
        self.refuse(TypeError, "authenticator must be a callable", authenticator=5)
        self.refuse(ValueError, "not both", authenticator=object, username="app", password="x")

    def test_snappy(self) -> None:
        """Protocol 5 has none."""
        self.refuse(ValueError, "protocol 5 has no Snappy", compression="snappy", protocol_version=5)
        Settings(compression="snappy", protocol_version=4)

    def test_policies(self) -> None:
        """They provide their interfaces; a class is not an instance of itself."""
        Settings(load_balancing=RoundRobinPolicy(), reconnection=ExponentialReconnectionPolicy())
        self.refuse(
            TypeError, "load_balancing must provide ILoadBalancingPolicy", load_balancing=RoundRobinPolicy
        )
        self.refuse(TypeError, "reconnection must provide IReconnectionPolicy", reconnection=[1, 2])

    def test_names(self) -> None:
        """All of them."""
        self.assertIn("page_size", Settings.names())
        self.assertEqual(len(set(Settings.names())), len(Settings.names()))
