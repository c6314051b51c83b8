"""``python -m synth.cli``."""

from synth.cli import main

if __name__ == "__main__":
    main()
