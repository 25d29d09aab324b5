"""`python -m stacktune` is `stacktune`; in a checkout that nobody installed, `python -m pipeline` is too."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def main() -> None:
    """Run the command with the code that lies beside this file."""
    if __package__ == "stacktune":
        from stacktune.process import begin

        begin()
        from stacktune.cli import main

        return main()
    with TemporaryDirectory(prefix="stacktune-code-") as folder:
        from pipeline.package import link_package

        link_package(Path(folder))
        sys.path.insert(0, folder)
        # Ray's workers are given it too.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
        from stacktune.cli import main

        return main()


if __name__ == "__main__":
    main()
