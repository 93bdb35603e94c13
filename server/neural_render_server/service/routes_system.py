"""Health, methods, clients, shutdown."""

from __future__ import annotations

import os
from typing import Any

import psutil
from fastapi import APIRouter

from .. import __version__
from . import API_VERSION
from .context import Context
from .device import resident_bytes
from .schemas import Accepted, Client, Health, Methods


def system_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["server"])

    @router.get("/health", response_model=Health)
    def health() -> dict[str, Any]:
        """Who answers, on which device, how busy."""
        memory = psutil.virtual_memory()
        return {
            "name": "neural-render-server",
            "version": __version__,
            "api_version": API_VERSION,
            "device": context.device.device,
            "device_name": context.device.name,
            "memory": {"total": memory.total, "available": memory.available, "server": resident_bytes()},
            "pid": os.getpid(),
            "jobs": {state: context.store.count(state) for state in ("queued", "running")},
        }

    @router.get("/methods", response_model=Methods)
    def methods() -> dict[str, Any]:
        """The methods that can be trained, with their presets and options."""
        from ..methods.registry import describe_methods

        return {"methods": describe_methods()}

    @router.post("/clients", response_model=Accepted)
    def add_client(client: Client) -> dict[str, str]:
        """The server also stays while this process lives."""
        context.parents.add(client.pid)
        return {"message": f"the server stays while process {client.pid} lives"}

    @router.post("/shutdown", status_code=202, response_model=Accepted)
    async def shutdown() -> dict[str, str]:
        """End the server; running trainings checkpoint first and go on when it starts again."""
        context.request_stop()
        return {"message": "the server ends"}

    return router
