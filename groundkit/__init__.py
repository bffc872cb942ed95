"""groundkit: images become the symbols of a ProbLog program, without labels."""
