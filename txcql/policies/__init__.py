"""The default implementations of what an application may replace: see :mod:`txcql.interfaces`."""

from txcql.policies.adaptivelimit import AdaptiveLimitPolicy
from txcql.policies.addresstranslation import FixedAddressTranslator, SubnetAddressTranslator
from txcql.policies.circuitbreaker import CircuitBreakerPolicy
from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.loadbalancing import RoundRobinPolicy, WrappingPolicy
from txcql.policies.nodefilters import AllowListPolicy, DenyListPolicy, FilterPolicy
from txcql.policies.percentilespeculation import PercentileSpeculativeExecutionPolicy
from txcql.policies.poweroftwo import PowerOfTwoPolicy
from txcql.policies.rackaware import RackAwarePolicy
from txcql.policies.reconnection import ConstantReconnectionPolicy, ExponentialReconnectionPolicy
from txcql.policies.retry import (
    IGNORE,
    NEXT_NODE,
    RAISE,
    SAME_NODE,
    DefaultRetryPolicy,
    DowngradingRetryPolicy,
    FallthroughRetryPolicy,
    RetryDecision,
)
from txcql.policies.retrybudget import RetryBudgetPolicy
from txcql.policies.slownodes import SlowNodesLastPolicy
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy, NoSpeculativeExecutionPolicy
from txcql.policies.timestamps import MonotonicTimestampGenerator, ServerSideTimestampGenerator
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = [
    "IGNORE",
    "NEXT_NODE",
    "RAISE",
    "SAME_NODE",
    "AdaptiveLimitPolicy",
    "AllowListPolicy",
    "CircuitBreakerPolicy",
    "ConstantReconnectionPolicy",
    "ConstantSpeculativeExecutionPolicy",
    "DCAwarePolicy",
    "DefaultRetryPolicy",
    "DenyListPolicy",
    "DowngradingRetryPolicy",
    "ExponentialReconnectionPolicy",
    "FallthroughRetryPolicy",
    "FilterPolicy",
    "FixedAddressTranslator",
    "MonotonicTimestampGenerator",
    "NoSpeculativeExecutionPolicy",
    "PercentileSpeculativeExecutionPolicy",
    "PowerOfTwoPolicy",
    "RackAwarePolicy",
    "RetryBudgetPolicy",
    "RetryDecision",
    "RoundRobinPolicy",
    "ServerSideTimestampGenerator",
    "SlowNodesLastPolicy",
    "SubnetAddressTranslator",
    "TokenAwarePolicy",
    "WrappingPolicy",
]
