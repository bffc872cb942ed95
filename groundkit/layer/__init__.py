"""Programs as torch modules, for one's own networks, loaders and loops."""
