"""The independent oracle: the marts once more, from the specification alone, to compare with what SQL makes.

Owns nothing but the names below it: `marts` (the numbers), `tape` (the recorded platform as frames),
`platforms` (small adversarial platforms) and `compare` (what counts as equal). None of them reads a model,
a macro or anything of `flows`.
"""
