"""A run from its program to its report, and what one asks of a finished one."""
