"""The command line: every command, its options, its progress and its messages."""
