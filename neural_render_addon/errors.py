"""Failures a user can cause or mend; each message is one sentence with the remedy."""


class AddonError(Exception):
    """Base of every expected failure inside the add-on; shown to the user as it is."""


class CameraError(AddonError):
    """A Blender camera or object cannot be expressed as a pinhole camera in capture coordinates."""


class ServerProcessError(AddonError):
    """The server cannot be found, installed, started or stopped."""


class ServerUnreachable(AddonError):
    """Nothing answers at the server's address, or the connection was lost."""


class WrongToken(AddonError):
    """The server refuses the token."""


class ApiMismatch(AddonError):
    """The server speaks another version of the HTTP interface."""


class ServerError(AddonError):
    """The server answered with an error; the message is the server's own sentence."""

    def __init__(self, message: str, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class JobCancelled(AddonError):
    """The user cancelled the job; what was finished is kept."""
