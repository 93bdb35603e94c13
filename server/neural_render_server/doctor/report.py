"""All checks, and their findings for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .finding import Finding
from .installation import check_proxies, check_versions


def examine(state_dir: Path | None) -> list[Finding]:
    """Every check; takes a few seconds, for torch is loaded. None is the default state folder.

    Where a package is missing or broken that is the only finding: the other checks need them.
    """
    versions = check_versions()
    if versions.status == "error":
        return [versions]
    from ..service.state import default_state_dir
    from .formats import check_codecs, check_frames
    from .machine import check_device, check_disk, check_driver, check_memory, nvidia_gpu
    from .service import check_ports, check_server, check_state_folder

    folder = (state_dir or default_state_dir()).expanduser().absolute()
    gpu = nvidia_gpu()
    findings = [
        versions,
        check_device(gpu),
        check_driver(gpu),
        check_memory(),
        check_disk(folder),
        check_codecs(),
        check_frames(),
        check_state_folder(folder),
        check_ports(),
        check_server(folder),
    ]
    proxy = check_proxies()
    return findings if proxy is None else [*findings, proxy]


def format_findings(findings: Sequence[Finding]) -> str:
    """One line a finding, and below it what to do."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:7}  {finding.name:{width}}  {finding.text}")
        if finding.remedy:
            lines.append(f"{'':7}  {'':{width}}  -> {finding.remedy}")
    return "\n".join(lines)
