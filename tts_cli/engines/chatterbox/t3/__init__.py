"""T3: text and a voice go in, speech tokens come out.

`prompt` turns text into text tokens, `network` holds the layers and the KV cache, `batch_step` runs one step of one
utterance or several without Python between the layers (`attention` and `suffix` are its parts), and `token_step` does
so on a GPU and in int4. `sampling` draws the next token, `model` loads T3 and generates, and `batch` generates several
utterances together. The sampler follows upstream's order of steps, and tests compare the tokens with upstream's.

Modules outside use `batch`, `model`, `network`, `prompt` and `sampling`.
"""
