"""The server: one loaded engine that many listeners use, over WebSockets and HTTP.

`address.bind` binds an address; `running.serve` loads the engine and answers until a signal comes. `app` has the
routes. Each request is an utterance on a `Session`; `service` decides who may speak now. Most modules need the extra
`serve` (FastAPI, uvicorn and others). Modules outside, which are the command line and `resident`, use `address`,
`monitoring`, `request`, `running` and `service`.
"""
