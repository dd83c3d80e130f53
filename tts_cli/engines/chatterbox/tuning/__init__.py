"""What `auto` chooses from: the ways of computing that were timed on this machine, and the rule that chooses one.

`rule` chooses from what was timed, `store` keeps it in the user's cache, `identity` says what it is valid for, and
`plan` is what an engine asks when it loads. `search` decides what is timed, and `timing` times it. Modules outside use
all of these.
"""
