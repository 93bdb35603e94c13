"""The server's HTTP client. No ``bpy``: it works from any Python with ``requests`` and ``numpy``.

from neural_render_addon.client import Client
client = Client("127.0.0.1", port, token)
job = client.submit("train", {"capture": "/path/stage", "scene": "/path/stage.scene", "minutes": 1})
for event in client.events(job.id):
    print(event.kind, event.data)
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import requests

from ..errors import ApiMismatch, ServerError, ServerUnreachable, WrongToken
from .messages import CacheUse, CaptureInfo, Event, Health, Job, MethodInfo, RenderedPlanes

API_VERSION = 1

# Seconds. Loopback connects at once or not at all; a server that reads a long video list answers late.
CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 120.0
# How long the event stream may be silent before the connection counts as lost; a living server sends a
# comment every five seconds.
SILENCE_TIMEOUT = 15.0
# Lost connections to the event stream in a row before the server counts as gone, and the pause between.
RECONNECT_ATTEMPTS = 5
RECONNECT_PAUSE = 0.5


class Client:
    """One server, by address and token. Safe to use from several threads, one call each at a time.

    Every call raises ServerUnreachable, WrongToken or ServerError; ``health`` also ApiMismatch. With
    ``use_tls`` the server must prove itself by ``certificate``, a PEM file, or, where that is empty, by one
    that this machine trusts.
    """

    def __init__(
        self, host: str, port: int, token: str, use_tls: bool = False, certificate: str = ""
    ) -> None:
        self.address = f"{host}:{port}"
        scheme, place = "https" if use_tls else "http", f"[{host}]" if ":" in host else host
        self.base_url = f"{scheme}://{place}:{port}/v1"
        self._certificate = certificate
        self._headers = {"Authorization": f"Bearer {token}"}
        self._local = threading.local()

    # -- calls ---------------------------------------------------------------------------------------

    def health(self) -> Health:
        """What the server is. Call it first: it also checks the version of the interface."""
        try:
            health = Health.from_json(self._json("GET", "/health"))
        except (KeyError, TypeError, ValueError) as error:
            raise ApiMismatch(
                f"What answers at {self.address} is no Neural Render server ({error!r}); "
                "check host and port in the add-on's preferences"
            ) from error
        if health.api_version != API_VERSION:
            raise ApiMismatch(
                f"The server at {self.address} (version {health.version}) speaks interface version "
                f"{health.api_version}, this add-on {API_VERSION}; press Install Server, or update the add-on"
            )
        return health

    def methods(self) -> list[MethodInfo]:
        return [MethodInfo.from_json(entry) for entry in self._json("GET", "/methods")["methods"]]

    def inspect_capture(self, path: str, **options: Any) -> CaptureInfo:
        """Cameras, times and clips of the capture at ``path`` (on the server's machine)."""
        return CaptureInfo.from_json(self._json("POST", "/captures/inspect", {"path": path, **options}))

    def capture_points(self, path: str, limit: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """At most ``limit`` points of a capture: positions (N, 3), colours (N, 3) sRGB."""
        data = self._json("POST", "/captures/points", {"path": path, "limit": limit})
        positions = np.frombuffer(base64.b64decode(data["positions"]), dtype="<f4").reshape(-1, 3)
        colors = np.frombuffer(base64.b64decode(data["colors"]), dtype=np.uint8).reshape(-1, 3)
        return positions, colors

    def align_capture(self, path: str, matrix: list[list[float]]) -> list[list[float]]:
        """Move a capture's coordinates by a 4x4 similarity; returns its whole alignment."""
        answer = self._json("POST", "/captures/align", {"path": path, "matrix": matrix})
        return [[float(value) for value in row] for row in answer["alignment"]]

    def set_readout(self, path: str, seconds: float, direction: str, cameras: list[str] | None) -> None:
        """Say how long the rolling shutter of the capture's ``cameras`` takes; None means all of them."""
        body = {"path": path, "seconds": seconds, "direction": direction, "cameras": cameras}
        self._json("POST", "/captures/readout", body)

    def inspect_scene(self, path: str) -> dict[str, Any]:
        """The content of ``scene.json`` of the scene folder ``path``, and its path."""
        return self._json("POST", "/scenes/inspect", {"path": path})

    def submit(self, kind: str, params: dict[str, Any], client_id: str = "") -> Job:
        """Queue a ``train``, ``render`` or ``solve`` job."""
        body: dict[str, Any] = {"kind": kind, "params": params}
        if client_id:
            body["client_id"] = client_id
        return Job.from_json(self._json("POST", "/jobs", body))

    def jobs(self) -> list[Job]:
        return [Job.from_json(entry) for entry in self._json("GET", "/jobs")["jobs"]]

    def job(self, job_id: str) -> Job:
        return Job.from_json(self._json("GET", f"/jobs/{job_id}"))

    def cancel(self, job_id: str) -> Job:
        return Job.from_json(self._json("POST", f"/jobs/{job_id}/cancel"))

    def pause(self, job_id: str) -> Job:
        return Job.from_json(self._json("POST", f"/jobs/{job_id}/pause"))

    def resume(self, job_id: str) -> Job:
        return Job.from_json(self._json("POST", f"/jobs/{job_id}/resume"))

    def prioritise(self, job_id: str, priority: int) -> Job:
        """Change a job's place in the queue, -100 to 100; one that runs is not interrupted."""
        return Job.from_json(self._json("POST", f"/jobs/{job_id}/priority", {"priority": priority}))

    def forget(self, job_id: str) -> None:
        """Remove a finished job from the server's list; its files stay."""
        self._request("DELETE", f"/jobs/{job_id}")

    def preview(self, job_id: str) -> bytes | None:
        """The newest preview of a training as PNG, or None before the first."""
        try:
            return self._request("GET", f"/jobs/{job_id}/preview").content
        except ServerError as error:
            if error.status == 404:
                return None
            raise

    def frame(self, job_id: str, name: str) -> bytes:
        """A finished frame of a render job, as the file that it is."""
        return self._request("GET", f"/jobs/{job_id}/frames/{name}").content

    def render(
        self,
        scene: str,
        camera: dict[str, Any],
        time: float,
        passes: tuple[str, ...] = ("combined", "depth"),
        dtype: str = "float16",
        background: str = "transparent",
        samples: int = 1,
    ) -> RenderedPlanes:
        """Render one frame at once; ``camera`` is an entry of a camera file, ``time`` in seconds.

        ``samples`` pictures are averaged where the camera has a lens or a shutter.
        """
        body: dict[str, Any] = {
            "scene": scene,
            "camera": camera,
            "time": time,
            "passes": list(passes),
            "format": "raw",
            "dtype": dtype,
            "background": background,
            "samples": samples,
        }
        response = self._request("POST", "/render", body, stream=True)
        try:
            # In one piece: ``response.content`` gathers megabytes 10 KB at a time, which takes longer
            # than the socket.
            content = b"".join(response.iter_content(chunk_size=None))
        except requests.exceptions.RequestException as error:
            raise self._lost() from error
        return RenderedPlanes.from_bytes(content, response.headers)

    def cache_use(self) -> CacheUse:
        """The finished frames that the server keeps."""
        return CacheUse.from_json(self._json("GET", "/cache"))

    def clear_cache(self) -> CacheUse:
        """Remove them all; returns what there was."""
        return CacheUse.from_json(self._json("DELETE", "/cache"))

    def register_client(self, pid: int) -> None:
        """Ask the server to stay while the process ``pid`` lives."""
        self._request("POST", "/clients", {"pid": pid})

    def shutdown(self) -> None:
        """Ask the server to end; running trainings write a checkpoint first."""
        self._request("POST", "/shutdown")

    def events(
        self,
        job_id: str,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """A job's events until its last state, over reconnections, without repeats.

        Ends early when ``stopped()`` turns true (asked at every event and every silence).
        """
        last_id = ""
        failures = 0
        while not stopped():
            try:
                for event in self._event_stream(job_id, last_id):
                    failures = 0
                    last_id = event.id or last_id
                    if stopped():
                        return
                    if event.kind:
                        yield event
                    if event.kind == "state" and event.data.get("state") in Job.FINAL_STATES:
                        return
                # The server ended the stream: the job has no more to say, or the server is stopping.
                job = self.job(job_id)
            except (requests.exceptions.RequestException, ServerUnreachable) as error:
                failures += 1
                if failures >= RECONNECT_ATTEMPTS:
                    raise self._lost() from error
            else:
                if job.is_final:
                    yield Event(kind="state", data=job.raw, id=last_id)
                    return
            time.sleep(RECONNECT_PAUSE)

    # -- transport -----------------------------------------------------------------------------------

    def _session(self) -> requests.Session:
        """This thread's session: ``requests`` promises nothing about sharing one."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            # A proxy from the environment must not come between Blender and its own machine.
            session.trust_env = False
            session.headers.update(self._headers)
            session.verify = self._certificate or True
            self._local.session = session
        return session

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, stream: bool = False
    ) -> requests.Response:
        try:
            response = self._session().request(
                method,
                self.base_url + path,
                json=body,
                timeout=(CONNECT_TIMEOUT, ANSWER_TIMEOUT),
                stream=stream,
                allow_redirects=False,  # our server sends nobody elsewhere
            )
        except requests.exceptions.ReadTimeout as error:
            raise ServerUnreachable(
                f"The server at {self.address} did not answer within {ANSWER_TIMEOUT:.0f} s; "
                "see its log, or stop and start it in the Server panel"
            ) from error
        except requests.exceptions.SSLError as error:
            raise ServerUnreachable(
                f"The server at {self.address} could not prove that it is yours ({error}); choose its "
                "certificate, with this host's name in it, in the add-on's preferences"
            ) from error
        except (requests.exceptions.RequestException, OSError) as error:
            if self._certificate and not os.path.isfile(self._certificate):
                raise ServerUnreachable(
                    f"{self._certificate}: there is no such file; choose the certificate in the preferences"
                ) from error
            is_elsewhere = self.base_url.startswith("https")
            remedy = "start it there" if is_elsewhere else "press Start Server in the Neural Render tab"
            raise ServerUnreachable(f"No server answers at {self.address}; {remedy}") from error
        self._check(response)
        return response

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._request(method, path, body)
        try:
            data = response.json()
        except ValueError as error:
            raise ApiMismatch(
                f"What answers at {self.address} is no Neural Render server; "
                "check host and port in the add-on's preferences"
            ) from error
        if not isinstance(data, dict):
            raise ApiMismatch(f"The server at {self.address} gave an answer of an unknown shape; update both")
        return data

    def _check(self, response: requests.Response) -> None:
        if response.ok and not response.is_redirect:
            return
        if response.status_code in (401, 403):
            raise WrongToken(
                f"The server at {self.address} refuses the token; clear it in the add-on's preferences to "
                "use the one of the running server, or copy that server's token there"
            )
        try:
            error = response.json()["error"]
            message, code = str(error["message"]), str(error.get("code", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            message, code = f"The server answered {response.status_code} {response.reason}; see its log", ""
        if code == "version":
            raise ApiMismatch(message)
        raise ServerError(message, code, response.status_code)

    def _lost(self) -> ServerUnreachable:
        return ServerUnreachable(
            f"The connection to the server at {self.address} was lost; start the server again, "
            "then press Resume to go on from the last checkpoint"
        )

    def _event_stream(self, job_id: str, last_id: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        with self._session().get(
            f"{self.base_url}/jobs/{job_id}/events",
            headers=headers,
            stream=True,
            timeout=(CONNECT_TIMEOUT, SILENCE_TIMEOUT),
            allow_redirects=False,
        ) as response:
            self._check(response)
            yield from parse_events(_lines(response.iter_content(chunk_size=None)))


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of a byte stream as soon as they are complete, however the stream is cut."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", errors="replace")


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events from the lines of a stream (WHATWG HTML, section 9.2.6).

    A comment line (a server's keep-alive) gives an event of no kind, so that a reader of the stream
    gets to look at the world.
    """
    kind, event_id = "", ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(kind=kind or "message", data=json.loads("\n".join(data)), id=event_id)
            kind, data = "", []
            continue
        if line.startswith(":"):
            yield Event(kind="", data={}, id=event_id)
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            event_id = value
        elif name == "data":
            data.append(value)
