"""What this machine and installation are fit for, and what to do about each thing that is not."""

from .finding import Finding, Status, worst
from .report import examine

__all__ = ["Finding", "Status", "examine", "worst"]
