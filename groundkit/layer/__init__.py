"""Programs as torch modules, for your own networks, loaders and loops."""
