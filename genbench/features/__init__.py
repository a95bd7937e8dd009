"""Features: what a network sees in an image. A feature space is an extractor, its preprocessing, and one layer.

space        what a feature space is, and what its digest covers (imports no torch)
spaces       the names (imports no torch)
encoder_spaces  those of networks that need a download (imports no torch)
extractor    images -> features of several spaces, one pass a network
precision    strict float32, or bfloat16
inception    the Inception graph that FID is defined on, behind four resizes
effnet       EfficientNet-Lite0
vgg          VGG-16 as LPIPS sees it
haar         wavelet packets
encoders     DINOv2, CLIP, ConvNeXt-V2, MAE and SigLIP 2, built by timm
openclip     whatever open_clip lists, images and text
pillow       resizing and cropping that round to uint8
optional     packages that only some spaces need
resize       the resizing rules as constant matrices
folding      batch normalisation into the convolution before it
"""
