"""Our metrics against other libraries: the same numbers, in which time.

pip install -e '.[dev]'
python benchmarks/metrics.py verify [CASES]    # 1000; exit code 1 if a difference is too large
python benchmarks/metrics.py speed [ROUNDS]    # 7

Results and what they mean: docs/metrics-verified.md.
"""

import sys
from pathlib import Path

CASES, ROUNDS = 1000, 7

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # whose random cases are used


def main(arguments: list[str]) -> int:
    """What the command line asks for; the exit code."""
    if arguments[:1] == ["verify"]:
        from metrics_verified import verify

        return verify(int(arguments[1]) if len(arguments) > 1 else CASES)
    if arguments[:1] == ["speed"]:
        from metrics_speed import speed

        return speed(int(arguments[1]) if len(arguments) > 1 else ROUNDS)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
