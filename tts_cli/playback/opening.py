"""Opens the sink for a file name or the name of an audio device."""

from __future__ import annotations

from pathlib import Path

from tts_cli.playback import Sink


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
