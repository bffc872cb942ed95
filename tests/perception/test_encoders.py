"""Frozen encoders: each image encoded once, weights that fit or are refused, no code unasked."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from groundkit.errors import NetworkError
from groundkit.perception.encoder_kinds import load_encoder, with_output
from groundkit.perception.encoders import Encoder

SHAPE = (1, 4, 4)


class Counting:
    """Two features an image, and how many images it has been given."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return images.flatten(1)[:, :2]


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=generator)


def test_every_image_is_encoded_once_whatever_its_place(tmp_path):
    encode, x = Counting(), images(5)
    encoder = Encoder("a", "key", encode, shape=SHAPE, cache=tmp_path)
    measured = encode.seen
    found = encoder(torch.cat([x, x[:2]]))
    assert encode.seen == measured + 5
    assert torch.equal(found[5:], found[:2]) and torch.equal(encoder(x.flip(0)), found[:5].flip(0))
    assert encode.seen == measured + 5
    again = Encoder("a", "key", encode, shape=SHAPE, cache=tmp_path)
    measured = encode.seen
    assert torch.equal(again(x), found[:5]) and encode.seen == measured
    other = Encoder("a", "another key", encode, shape=SHAPE, cache=tmp_path)
    other(x)
    assert encode.seen == measured + 2 + 5


@pytest.mark.parametrize("harm", [lambda c: b"", lambda c: c[:-3], lambda c: b"\xff" * len(c)])
def test_a_damaged_cache_is_computed_anew(tmp_path, harm):
    x = images(3)
    found = Encoder("a", "key", Counting(), shape=SHAPE, cache=tmp_path)(x)
    (file,) = (tmp_path / "features").iterdir()
    file.write_bytes(harm(file.read_bytes()))
    assert torch.equal(Encoder("a", "key", Counting(), shape=SHAPE, cache=tmp_path)(x), found)


@pytest.mark.parametrize(
    ("encode", "shape", "said"),
    [
        (Counting(), (13,), "reads images, the inputs are rows"),
        (lambda x: x, SHAPE, r"turns 2 images into \(2, 1, 4, 4\)"),
        (lambda x: x.flatten(1) / 0, SHAPE, "features that are no numbers"),
        (nn.Linear(3, 3), SHAPE, "fails on images of 1x4x4"),
    ],
)
def test_what_is_no_encoder_of_these_images_is_refused(encode, shape, said):
    with pytest.raises(NetworkError, match=said):
        Encoder("a", "key", encode, shape=shape)


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """Weights of a small network of torchvision's, untrained."""
    from torchvision import models

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = models.get_model("squeezenet1_1", weights=None)
    save_file(network.state_dict(), folder / "all.safetensors")
    save_file({"odd": torch.zeros(2)}, folder / "odd.safetensors")
    torch.save(network.state_dict(), folder / "pickled.safetensors")
    return folder


def load(name, folder, weights="all.safetensors", **options):
    return load_encoder(name, weights and Path(weights), SHAPE, base=folder, **options)


def test_a_network_of_torchvision_s_gives_its_features_from_local_weights(squeezenet):
    encoder = load("torchvision:squeezenet1_1", squeezenet)
    found = encoder(images(2))
    assert found.shape == (2, encoder.features) == (2, 512)
    assert not torch.equal(found[0], found[1])
    assert (
        encoder.key
        != load_encoder(
            "torchvision:squeezenet1_1", Path("all.safetensors"), (3, 4, 4), base=squeezenet
        ).key
    )


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("torchvision:squeezenet1_1", None, "has no weights"),
        ("torchvision:squeezenet1_1", "odd.safetensors", "are not those of"),
        ("torchvision:squeezenet1_1", "pickled.safetensors", "cannot be read as safetensors"),
        ("torchvision:squeezenet1_1", "none.safetensors", "there is no file(.|\n)*downloaded"),
        ("torchvision:squeezenet", "all.safetensors", "did you mean 'squeezenet1_"),
        ("resnet18", None, "unknown encoder 'resnet18'"),
        ("onnx:", None, "unknown encoder"),
        ("onnx:a.onnx", "all.safetensors", "holds its own weights|needs the package"),
    ],
)
def test_names_and_weights_that_do_not_fit_are_refused(squeezenet, name, weights, said):
    with pytest.raises(NetworkError, match=said):
        load(name, squeezenet, weights)


def test_an_own_module_is_not_imported_unasked(tmp_path, monkeypatch):
    (tmp_path / "own_encoder_for_test.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(16, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name = "module:own_encoder_for_test:Net"
    with pytest.raises(NetworkError, match=r"code is not run unasked(.|\n)*--trust"):
        load(name, tmp_path, None)
    assert "own_encoder_for_test" not in sys.modules
    with pytest.raises(NetworkError, match="cannot be built"):
        load("module:own_encoder_for_test:Other", tmp_path, None, trust=True)
    torch.manual_seed(0)
    assert load(name, tmp_path, None, trust=True)(images(2)).shape == (2, 3)
    sys.modules.pop("own_encoder_for_test")


def test_an_inner_tensor_becomes_an_output_by_the_encoding_of_protocol_buffers():
    assert with_output(b"model", "ab") == b"model" + b"\x3a\x06" + b"\x62\x04" + b"\x0a\x02ab"
    long = with_output(b"", "x" * 200)
    assert long[:9] == b"\x3a\xce\x01" + b"\x62\xcb\x01" + b"\x0a\xc8\x01"


@pytest.mark.skipif(
    importlib.util.find_spec("timm") is not None, reason="timm is installed, so it is not missed"
)
def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path):
    with pytest.raises(NetworkError, match=r"needs the package timm(.|\n)*pip install"):
        load("timm:resnet18", tmp_path)


def recogniser():
    """The file of rapidocr-onnxruntime's recogniser of characters."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package is None:
        pytest.skip("rapidocr-onnxruntime is not installed")
    folder = Path(package.submodule_search_locations[0]) / "models"
    return next(folder.glob("*rec_infer.onnx"))


def test_an_encoder_that_a_package_ships_tells_digits_apart(tmp_path):
    from sklearn.linear_model import LogisticRegression

    from groundkit.data.sources import load_data

    name, shape = f"onnx:{recogniser()}#transpose_51.tmp_0", (1, 48, 48)
    encoder = load_encoder(name, None, shape, base=tmp_path)
    assert encoder.features == 120
    data = load_data("digits8").train.subset(range(300)).pixels
    labels = load_data("digits8").train.labels[:300]
    large = torch.nn.functional.interpolate(data.float(), shape[1:], mode="bilinear")
    found = encoder(large.round().to(torch.uint8)).numpy()
    model = LogisticRegression(max_iter=300).fit(found[:200], labels[:200])
    assert model.score(found[200:], labels[200:]) > 0.8
    with pytest.raises(NetworkError, match="has no tensor 'nothing'"):
        load_encoder(f"onnx:{recogniser()}#nothing", None, shape, base=tmp_path)


def test_a_file_that_is_no_onnx_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(NetworkError, match=r"'a.onnx' cannot be opened"):
        load("onnx:a.onnx", tmp_path, None)
