"""``python -m patchtst_har``: the command `patchtst-har`."""

from patchtst_har.cli import main

if __name__ == "__main__":
    main()
