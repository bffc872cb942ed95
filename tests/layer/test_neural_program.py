"""A program with the user's modules: one run a network, inputs of every form, messages."""

from __future__ import annotations

import copy
import os
import pickle
import socket

import pytest
import torch
from torch import Tensor, nn

from groundkit.errors import DataError, NetworkError
from groundkit.layer.neural_program import NeuralProgram

SUM = "nn(net,[X],Y,[0,1,2])::digit(X,Y). s(X,Y,Z) :- digit(X,A), digit(Y,B), Z is A+B."
TOTAL = """
nn(net,[X],Y,[0,1,2])::digit(X,Y). t(0.3)::noise.
total([],0). total([X|Xs],N) :- total(Xs,M), digit(X,D), N is M+D.
seen(Xs,N) :- total(Xs,N), \\+noise. seen(Xs,0) :- noise.
"""


class Counting(nn.Module):
    """A linear network that remembers how many inputs each call had."""

    def __init__(self, outputs: int, inputs: int = 4, shape: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs).double()
        self.shape = shape
        self.seen: list[int] = []

    def forward(self, *parts: Tensor) -> Tensor:
        self.seen.append(len(parts[0]))
        out = self.linear(torch.cat([part.flatten(1) for part in parts], 1))
        return out if self.shape is None else out.view(-1, *self.shape)


def make(text: str, goal: str, networks: dict, **options: object) -> NeuralProgram:
    return NeuralProgram(text, goal, networks, cache=None, limits=None, **options)


def images(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 2, 2, generator=generator, dtype=torch.float64)


def test_it_is_the_layer_on_the_networks_outputs() -> None:
    net = Counting(3)
    model = make(SUM, "s(X,Y,Z)", {"net": net})
    x, y = images(5, 1), images(5, 2)
    found = model.log_prob(X=x, Y=y, Z=[0, 1, 2, 3, 4])
    assert net.seen == [10]
    table = torch.stack([net(x), net(y)], 1).log_softmax(-1)
    assert torch.allclose(found, model.layer.log_prob({"net": table}, Z=[0, 1, 2, 3, 4]))
    assert torch.allclose(model(X=x, Y=y, Z=[0, 1, 2, 3, 4]), found)
    assert torch.allclose(model.log_probs(X=x, Y=y)["net"], table)
    found.sum().backward()
    assert net.linear.weight.grad.abs().sum() > 0
    posterior = model.posterior(X=x, Y=y, Z=[0, 1, 2, 3, 4])["net"]
    assert posterior.exp()[0].tolist() == [[1.0, 0.0, 0.0]] * 2


def test_predictions_are_the_best_answers() -> None:
    model = make(SUM, "s(X,Y,Z)", {"net": nn.Sequential(Counting(3), nn.Dropout(0.5))})
    x, y = images(4, 1), images(4, 2)
    found = model.predict(X=x, Y=y)
    model.eval()
    table = model.layer(model.log_probs(X=x, Y=y)).exp()
    assert found.variables == ("Z",)
    assert [int(answer) for answer in found.answers] == table.argmax(1).tolist()
    assert torch.allclose(found.probabilities, table.max(1).values)
    assert [row[0][0] for row in found.top(2)] == found.answers
    model.train()
    model.predict(X=x, Y=y)
    assert all(module.training for module in model.modules())
    with pytest.raises(DataError, match="leave Z out"):
        model.predict(X=x, Y=y, Z=1)
    told = model.predict(X=x, Y=y, evidence={"digit(X)": 2, "digit(Y)": 2})
    assert told.answers == ["4"] * 4


def test_evidence_says_that_an_atom_holds_or_that_it_does_not() -> None:
    text = SUM + " 0.3::odd. n(X,Z) :- digit(X,Z), \\+odd. n(X,Z) :- odd, digit(X,A), Z is 9-A."
    model = make(text, "n(X,Z)", {"net": Counting(3)})
    x = images(4)
    digits = model.log_probs(X=x)["net"][:, 0].exp()
    for odd, value in ((False, 1), (True, 8)):
        found = model.log_prob(X=x, Z=value, evidence={"odd": odd}).exp()
        torch.testing.assert_close(found, digits[:, 1])
    no_one = model.log_prob(X=x, Z=2, evidence={"odd": [False, True, None, False]}).exp()
    torch.testing.assert_close(no_one, digits[:, 2] * torch.tensor([1.0, 0.0, 0.7, 1.0]).double())


def test_one_tensor_is_one_input_for_all_that_read_it() -> None:
    text = """
    nn(shape,[X],Y,[0,1,2])::shape(X,Y). nn(colour,[X],Y,[0,1])::colour(X,Y).
    p(X,Y,Z) :- shape(X,A), colour(X,B), shape(Y,C), Z is A+B+C.
    """
    shape, colour = Counting(3), Counting(2)
    model = make(text, "p(X,Y,Z)", {"shape": shape, "colour": colour})
    x = images(6)
    model.log_prob(X=x, Y=x, Z=2)
    assert shape.seen == [6] and colour.seen == [6]


def test_lists_of_any_length() -> None:
    net = Counting(3)
    model = make(TOTAL, "seen(Xs,N)", {"net": net})
    shared = images(1, 9)[0]
    lists = [[shared, images(1, 1)[0]], [*images(3, 2)], [shared, shared]]
    found = model.log_prob(Xs=lists, N=[1, 4, 2])
    assert net.seen == [5]
    stacked = [torch.stack(example) for example in lists]
    assert torch.allclose(model.log_prob(Xs=stacked, N=[1, 4, 2]), found)
    for example, total, expected in zip(lists, (1, 4, 2), found, strict=True):
        alone = model.log_prob(Xs=[example], N=total)
        assert alone.item() == pytest.approx(expected.item(), abs=1e-12)
    predicted = model.predict(Xs=lists)
    assert len(predicted.answers) == 3 and predicted.probabilities.shape == (3,)
    assert next(iter(model.state_dict())) == "layer.learnable.group0"


def test_symbols_that_a_network_reads_need_none() -> None:
    text = """
    nn(net,[X],Y,[0,1,2])::digit(X,Y). nn(given,[Z],Y,[0,1,2])::given(Z,Y).
    add([],[],[],0).
    add([X|Xs],[Y|Ys],[Z|Zs],C) :- add(Xs,Ys,Zs,B), digit(X,A), digit(Y,D),
        S is A+B+D, E is S mod 3, C is S // 3, given(Z,E).
    sum(Xs,Ys,[Z|Zs]) :- add(Xs,Ys,Zs,C), given(Z,C).
    """
    model = make(text, "sum(Xs,Ys,Zs)", {"net": Counting(3)}, lists=["Zs"])
    x, y = [images(2, 1), images(1, 2)], [images(2, 3), images(1, 4)]
    found = model.log_prob(Xs=x, Ys=y, Zs=[[1, 0, 2], [1, 1]])
    one, two = (model.networks["net"](part[1]).softmax(1)[0] for part in (x, y))
    assert found[1].exp().item() == pytest.approx((one[2] * two[2]).item())
    with pytest.raises(DataError, match="domain"):
        model.log_prob(Xs=x, Ys=y, Zs=[[1, 0, 7], [1, 1]])


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_networks_of_one_probability(shape: tuple[int, ...]) -> None:
    net = Counting(2 if shape == (2,) else 1, shape=shape)
    model = make("nn(net,[X])::p(X). q(X) :- \\+p(X).", "q(X)", {"net": net})
    x = images(3)
    out = net(x)
    chance = out.softmax(1)[:, 0] if shape == (2,) else out.reshape(3).sigmoid()
    assert torch.allclose(model.log_prob(X=x).exp(), 1 - chance)


def test_networks_of_several_inputs() -> None:
    text = "nn(net,[X,Y],Z,[a,b])::same(X,Y,Z). q(X,Y) :- same(X,Y,a), same(Y,X,b)."
    net = Counting(2, inputs=8)
    model = make(text, "q(X,Y)", {"net": net})
    x, y = images(3, 1), images(3, 2)
    found = model.log_prob(X=x, Y=y)
    assert net.seen == [6]
    expected = net(x, y).log_softmax(1)[:, 0] + net(y, x).log_softmax(1)[:, 1]
    assert torch.allclose(found, expected)


def test_copies_and_names_that_torch_refuses() -> None:
    text = SUM.replace("net", "'my.net'")
    model = make(text, "s(X,Y,Z)", {"my.net": Counting(3)})
    expected = model.log_prob(X=images(2, 1), Y=images(2, 2), Z=1)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other.log_prob(X=images(2, 1), Y=images(2, 2), Z=1), expected)
    other.load_state_dict(model.state_dict())
    assert make(SUM.replace("net", "items"), "s(X,Y,Z)", {"items": Counting(3)}).log_prob(
        X=images(1), Y=images(1), Z=1
    ).shape == (1,)


def test_processes_that_meet_different_shapes_train_together() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    try:
        text = TOTAL + " t(0.5)::other. q(X) :- digit(X,0), other."
        model = make(text, "seen(Xs,N)", {"net": Counting(3)})
        together = nn.parallel.DistributedDataParallel(model)
        for length in (1, 2):  # the second step fails if a parameter had no gradient in the first
            (-together(Xs=[images(length)] * 2, N=[1, 0]).mean()).backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def probabilities() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3).double(), nn.Softmax(1))


@pytest.mark.parametrize(
    ("net", "columns", "message", "error"),
    [
        (Counting(4), {}, "(4, 3): 3 logits", NetworkError),
        (probabilities(), {}, "leave out the softmax", NetworkError),
        (Counting(3), {"X": None}, "input X", DataError),
        (Counting(3), {"Z": None}, "pass Z=...", DataError),
        (Counting(3), {"W": 3}, "no variable 'W'", DataError),
        (Counting(3), {"Y": images(3)}, "different numbers of examples", DataError),
        (Counting(3), {"Y": images(2)[:, :, :1]}, "different shapes", NetworkError),
        (Counting(3), {"Z": [1]}, "Z has 1 entries", DataError),
        (Counting(3), {"X": "a.png"}, "pass X=torch.stack(images)", DataError),
        (Counting(3), {"X": 3}, "the inputs X are 3", DataError),
    ],
)
def test_messages(net: nn.Module, columns: dict, message: str, error: type[Exception]) -> None:
    model = make(SUM, "s(X,Y,Z)", {"net": net}, inputs=["X", "Y"])
    given = {"X": images(2, 1), "Y": images(2, 2), "Z": [1, 2]} | columns
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(error) as caught:
        model.log_prob(**given)
    assert message in str(caught.value)


def test_lists_of_inputs_of_different_shapes_are_told() -> None:
    model = make(SUM, "s(X,Y,Z)", {"net": Counting(3)}, inputs=["X", "Y"])
    one = images(1)[0]
    with pytest.raises(DataError, match="the inputs X have the shapes"):
        model.log_prob(X=[one, one[:, :1]], Y=images(2), Z=1)


def test_networks_are_checked_by_name_and_kind() -> None:
    with pytest.raises(NetworkError, match="no network 'nte'"):
        make(SUM, "s(X,Y,Z)", {"nte": Counting(3)})
    with pytest.raises(NetworkError, match="type"):
        make(SUM, "s(X,Y,Z)", {"net": Counting})
    with pytest.raises(NetworkError, match="no network is given"):
        make(SUM, "s(X,Y,Z)", {})
    two = SUM + " nn(other,[X],Y,[0,1])::o(X,Y). p(X) :- o(X,1), digit(X,1)."
    with pytest.raises(NetworkError, match="'other' is missing"):
        make(two, "p(X)", {"net": Counting(3)}).log_prob(X=images(2))
    with pytest.raises(RuntimeError) as caught:
        make(SUM, "s(X,Y,Z)", {"net": Counting(3)}).log_prob(
            X=images(2, 1)[:, :, :1], Y=images(2, 1)[:, :, :1], Z=1
        )
    assert "network 'net' of the program" in caught.value.__notes__[0]


def test_a_batch_of_no_example_has_no_answers() -> None:
    model = make(SUM, "s(X,Y,Z)", {"net": Counting(3)})
    assert model.log_prob(X=images(0), Y=images(0), Z=[]).shape == (0,)
    assert model.predict(X=images(0), Y=images(0)).answers == []
    lists = make(TOTAL, "seen(Xs,N)", {"net": Counting(3)}, inputs=["Xs"], lists=["Xs"])
    assert lists.log_prob(Xs=[], N=[]).shape == (0,)
    assert lists.predict(Xs=[]).answers == []


@pytest.mark.parametrize(
    ("goal", "wrong", "right"),
    [
        ("s(X,Y,Z)", {"X": images(2), "Z": [1, 2]}, {"X": images(2), "Y": images(2), "Z": [1, 2]}),
        (
            "s(X,Y,Z)",
            {"X": [*images(2)], "Y": [*images(2)], "Z": [1, 2]},
            {"X": images(2), "Y": images(2), "Z": [1, 2]},
        ),
        ("seen(Xs,N)", {"Xs": images(2), "N": [1, 2]}, {"Xs": [images(2), []], "N": [1, 0]}),
    ],
)
def test_a_call_that_failed_does_not_bind_the_next_one(goal: str, wrong: dict, right: dict) -> None:
    model = make(SUM if goal[1] == "(" else TOTAL, goal, {"net": Counting(3)})
    with pytest.raises((DataError, NetworkError)):
        model.log_prob(**wrong)
    assert model.log_prob(**right).isfinite().all()


@pytest.mark.parametrize(
    ("goal", "columns", "remedy"),
    [
        ("s(X,Y,Z)", {"X": [*images(2)], "Y": [*images(2)], "Z": 1}, "pass X=torch.stack(images)"),
        ("seen(Xs,N)", {"Xs": images(2), "N": 1}, "give the variable that is a list as one"),
        ("s(X,Y,Z)", {"X": [images(1), ["a.png"]], "Y": images(2), "Z": 1}, "torch.stack(images)"),
    ],
)
def test_what_an_input_was_taken_for_is_said(goal: str, columns: dict, remedy: str) -> None:
    model = make(SUM if goal[1] == "(" else TOTAL, goal, {"net": Counting(3)})
    with pytest.raises(DataError) as caught:
        model.log_prob(**columns)
    assert remedy in caught.value.remedy


def test_networks_are_a_mapping() -> None:
    with pytest.raises(NetworkError, match="the networks are a Counting"):
        make(SUM, "s(X,Y,Z)", Counting(3))
