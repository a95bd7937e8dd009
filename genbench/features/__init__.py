"""Features: what a network sees in an image. A feature space is an extractor, its preprocessing, and one layer.

spaces       the names, with what each depends on (imports no torch)
extractor    images -> features of several spaces, one pass a network
inception    the Inception graph that FID is defined on
effnet       EfficientNet-Lite0
resize       TensorFlow 1's bilinear and Pillow's bicubic as constant matrices
folding      batch normalisation into the convolution before it
"""
