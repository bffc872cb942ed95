"""A run for each of several seeds, each a job of its own, and what they have in common.

``python examples/sweep_submitit.py SEEDS [A.B=V ...]`` hands the jobs to SLURM where there is one,
and runs them on this machine where there is none; settings of the spec may follow. A job that SLURM
ends early is queued again, and goes on where it was. It needs ``pip install 'groundkit[cluster]'``.
"""

import sys
from pathlib import Path

import submitit

import groundkit

PROGRAM = Path(__file__).parent.parent / "programs" / "sum.pl"
OUT = Path("runs/sweep")


class Seed:
    def __init__(self, seed, settings):
        self.seed, self.settings, self.out = seed, settings, OUT.resolve() / str(seed)

    def __call__(self):
        if (self.out / "run.json").exists():
            groundkit.run(PROGRAM, resume=self.out)
        else:
            groundkit.run(PROGRAM, out=self.out, seed=self.seed, settings=self.settings)

    def checkpoint(self):
        return submitit.helpers.DelayedSubmission(self)


def main(seeds, settings):
    executor = submitit.AutoExecutor(OUT / "jobs")
    executor.update_parameters(timeout_min=240, cpus_per_task=2, mem_gb=8)
    jobs = [executor.submit(Seed(seed, settings)) for seed in range(seeds)]
    for job in jobs:
        job.result()
    print(groundkit.compare(*(OUT / str(seed) for seed in range(seeds))))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
