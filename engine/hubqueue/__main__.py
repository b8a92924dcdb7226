"""`python -m hubqueue` is the command `hubqueue`."""

from hubqueue.cli import main

if __name__ == "__main__":
    main()
