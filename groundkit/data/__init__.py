"""Data sets, images from files, and the examples that bind a goal's variables to them."""
