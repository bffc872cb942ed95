"""Training: the terms added up, the names put right, the state kept."""
