"""Figures: each is a question to the store, in SQL, and a way to draw the answer as SVG, light and dark.

canvas        themes, the style of a run, from drawing to SVG
chart         what a figure is
heat          signed numbers in cells
quality_cost  value against network evaluations and seconds an image
agreement     rank correlation of metrics over runs
sample_size   Fréchet distance against the number of images
classes       contributions of classes to a Fréchet distance
training      value against epochs
encoders      iREPA's study of 27 encoders, from published figures
correlogram   mean cosine of patch tokens against their distance, generated and real

matplotlib and Jinja2 are of the extra ``report``.
"""
