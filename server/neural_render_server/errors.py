"""The errors a user can cause or mend. Each message names the file or option and the remedy."""


class NeuralRenderError(Exception):
    """Base of every expected failure; the message is one clear sentence for the user."""


class CaptureError(NeuralRenderError):
    """A capture cannot be read or used."""


class SolveError(NeuralRenderError):
    """Cameras cannot be solved from footage, or recordings cannot be synchronised."""


class CameraFileError(NeuralRenderError):
    """A camera file cannot be read."""


class SceneError(NeuralRenderError):
    """A scene folder cannot be read, written or resumed."""


class OptionError(NeuralRenderError):
    """An option, preset or method does not exist or does not fit."""


class TrainingError(NeuralRenderError):
    """Training cannot go on; the last good checkpoint is kept."""


class ServiceError(NeuralRenderError):
    """The server cannot start, or cannot do what a request asks."""


class Cancelled(NeuralRenderError):
    """The user cancelled; what was finished is kept."""
