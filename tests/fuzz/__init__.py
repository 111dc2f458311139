"""Fuzzing of the two readers, `.params` and Symbol JSON; see README.md.

Cases are numbered. A block of `BLOCK` cases holds mutated files and what Hypothesis builds, in fixed places, so the
number and the seed alone say what a case is.
"""

BLOCK = 1000
PARAMS_MUTATED, JSON_MUTATED = range(0, 450), range(450, 900)
PARAMS_BUILT, JSON_BUILT = range(900, 950), range(950, 1000)
"""The places of a block: mutations of files, and batches that Hypothesis builds."""
