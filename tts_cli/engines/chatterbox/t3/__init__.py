"""T3: text and a voice go in, speech tokens come out.

`prompt` makes text tokens of a text, `network` holds the layers and the KV cache, `token_step` runs one step of them
without Python in between, `sampling` draws the next token, and `model` is the entrance: it loads and generates. The
order of the sampler's steps is upstream's, and the tests compare the tokens with upstream's own: change neither alone.
"""
