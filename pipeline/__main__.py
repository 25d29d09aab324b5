"""`python -m pipeline` is `stacktune`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
