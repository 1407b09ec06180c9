"""What can go wrong, in words a user can act on.

Every error that a user can cause or mend is a `MelodaiError`: the commands print its message
without a traceback and exit with `exit_code`. Anything else that escapes is a bug.
"""


class MelodaiError(Exception):
    """A problem whose message names the offending value and the remedy."""

    exit_code = 1


class SettingError(MelodaiError, ValueError):
    """A setting or argument that cannot be used; the message says what is allowed."""

    exit_code = 2


class DataError(MelodaiError):
    """Songs, labels or splits that cannot be trained on or evaluated."""

    exit_code = 3


class AudioError(MelodaiError):
    """One file that cannot be used as audio; the message is the reason, without the file's name."""

    exit_code = 3


class DownloadError(MelodaiError):
    """Why something could not be fetched, as the part of a sentence."""


class CheckpointError(MelodaiError):
    """A checkpoint or run folder that is missing, damaged or made by other settings."""

    exit_code = 4


class NonFiniteLossError(MelodaiError):
    """The loss became NaN or infinite; raised before the weights were changed."""

    exit_code = 5


class RankFailedError(MelodaiError):
    """Another process of a data-parallel run has died."""

    exit_code = 6


class DependencyError(MelodaiError, ImportError):
    """A package is missing or does not fit; the message gives the command that mends it."""

    exit_code = 7
