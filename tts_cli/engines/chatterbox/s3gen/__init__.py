"""S3Gen: speech tokens come in, and samples go out, for a whole utterance or while its tokens arrive.

`decoder` is the API. Two networks compute the sound: the flow (`flow`, with `encoder`, `relative_attention`,
`estimator` and `estimator_layers`) computes mel frames from tokens, and the vocoder (`vocoder`, with `hift` and
`hift_layers`) computes samples from mel frames. Both can be streamed. `cached` runs the flow block by block, and
`cached_past` holds what its layers store for later blocks. `streaming` runs the vocoder's layers over a stream in
pieces. `strategies` decode and join chunks; a new strategy is a class there. `noise` draws noise by position, so that
whole and streamed sound begin with the same.

Modules outside use `cached`, `cached_past`, `decoder`, `noise` and `strategies`.
"""
