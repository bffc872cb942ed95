import torch
from hypothesis import given
from hypothesis import strategies as st

from groundkit.perception import parts
from groundkit.perception.parts import in_parts


@given(
    st.integers(0, 40), st.integers(1, 9), st.integers(0, 60), st.sampled_from([(1,), (3,), (2, 2)])
)
def test_parts_give_what_all_inputs_at_once_give(count, most, values, image):
    inputs = torch.arange(count * torch.Size(image).numel(), dtype=torch.float64)
    inputs = inputs.reshape(count, *image)
    seen = []

    def read(part):
        seen.append(len(part))
        return torch.stack([part.flatten(1).sum(1), -part.flatten(1).sum(1)], dim=1)

    kept = parts.INPUTS, parts.VALUES
    parts.INPUTS, parts.VALUES = most, values
    try:
        found = in_parts(read, inputs)
    finally:
        parts.INPUTS, parts.VALUES = kept
    assert torch.equal(found, read(inputs))
    assert max(seen[:-1]) <= most
    assert max(seen[:-1]) * torch.Size(image).numel() <= values or max(seen[:-1]) <= 1
