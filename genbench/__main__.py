"""`python -m genbench`, which `torchrun -m genbench` starts in every rank."""

from genbench.cli.main import main

if __name__ == "__main__":
    main()
