"""FlexVAR: an image scale by scale, each scale the whole image, on any list of scales."""
