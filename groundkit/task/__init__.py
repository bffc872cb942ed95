"""What a program and its spec ask for, checked for consistency and bound to data."""
