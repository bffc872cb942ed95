"""Data sets that are drawn here, from a seed: pictures of which several things can be said."""
