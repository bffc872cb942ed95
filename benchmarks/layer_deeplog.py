"""DeepLog's side of ``benchmarks/layer.py``, for an interpreter that has pydeeplog 5.

``python benchmarks/layer_deeplog.py GIVEN.json`` prints one line of JSON. The network is the one of
``benchmarks/layer.py``, written out because groundkit is not installed there.
"""

import functools
import itertools
import json
import sys
import time

import torch
from deeplog import Compiler, NetworkPredicate
from deeplog.grounding.prolog import str_to_rules
from deeplog.systems.deepproblog import SimpleGrounder, Solver, compile_to_module
from torch import nn

NEURAL = "nn(net, [X], Y, [0,1,2,3,4,5,6,7,8,9]) :: digit(X, Y).\n"
NAIVE = {
    1: NEURAL + "addition(A,B,S) :- digit(A,X), digit(B,Y), is(S,+(X,Y)).\n?- addition(i0,i1,S).",
    2: NEURAL + "addition(A,B,C,D,S) :- digit(A,P), digit(B,Q), digit(C,R), digit(D,T), "
    "is(L,+(*(10,P),Q)), is(M,+(*(10,R),T)), is(S,+(L,M)).\n?- addition(i0,i1,i2,i3,S).",
}


def carry(digits):
    """Writes addition with a carry, the digits of the sum observed by a second network.

    DeepLog orders variables by the names of predicates and inputs. Here each input has a predicate
    of its own, named by its place, so that a place's three stand together: with one predicate for
    all images the circuit grows about fivefold a digit.
    """
    heads, lines = [], [f"split({total},{total % 10},{total // 10})." for total in range(20)]

    def reads(name, network, value):
        heads.append(NEURAL.replace("net", network).replace("digit", f"d{name}"))
        return f"d{name}({name},{value})"

    for k in range(1, digits + 1):
        x, y = reads(f"p{k:02}x", "net", "A"), reads(f"p{k:02}y", "net", "B")
        total = "is(S,+(T,J))" if k > 1 else "is(S,+(T,0))"
        given = f"split(S,D,K), {reads(f'p{k:02}z', 'given', 'D')}"
        before = f"c{k - 1}(J), " if k > 1 else ""
        lines.append(f"c{k}(K) :- {before}{x}, {y}, is(T,+(A,B)), {total}, {given}.")
    last = reads("zz", "given", "K")
    return "\n".join([*heads, *lines, f"addition :- c{digits}(K), {last}.", "?- addition."])


class Convnet(nn.Module):
    """The small convolutional network, ending in a softmax."""

    def __init__(self):
        super().__init__()
        layers, before = [], 1
        for after, stride in ((16, 2), (32, 1), (32, 2), (64, 2)):
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.SiLU()]
            before = after
        layers += [nn.Flatten(), nn.Linear(64 * 16, 128), nn.Linear(128, 10), nn.Softmax(1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        """Maps ``(N, 1, 28, 28)`` images to ``(N, 10)`` probabilities."""
        return self.layers(x.reshape(-1, 1, 28, 28))


def build(digits, network, totals):
    """Compiles the program with a network; returns what maps images to P of each one's sum."""
    program = tuple(str_to_rules(NAIVE[digits] if digits in NAIVE else carry(digits)))
    atoms = {
        (name, 2, "probability"): functools.partial(NetworkPredicate, module=module)
        for name, module in (("net", network), ("given", nn.Identity()))
    }
    result = Solver(SimpleGrounder()).get_query_result(program)
    module = compile_to_module(result, Compiler(atom_builders=atoms))
    if digits in NAIVE:
        order = torch.tensor([int(goal[-1][0]) for goal in result.formulas]).argsort()
        return module, lambda images: module(*images)[:, order].gather(1, totals.view(-1, 1))
    rows = [torch.eye(10)[totals // 10**k % 10].unsqueeze(1) for k in range(digits + 1)]

    def by_place(images):
        given = [row.to(images.dtype) for row in rows]
        places = [
            (images[digits - k], images[2 * digits - k], given[k - 1]) for k in range(1, digits + 1)
        ]
        return module(*itertools.chain(*places), given[-1])

    return module, by_place


def median(step):
    """Returns the median processor time of a step, after one that is not timed."""
    step()
    times: list[float] = []
    while sum(times) < 1.0 or len(times) < 3:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2]


def training(digits, batch, totals):
    """Times a training step with the network."""
    module, answer = build(digits, Convnet(), totals)
    optimizer = torch.optim.Adam(module.parameters(), 1e-4)
    images = torch.randn(2 * digits, batch, 1, 1, 28, 28)

    def step():
        optimizer.zero_grad()
        (-answer(images).clamp_min(1e-9).log().mean()).backward()
        optimizer.step()

    return median(step)


def main():
    """Times a step, of training or of reasoning alone, and gives the probabilities of all sums."""
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        given = json.load(file)
    digits, batch = given["digits"], given["batch"]
    totals = torch.tensor(given["totals"])
    torch.manual_seed(0)
    chances = torch.tensor(given["chances"], dtype=torch.float64).transpose(0, 1).unsqueeze(2)
    beliefs = chances.float().requires_grad_()
    start = time.perf_counter()
    _, answer = build(digits, nn.Identity(), totals)

    def reason():
        beliefs.grad = None
        (-answer(beliefs).clamp_min(1e-30).log().mean()).backward()

    reason()
    found = {"cold_s": time.perf_counter() - start}
    if given["reasoning"]:
        found["step_s"] = median(reason)
    else:
        found["step_s"] = training(digits, batch, totals)
    print(json.dumps({**found, "probabilities": answer(chances).flatten().tolist()}))


if __name__ == "__main__":
    main()
