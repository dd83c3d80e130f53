"""What `auto` comes to: the ways of computing that were timed on this machine, and the rule that chooses one of them.

`rule` chooses from what was timed, `store` keeps it in the user's cache, `identity` says what it is valid for, and
`plan` is what an engine asks when it loads. `search` decides what is timed, and `timing` times it. Modules outside use
`Plan`, `plan_for` and `forced` of `plan`, `tune` and `Tuned` of `search`, and `Row` and `Choice` of `rule`.
"""
