"""The process that plays on a device through PortAudio.

PortAudio asks for sound in a callback, which must not be late. In the process that speaks, Python's interpreter is
often busy with other threads. So a process of its own plays (`process`). It stores some sound in a `buffer`, and takes
back what should not be played any more. Samples come in through a socket, and reports go out through it (`wire`).
`playback.process_stream` is at the other end. To start quickly, the process imports neither NumPy nor the rest of the
project. Modules outside import `wire`, and start `process`.
"""
