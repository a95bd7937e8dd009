"""The HTML report: a folder of static files that opens from disk.

site          suites to a folder: pages, style, script, and what an earlier report left behind
suite_page    one suite: its leaderboard, its figures, its galleries
section       a part of a page: a figure or gallery with its CSV and its SQL, or what to run for it
samples       images of the same seeds, run under run
influential   images that move the Fréchet distance most, and their nearest training images
correlograms  patch similarity by distance, from the feature cache
remaking      single images sampled again from their seeds
pictures      thumbnails, each content once
"""

from genbench.report.html.settings import Settings
from genbench.report.html.site import write_report

__all__ = ["Settings", "write_report"]
