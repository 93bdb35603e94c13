"""The main job by mouse in a real Blender: builds and installs the extension, starts a server, clicks.

    python tests/gui/run_gui.py --blender DIR [--server-python PYTHON] [--capture DIR] [--out DIR]

DIR holds the wrappers ``blender`` and ``blender-gui`` (the second opens a private X server). The
server runs outside Blender's own system and is reached by host and port. Exits with 0 if everything
went well; the screenshots and the log are in the output folder. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EXTENSION = "neural_render"
# Tall, so that all panels are in sight at once.
SCREEN = "1200x1500x24"


def main() -> int:
    options = parse_arguments()
    out = (options.out or Path(tempfile.mkdtemp(prefix="neural-render-gui-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    blender, blender_gui = str(options.blender / "blender"), str(options.blender / "blender-gui")
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(out / "user"), "GUI_SCREEN": SCREEN}
    extension = [blender, "--command", "extension"]
    build = [*extension, "build", "--source-dir", str(REPOSITORY), "--output-dir", str(out)]
    subprocess.run(build, check=True, env=environment, cwd=REPOSITORY, timeout=120)
    built = max(out.glob(f"{EXTENSION}-*.zip"), key=lambda path: path.stat().st_mtime)
    install = [*extension, "install-file", "-r", "user_default", "-e", str(built)]
    subprocess.run(install, check=True, env=environment, cwd=REPOSITORY, timeout=120)
    server, ready = start_server(options.server_python, out)
    try:
        settings = {
            "host": ready["host"],
            "port": ready["port"],
            "token": ready["token"],
            "capture": str(options.capture.resolve()),
            "out": str(out),
            "steps": options.steps,
            "downscale": options.downscale,
        }
        (out / "settings.json").write_text(json.dumps(settings))
        script = Path(__file__).with_name("click_through.py")
        command = [blender_gui, "--factory-startup", "--enable-event-simulate"]
        command += ["--python-exit-code", "3", "--python", str(script)]
        with open(out / "blender.log", "wb") as log:
            code = subprocess.run(
                [*command, "--", str(out / "settings.json")],
                env=environment,
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=options.timeout,
            ).returncode
    finally:
        server.terminate()
        server.wait(30)
    print((out / "blender.log").read_text(errors="replace")[-6000:])
    print(f"exit code {code}; screenshots in {out}")
    return code


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blender", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--server-python", default=str(REPOSITORY / ".venvs" / "server" / "bin" / "python"), metavar="PYTHON"
    )
    parser.add_argument("--capture", type=Path, default=REPOSITORY / "examples" / "stage24", metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--steps", type=int, default=400, help="optimisation steps after the resume")
    parser.add_argument("--downscale", type=float, default=2.0, help="of the training's pictures")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS")
    return parser.parse_args()


def start_server(python: str, out: Path) -> tuple[subprocess.Popen[bytes], dict[str, object]]:
    command = [python, "-m", "neural_render_server.cli", "serve", "--state-dir", str(out / "server")]
    with open(out / "server.log", "wb") as log:
        server = subprocess.Popen(
            [*command, "--parent-pid", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        server.wait()
        sys.exit(f"the server did not start: {(out / 'server.log').read_text()}")
    return server, json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
