"""DeepProbLog's own engine, as an engine of training and for tensors in programs."""
