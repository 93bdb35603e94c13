"""The service against its own description: whatever the description allows or forbids is answered as it says.

``NEURAL_RENDER_FUZZ_EXAMPLES`` is how many requests each call gets.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from fuzzing import EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    response_schema_conformance,
    ignored_auth,
]


def test_every_call_answers_as_described(server: Any) -> None:
    """All but the call that ends the server; as described, and in every way otherwise."""
    described = schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json").exclude(path="/v1/shutdown")
    headers = {"Authorization": f"Bearer {server.ready['token']}"}
    calls = [result.ok() for result in described.get_all_operations()]
    assert len(calls) >= 15
    for call in calls:
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=EXAMPLES <= 100,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(call.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

            try:
                ask()
            except Unsatisfiable:
                assert mode.is_negative  # it takes nothing that could be wrong
    assert server.get("/v1/health").ok
