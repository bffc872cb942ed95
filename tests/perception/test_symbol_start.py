import torch

from groundkit.perception.symbol_start import SymbolStart

SHAPE = (1, 4, 4)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def two_groups():
    """Dark images of symbol 0 and bright ones of symbol 1, three to one; symbol 2 has none."""
    symbols = (torch.arange(400) % 4 == 0).long()
    level = torch.where(symbols == 1, 0.5, -0.5)[:, None, None, None]
    images = level + 0.1 * torch.randn(400, *SHAPE, generator=rng())
    logits = torch.stack([1.0 - symbols, 1.0 * symbols, torch.zeros(400)], 1) * torch.linspace(
        5, 9, 400
    ).unsqueeze(1)
    return images, logits


def test_starts_look_like_the_images_of_their_symbol():
    images, logits = two_groups()
    start = SymbolStart(SHAPE, 3).fit(images, logits)
    drawn, _ = start.draw(torch.tensor([0] * 500 + [1] * 500), rng(1))
    for symbol, part in enumerate(drawn.split(500)):
        mine = images[logits.argmax(1) == symbol]
        assert torch.allclose(part.mean(0), mine.mean(0), atol=0.03)
        assert torch.allclose(part.std(0), mine.std(0), atol=0.03)


def test_levels_are_energies_of_the_symbols_images():
    images, logits = two_groups()
    start = SymbolStart(SHAPE, 3).fit(images, logits)
    _, levels = start.draw(torch.ones(2000, dtype=torch.long), rng(1))
    energies = -logits[logits.argmax(1) == 1, 1]
    assert energies.min() <= levels.min() and levels.max() <= energies.max()
    assert torch.allclose(levels.quantile(0.5), energies.quantile(0.5), atol=0.1)


def test_symbols_are_drawn_by_their_shares_and_one_without_images_still_has_a_start():
    images, logits = two_groups()
    start = SymbolStart(SHAPE, 3).fit(images, logits)
    counts = torch.bincount(start.draw_symbols(4000, rng(2)), minlength=3) / 4000
    assert torch.allclose(counts, torch.tensor([0.75, 0.25, 0.0]), atol=0.03)
    drawn, levels = start.draw(torch.full((500,), 2), rng(1))
    assert torch.allclose(drawn.mean(0), images.mean(0), atol=0.1) and torch.isfinite(levels).all()


def test_pixels_that_never_change_and_points_are_fine():
    images = torch.full((50, 1, 1, 2), -1.0)
    start = SymbolStart((1, 1, 2), 2).fit(images, torch.zeros(50, 2))
    drawn, _ = start.draw(torch.tensor([0, 1]), rng())
    assert torch.equal(drawn, torch.full((2, 1, 1, 2), -1.0))


def test_it_is_restored_from_its_state():
    images, logits = two_groups()
    start = SymbolStart(SHAPE, 3).fit(images, logits)
    other = SymbolStart(SHAPE, 3)
    other.load_state_dict(start.state_dict())
    symbols = torch.tensor([0, 1, 2])
    for ours, theirs in zip(start.draw(symbols, rng()), other.draw(symbols, rng()), strict=True):
        assert torch.equal(ours, theirs)


def test_renamed_starts_are_those_of_the_renamed_symbols():
    images, logits = two_groups()
    order = [2, 0, 1]
    moved = SymbolStart(SHAPE, 3).fit(images, logits)
    moved.permute_symbols(order)
    fitted = SymbolStart(SHAPE, 3).fit(images, logits[:, order])
    for name, tensor in fitted.state_dict().items():
        torch.testing.assert_close(moved.state_dict()[name].abs(), tensor.abs())


def test_a_symbol_of_few_images_starts_from_all():
    images, logits = two_groups()
    logits[:3, 2] = 100.0  # three images are of symbol 2
    start = SymbolStart(SHAPE, 3).fit(images, logits)
    assert torch.allclose(start.levels[2].min(), -logits[:, 2].max())
    assert start.levels[2].quantile(0.5) == 0  # what it gives the other images
