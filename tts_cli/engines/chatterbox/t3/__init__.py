"""T3: text and a voice go in, speech tokens come out.

`prompt` makes of a text what the model reads, `model` holds the network and its KV cache, `token_step` runs a step
without Python in between, and `sampling` draws the next token. The order of the sampler's steps is upstream's, and
the tests hold tokens to upstream's own: change neither without them.
"""
