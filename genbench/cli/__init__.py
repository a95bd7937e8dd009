"""The command line: parse, call, print. Nothing here computes, and nothing loads torch before it is needed."""
