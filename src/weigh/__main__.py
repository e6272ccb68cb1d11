"""Run the command line as ``python -m weigh``."""

from weigh._cli import main

if __name__ == "__main__":
    main()
