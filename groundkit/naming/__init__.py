"""The search for the symbols that clusters stand for, from the program alone."""
