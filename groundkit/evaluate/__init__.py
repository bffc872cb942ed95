"""What a trained model is worth: grounding, clustering, calibration, OOD, generation.

Plain arrays in, frozen dataclasses out; their ``to_dict()`` has the keys of ``metrics.json``. A
number that cannot be had is ``None`` with the reason beside it.
"""
