"""The process that plays on a device through PortAudio.

PortAudio asks for sound in a callback, which must not be late. In the process that speaks, Python's interpreter is
often busy with other threads. So a process of its own plays (`process`). It stores 0.2 s of sound in a `buffer`, and
takes sound back that should not be played any more. Samples come in through a socket, and reports go out through it
(`wire`). To start quickly, it imports neither NumPy nor the rest of the project. `playback.player_process` is the other
end of the socket.
"""
