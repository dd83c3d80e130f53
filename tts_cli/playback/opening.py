"""Opens the sink for a file name or the name of an audio device, if asked to in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from tts_cli.playback import Sink
from tts_cli.playback.forwarding import ForwardingSink


class OpeningSink(ForwardingSink):
    """A sink that is opened in a thread, while the first sound is computed. Until then it does not play.

    Parameters
    ----------
    open
        Opens the sink. What it raises, `wait_open` and `check` raise.
    """

    def __init__(self, open: Callable[[], Sink]) -> None:  # noqa: A002 - what it does
        super().__init__(Sink())
        self._open = open
        self._known = Event()
        self._error: BaseException | None = None
        self._opener = Thread(target=self._run, name="open sink", daemon=True)
        self._opener.start()

    def wait_open(self) -> None:
        """See `Sink.wait_open`."""
        self._known.wait()
        self.check()

    def check(self) -> None:
        """Raise why the sink could not be opened, or ask it."""
        if self._error is not None:
            raise self._error
        super().check()

    def interrupt(self) -> None:
        """End the wait, and interrupt the sink if it is open."""
        self._known.set()
        super().interrupt()

    def close(self) -> None:
        """Wait until it is open or not to be opened, and close it."""
        self._opener.join()
        super().close()

    def _run(self) -> None:
        try:
            self._sink = self._open()
        except BaseException as error:  # noqa: BLE001 (raised where sound is written)
            self._error = error
        self._known.set()


def open_sink(output: str | Path | None, device: str | int | None, rate: int) -> Sink:
    """Open a sound file, or an audio device if there is no file name.

    Parameters
    ----------
    output
        The file to write; None to play.
    device
        As for `open_speaker`.
    rate
        Samples a second of the sound that will be written.

    Returns
    -------
    Sink
        To be closed by the caller.

    Raises
    ------
    UsageError
        If no sound file can have that name, or there is no such device.
    MissingError
        If there is no audio output, or it cannot be opened.
    OutputError
        If the file cannot be made.
    """
    if output is None:
        return open_speaker(device, rate)
    from tts_cli.playback.file import FileSink

    return FileSink(Path(output), rate)


def open_speaker(device: str | int | None, rate: int) -> Sink:
    """Open an audio device.

    Parameters
    ----------
    device
        Its number, its name or a part of its name; None for the system's default.
    rate
        Samples a second of the sound that will be written.

    Raises
    ------
    UsageError
        If there is no such device.
    MissingError
        If there is no audio output, or it cannot be opened.
    """
    from tts_cli.playback.devices import find_device
    from tts_cli.playback.speaker import SpeakerSink

    return SpeakerSink(find_device(None if device is None else str(device), rate), rate)
