"""Use a network of uvala in a training loop of your own."""

import torch

import uvala


def main() -> torch.Tensor:
    print(f"networks: {', '.join(uvala.list_models())}")
    model = uvala.create_model("unet", in_channels=4, num_classes=3, width=8, depth=3)
    image = torch.randn(1, 4, 101, 67)  # [B, C, H, W], any height and width
    logits = model(image)
    print(f"{tuple(image.shape)} -> {tuple(logits.shape)}")
    return logits


if __name__ == "__main__":
    main()
