"""The U-Net of ablated diffusion models (ADM) as OpenAI's consistency models carry it."""
