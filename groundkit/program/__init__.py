"""Reading and grounding ProbLog programs with neural predicates; needs no torch."""
