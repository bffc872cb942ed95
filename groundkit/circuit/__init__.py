"""Ground programs as circuits: proof of structure, compilation, batched evaluation."""
