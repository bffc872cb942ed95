"""Perception: from images to symbol logits, one energy, and the terms of the bound. No logic.

Everything here reads the same logits ``f(x)`` of shape ``(B, K)``: the distribution over symbols
is ``softmax f(x)`` and the energy is ``-logsumexp f(x)``. Images are float tensors ``(B, C, H, W)``
scaled to [-1, 1].
"""
