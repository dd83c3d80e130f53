"""T3: text and a voice go in, speech tokens come out.

`prompt` turns text into text tokens, `network` holds the layers and the KV cache, `token_step` runs one step without
Python between the layers, `batch_step` one step of several utterances at once, `sampling` draws the next token, `model`
loads T3 and generates, and `batch` generates several utterances together. The sampler follows upstream's order of
steps, and tests compare the tokens with upstream's.

Modules outside use `T3` and `TokenRequest` of `model`, `Batch` and `Row` of `batch`, `T3Prefix` and `SPEAKER_WIDTH` of
`network`, `TextTokenizer` and `normalise` of `prompt`, and the guard and its constants of `sampling`.
"""
