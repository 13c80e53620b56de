"""``python -m setseq``, the same as ``setseq``; what launchers of several processes call."""

from setseq.cli import main

if __name__ == "__main__":
    main()
