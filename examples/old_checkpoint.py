"""Use a checkpoint that another project trained, and give it back under that project's names.

python examples/old_checkpoint.py checkpoint.pth
"""

import sys

import torch

import uvala


def main(path: str) -> dict[str, torch.Tensor]:
    run, match = uvala.import_weights(path, f"{path}.run")
    print(f"recognised as {match.origin}; {'; '.join(run.card.data.notes)}")

    image = torch.randint(0, 256, (101, 67, match.recipe.config.in_channels), dtype=torch.uint8).numpy()
    prediction = uvala.load_run(run.path).predict(image)
    print(f"{image.shape} -> mask {prediction.mask.shape}, probabilities {prediction.probabilities.shape}")

    model = uvala.from_peer(match.origin, torch.load(path, weights_only=True))
    return uvala.to_peer(match.origin, model)


if __name__ == "__main__":
    main(sys.argv[1])
