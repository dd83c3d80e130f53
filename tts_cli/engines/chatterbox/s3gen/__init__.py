"""S3Gen: speech tokens go in, samples come out, whole or as they come.

`decoder` is the entrance. `flow` makes mel frames of tokens with `encoder` and `estimator`; `cached` does so block by
block; `vocoder` makes samples of mel frames with the networks of `hift`. `strategies` are the ways to join chunks; a
new one is a class there. Noise is drawn by position (`noise`), so that whole and streamed sound use the same.
"""
