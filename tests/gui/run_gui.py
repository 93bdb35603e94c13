"""A script in a real Blender with a window: builds and installs the extension, starts a server, runs it.

    python tests/gui/run_gui.py --blender DIR [--script viewport] [--scene DIR] [--out DIR]

``click_through``, the default, does the main job by mouse. ``viewport`` looks through the render engine at
a trained scene; without --scene the capture is trained for it first. ``captures`` renders a capture,
``panels`` pictures every panel.

DIR holds the wrappers ``blender`` and ``blender-gui`` (the second opens a private X server). The
server runs outside Blender's own system and is reached by host and port. Exits with 0 if everything
went well; the screenshots and the log are in the output folder. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EXTENSION = "neural_render"
# For the click-through tall, so that all panels are in sight at once; else about the size that is timed.
SCREENS = {"click_through": "1200x2400x24", "captures": "1200x1500x24", "panels": "900x5000x24"}
SCREEN = "960x620x24"


def main() -> int:
    options = parse_arguments()
    out = (options.out or Path(tempfile.mkdtemp(prefix="neural-render-gui-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    # The jobs of a run that was broken off would go on.
    for earlier in ("server", "neural_render", "room", "room.capture"):
        shutil.rmtree(out / earlier, ignore_errors=True)
    blender, blender_gui = str(options.blender / "blender"), str(options.blender / "blender-gui")
    screen = options.screen or SCREENS.get(options.script, SCREEN)
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(out / "user"), "GUI_SCREEN": screen}
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
            "footage": str(out / "room"),
            "scene": str(options.scene.resolve()) if options.scene else "",
            "out": str(out),
            "steps": options.steps,
            "downscale": options.downscale,
        }
        if options.script == "click_through":
            maker = [options.server_python, "tests/addon/make_captures.py", str(out), "room"]
            subprocess.run(maker, check=True, cwd=REPOSITORY, timeout=120)
        if options.script == "viewport" and not options.scene:
            settings["scene"] = train(options, out)
        if settings["scene"]:
            # Blender may see other folders than the server.
            rig = json.loads((Path(settings["scene"]) / "cameras.json").read_text())
            settings["camera"] = {**rig, **rig["frames"][0]}
        (out / "settings.json").write_text(json.dumps(settings))
        script = Path(options.script)
        if not script.suffix:
            script = Path(__file__).with_name(f"{options.script}.py")
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
    parser.add_argument("--script", default="click_through", help="a script beside this one, or a path")
    parser.add_argument("--screen", help="size and depth of the screen, such as 960x620x24")
    parser.add_argument("--scene", type=Path, metavar="DIR", help="a trained scene for the viewport")
    parser.add_argument("--capture", type=Path, default=REPOSITORY / "examples" / "stage24", metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--steps", type=int, default=400, help="optimisation steps after the resume")
    parser.add_argument("--downscale", type=float, default=2.0, help="of the training's pictures")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS")
    return parser.parse_args()


def train(options: argparse.Namespace, out: Path) -> str:
    """Train the capture for as many steps as the options say; returns the scene folder."""
    scene = str(out / "scene")
    command = [options.server_python, "-m", "neural_render_server.cli", "train", str(options.capture)]
    command += ["--out", scene, "--steps", str(options.steps), "--downscale", str(options.downscale)]
    subprocess.run([*command, "--overwrite"], check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    return scene


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
