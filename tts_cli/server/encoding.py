"""Encodes sound while it is computed, in the formats of OpenAI's speech API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from tts_cli.audio import Samples, to_pcm16
from tts_cli.errors import UsageError
from tts_cli.playback.stream import wav_header
from tts_cli.server.connection_sink import Encoder

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""The media type of each format."""
INSTALL: Final = "run on the server: pip install '.[formats]'"


def encoder_for(name: str) -> Callable[[int], Encoder]:
    """What makes an encoder of a format, given samples a second.

    Parameters
    ----------
    name
        One of `MEDIA_TYPES`.

    Raises
    ------
    UsageError
        If the format needs a package that is not installed.
    """
    if name in ("opus", "aac"):
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise UsageError(f"this server cannot encode {name} ({error})", INSTALL) from error
    encoders: dict[str, Callable[[int], Encoder]] = {
        "mp3": lambda rate: LibsndfileEncoder(rate, "MP3", "MPEG_LAYER_III"),
        "flac": lambda rate: LibsndfileEncoder(rate, "FLAC", "PCM_16"),
        # A page of Ogg lasts a second by default: too long for a listener to wait.
        "opus": lambda rate: FfmpegEncoder(rate, "ogg", "libopus", {"page_duration": "100000"}),
        "aac": lambda rate: FfmpegEncoder(rate, "adts", "aac", {}),
        "wav": lambda rate: PcmEncoder(wav_header(rate)),
        "pcm": lambda _rate: PcmEncoder(),
    }
    return encoders[name]


class PcmEncoder:
    """16-bit little-endian PCM, mono.

    Parameters
    ----------
    header
        Bytes before the first sample.
    """

    def __init__(self, header: bytes = b"") -> None:
        self._header = header

    def encode(self, samples: Samples) -> bytes:
        """The samples, after the header if they are the first."""
        header, self._header = self._header, b""
        return header + to_pcm16(samples).tobytes()

    def finish(self) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Nothing is held."""


class LibsndfileEncoder:
    """A format that libsndfile writes, mono.

    Parameters
    ----------
    rate
        Samples a second.
    container, encoding
        As libsndfile calls them.
    """

    def __init__(self, rate: int, container: str, encoding: str) -> None:
        import soundfile

        self._out = _Appended()
        self._sound = soundfile.SoundFile(
            self._out, "w", samplerate=rate, channels=1, format=container, subtype=encoding
        )

    def encode(self, samples: Samples) -> bytes:
        """The frames that are complete."""
        self._sound.write(to_pcm16(samples))
        return self._out.taken()

    def finish(self) -> bytes:
        """The last frames."""
        self.close()
        return self._out.taken()

    def close(self) -> None:
        """Release the encoder."""
        self._sound.close()


class _Appended:
    """A file that gives away what is appended to it. What is written again later, such as the length, is lost."""

    def __init__(self) -> None:
        self._new = bytearray()
        self._position = self._end = 0

    def taken(self) -> bytes:
        new, self._new = bytes(self._new), bytearray()
        return new

    def write(self, data: Any) -> int:
        written = bytes(data)
        appended = written[self._end - self._position :] if self._position <= self._end else b""
        # The first frame of an MP3 has no sound. It is empty until the length is known, which comes too late here.
        if not (self._end == 0 and written[:1] == b"\xff" and not any(written[4:])):
            self._new += appended
        self._position += len(written)
        self._end = max(self._end, self._position)
        return len(written)

    def read(self, _size: int) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Called by libsndfile. There is nothing to flush."""


class FfmpegEncoder:
    """A format that FFmpeg's libraries write, through PyAV, mono.

    Parameters
    ----------
    rate
        Samples a second.
    container, codec
        As FFmpeg calls them.
    options
        Options of the container.
    """

    def __init__(self, rate: int, container: str, codec: str, options: Mapping[str, str]) -> None:
        import av

        self._out = _Pipe()
        self._container = av.open(self._out, "w", format=container, options=dict(options))
        self._stream = cast("Any", self._container.add_stream(codec, rate=_nearest(codec, rate)))
        self._stream.layout = "mono"
        self._frame = av.AudioFrame
        self._rate = rate
        self._samples = 0

    def encode(self, samples: Samples) -> bytes:
        """The packets that are complete."""
        if len(samples):
            frame = self._frame.from_ndarray(to_pcm16(samples)[None], format="s16", layout="mono")
            frame.sample_rate = self._rate
            self._container.mux(self._stream.encode(frame))
        return self._out.taken()

    def finish(self) -> bytes:
        """The last packets."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._out.taken()

    def close(self) -> None:
        """Release the encoder, which holds threads, also if the listener has left before the end."""
        self._container.close()
        self._stream = None


class _Pipe:
    """A file that cannot seek, and gives away what is written to it."""

    def __init__(self) -> None:
        self._new = bytearray()

    def taken(self) -> bytes:
        new, self._new = bytes(self._new), bytearray()
        return new

    def write(self, data: Any) -> int:
        self._new += data
        return len(data)


def _nearest(codec: str, rate: int) -> int:
    """The lowest rate of the codec that loses nothing; its highest if there is none."""
    import av

    rates = sorted(av.Codec(codec, "w").audio_rates or [rate])
    return next((each for each in rates if each >= rate), rates[-1])
