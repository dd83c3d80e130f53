"""What to do when a download fails: errors of the hub, the network and the disk, explained for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tts_cli.engines.chatterbox.weights.locate import INSTALL, storage
from tts_cli.engines.chatterbox.weights.models import Model
from tts_cli.errors import MissingError, TTSError, UsageError
from tts_cli.paths import is_full


@contextmanager
def explained_for(model: Model, revision: str) -> Iterator[None]:
    """Convert errors of huggingface_hub, the network and the disk into errors that say what to do.

    Parameters
    ----------
    model
        The model that is downloaded in the context.
    revision
        Its branch, tag or commit.
    """
    try:
        import filelock
        import httpx
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError
    except ImportError as error:
        raise MissingError(f"downloading needs the package {error.name}", f"run: {INSTALL}") from None
    again = "then run the same command again: what has been fetched is kept"
    try:
        yield
    except RevisionNotFoundError as error:
        remedy = "give one of its branches, tags or commits"
        raise UsageError(f"{model.repo} has no revision '{revision}'", remedy) from error
    except (HfHubHTTPError, httpx.HTTPStatusError) as error:
        raise _refusal(model, error.response.status_code, constants.ENDPOINT) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        message = f"the connection to {constants.ENDPOINT} failed ({why})"
        raise TTSError(message, f"check the network, {again}") from error
    except filelock.Timeout as error:
        raise TTSError("another process is downloading these weights", f"wait for it, {again}") from error
    except OSError as error:
        where = error.filename or storage(model)
        if is_full(error):
            raise TTSError(f"the disk is full at {where}", f"make room, {again}") from error
        message = f"cannot write the weights to {where}: {error.strerror or error}"
        raise TTSError(message, "make that folder writable, or let HF_HOME name another") from error


def _refusal(model: Model, status: int, endpoint: str) -> TTSError:
    if status in {401, 403}:
        return MissingError(
            f"{endpoint} does not let us read {model.repo} (HTTP {status})",
            "set HF_TOKEN to a token that may (https://huggingface.co/settings/tokens)",
        )
    if status == 404:
        return TTSError(f"{endpoint} lacks {model.repo} or a file of it (HTTP 404)", "check HF_ENDPOINT")
    return TTSError(f"{endpoint} answered HTTP {status}", "try again later: what has been fetched is kept")
