"""Schedule: which thread computes which stage of an utterance, and how many tokens a chunk has.

Speech tokens come in, and chunks of sound go out (`stages`). `sizes` decides how many tokens each chunk has. `batching`
draws the tokens of several segments and texts at once in the order of `policy` (`drawn_tokens`); `prefetched_segments`
takes these segments before they are heard. `earliest_deadline` lets the flow and the vocoder of several texts compute
in turns. `threads` shares an engine's threads among utterances and stages. Modules outside use all of these. The
models themselves are in `t3` and `s3gen`.
"""
