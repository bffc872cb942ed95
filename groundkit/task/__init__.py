"""What a program and its spec ask for, held against each other and bound to data."""
