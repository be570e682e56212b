"""``python -m cxr_edge``."""

from cxr_edge.cli import main

if __name__ == "__main__":
    main()
