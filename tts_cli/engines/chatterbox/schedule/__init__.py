"""Schedule: which thread computes which stage of an utterance, and when a chunk is decoded.

Speech tokens come in, and chunks of sound go out (`stages`). `due` decides when the tokens drawn so far are decoded,
`drawing` draws the tokens of several segments and texts at once in the order of `policy`, `ahead` takes these segments,
`turns` lets the flow and the vocoder of several texts compute in turns, and `threads` shares an engine's threads among
utterances and stages. The models themselves are in `t3` and `s3gen`. Modules outside use `schedule`, `Schedule` and
`MOST` of `due`, `in_turn` and `side_by_side` of `stages`, `SegmentsAhead`, `Drawing`, `DrawnText`, `Tokens`,
`Listener`, `Turn`, `Turns`, and all of `threads`.
"""
