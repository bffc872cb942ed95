"""DeepLog's side of ``benchmarks/layer.py``, for an interpreter that has pydeeplog 5.

``python benchmarks/layer_deeplog.py GIVEN.json`` prints one line of JSON. The network is the one of
``benchmarks/layer.py``, written out because groundkit is not installed there.
"""

import functools
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
    """Writes addition with a carry, the digits of the sum observed by a second predicate.

    It compiles in seconds where the names of a place's images stand together in the alphabet, and
    in minutes where they do not: DeepLog orders variables by their names.
    """
    lines = [f"split({total},{total % 10},{total // 10})." for total in range(20)]
    for k in range(1, digits + 1):
        place = f"digit(p{k}x,A), digit(p{k}y,B), is(T,+(A,B))"
        given = f"split(S,D,K), seen(p{k}z,D)"
        total = "is(S,+(T,J))" if k > 1 else "is(S,+(T,0))"
        lines.append(f"c{k}(K) :- {f'c{k - 1}(J), ' if k > 1 else ''}{place}, {total}, {given}.")
    images = [f"p{k}{letter}" for letter in "xyz" for k in range(digits, 0, -1)]
    names = [f"V{n}" for n in range(len(images) + 1)]
    lines.append(f"addition({','.join(names)}) :- c{digits}(K), seen({names[-1]},K).")
    seen = NEURAL.replace("net", "given").replace("digit", "seen")
    return "\n".join([NEURAL + seen, *lines, f"?- addition({','.join(images)},zz)."])


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
    # The module takes inputs network by network, each one's in the order of their names.
    read = [first - k for k in range(1, digits + 1) for first in (digits, 2 * digits)]
    places = [totals // 10**k % 10 for k in range(digits + 1)]
    rows = [torch.eye(10)[place].unsqueeze(1) for place in places]
    return module, lambda images: module(*images[read], *(row.to(images.dtype) for row in rows))


def main():
    """Times a training step, and gives the probabilities of all sums."""
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        given = json.load(file)
    digits, batch = given["digits"], given["batch"]
    torch.manual_seed(0)
    start = time.process_time()
    totals = torch.tensor(given["totals"])
    module, answer = build(digits, Convnet(), totals)
    cold = time.process_time() - start
    optimizer = torch.optim.Adam(module.parameters(), 1e-4)
    images = torch.randn(2 * digits, batch, 1, 1, 28, 28)

    def step():
        optimizer.zero_grad()
        (-answer(images).clamp_min(1e-9).log().mean()).backward()
        optimizer.step()

    step()
    times: list[float] = []
    while sum(times) < 1.0 or len(times) < 3:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    chances = torch.tensor(given["chances"], dtype=torch.float64)
    _, answer = build(digits, nn.Identity(), totals)
    probabilities = answer(chances.transpose(0, 1).unsqueeze(2)).flatten()
    found = {"step_s": sorted(times)[len(times) // 2], "cold_s": cold}
    print(json.dumps({**found, "probabilities": probabilities.tolist()}))


if __name__ == "__main__":
    main()
