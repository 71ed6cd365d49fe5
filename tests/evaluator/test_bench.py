"""The benchmark of the gateway: that it measures calls, plain and streamed; how fast they are is nobody's test."""

import asyncio

import pytest

from evaluator import bench


def test_what_the_gateway_adds_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CONCURRENCY", (2,))
    costs = asyncio.run(bench.gateway_costs(0.2))
    assert [(cost.streamed, cost.concurrency) for cost in costs] == [(False, 2), (True, 2)]
    for cost in costs:
        assert cost.calls >= 2 and 0 < cost.gateway_p50_ms <= cost.gateway_p99_ms
        assert cost.kept == cost.gateway_per_s / cost.direct_per_s
        assert cost.added_p99_ms == cost.gateway_p99_ms - cost.direct_p99_ms
