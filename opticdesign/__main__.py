"""`python -m opticdesign` is the command `opticdesign`."""

from opticdesign.cli import main

if __name__ == "__main__":
    main()
