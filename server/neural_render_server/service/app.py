"""The HTTP application: routes, errors and its OpenAPI description."""

from __future__ import annotations

import sqlite3

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import NeuralRenderError
from .context import Context
from .docs_page import docs_page
from .error_bodies import HttpError, error_body, error_code
from .guard import Guard
from .routes_captures import capture_routes
from .routes_jobs import job_routes
from .routes_render import render_routes
from .routes_system import system_routes
from .schemas import ERRORS

_DESCRIPTION = (
    "Trains radiance fields of filmed, moving scenes and renders them. Every call needs 'Authorization: "
    "Bearer TOKEN' with the token of server.json. Errors are {error: {code, message}}, the message one "
    "sentence. All paths are absolute paths on the server's machine."
)


def create_app(context: Context) -> FastAPI:
    """The application around one server's ``context``."""
    app = FastAPI(
        title="Neural Render",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=ERRORS,
        # The guard checks the token; this only describes it.
        dependencies=[Depends(HTTPBearer(auto_error=False))],
    )
    app.add_middleware(Guard, token=context.token, is_remote=context.is_remote)
    for router in (
        system_routes(context),
        capture_routes(context),
        job_routes(context),
        render_routes(context),
    ):
        app.include_router(router, prefix="/v1")

    @app.get("/v1/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    app.add_exception_handler(NeuralRenderError, _user_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(sqlite3.Error, _storage_error)
    app.add_exception_handler(Exception, _internal_error)
    return app


def _user_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NeuralRenderError)
    if isinstance(error, HttpError):
        return JSONResponse(error_body(error.code, str(error)), error.status)
    return JSONResponse(error_body(error_code(error), str(error)), 400)


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return JSONResponse(error_body("invalid_request", f"{place}: {first['msg']}; see /v1/docs"), 422)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        body = error_body("not_found", f"there is no {request.url.path}; the calls are listed at /v1/docs")
    else:
        body = error_body(
            "invalid_request", f"{request.method} {request.url.path}: {error.detail}; see /v1/docs"
        )
    return JSONResponse(body, error.status_code, headers=error.headers)


def _storage_error(request: Request, error: Exception) -> JSONResponse:
    message = f"the job database cannot be written ({error}); free some space on the disk of the state folder"
    return JSONResponse(error_body("storage", message), 503)


def _internal_error(request: Request, error: Exception) -> JSONResponse:
    message = f"the server failed on this request ({type(error).__name__}: {error}); its log has the details"
    return JSONResponse(error_body("internal", message), 500)
