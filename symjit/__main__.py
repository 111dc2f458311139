"""``python -m symjit``."""

from symjit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
