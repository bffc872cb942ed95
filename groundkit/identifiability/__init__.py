"""Which symbol maps a program and its observations admit: counted, listed, told apart."""
