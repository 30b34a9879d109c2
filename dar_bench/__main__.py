"""``python -m dar_bench`` is ``dar-bench``."""

from dar_bench.cli.main import main

if __name__ == "__main__":
    main()
