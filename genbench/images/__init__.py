"""Images: where they come from, how they are decoded, and what is wrong with them before anything is measured.

sources.open_source    a folder, .zip, .tar, .npz, .npy or .parquet as one `ImageSource`
quantise.to_uint8      a sampler's floats to pixels, by the rule that its card declares
preflight.preflight    the report on images that streamed by a `Collector`
grid.grid              a preview as one picture
emoji32.load           the embedded data set
"""
