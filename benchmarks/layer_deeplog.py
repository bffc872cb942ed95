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
PROGRAMS = {
    1: NEURAL + "addition(A,B,S) :- digit(A,X), digit(B,Y), is(S,+(X,Y)).\n?- addition(i0,i1,S).",
    2: NEURAL + "addition(A,B,C,D,S) :- digit(A,P), digit(B,Q), digit(C,R), digit(D,T), "
    "is(L,+(*(10,P),Q)), is(M,+(*(10,R),T)), is(S,+(L,M)).\n?- addition(i0,i1,i2,i3,S).",
}


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


def build(digits, network):
    """Compiles the program with a network; returns the module and the order of its sums."""
    program = tuple(str_to_rules(PROGRAMS[digits]))
    predicate = functools.partial(NetworkPredicate, module=network)
    compiler = Compiler(atom_builders={("net", 2, "probability"): predicate})
    result = Solver(SimpleGrounder()).get_query_result(program)
    module = compile_to_module(result, compiler)
    sums = [int(goal[-1][0]) for goal in result.formulas]
    return module, torch.tensor(sums).argsort()


def main():
    """Times a training step, and gives the probabilities of all sums."""
    torch.set_num_threads(1)
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        given = json.load(file)
    digits, batch = given["digits"], given["batch"]
    torch.manual_seed(0)
    start = time.process_time()
    module, order = build(digits, Convnet())
    cold = time.process_time() - start
    optimizer = torch.optim.Adam(module.parameters(), 1e-4)
    images = torch.randn(2 * digits, batch, 1, 1, 28, 28)
    totals = torch.tensor(given["totals"])

    def step():
        optimizer.zero_grad()
        found = module(*images)[:, order].clamp_min(1e-9).log()
        (-found.gather(1, totals.view(-1, 1)).mean()).backward()
        optimizer.step()

    step()
    times: list[float] = []
    while sum(times) < 1.0 or len(times) < 3:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    exact, order = build(digits, nn.Identity())
    chances = torch.tensor(given["chances"], dtype=torch.float64)
    probabilities = exact(*chances.unsqueeze(2).unbind(1))[:, order]
    found = {"step_s": sorted(times)[len(times) // 2], "cold_s": cold}
    print(json.dumps({**found, "probabilities": probabilities.tolist()}))


if __name__ == "__main__":
    main()
