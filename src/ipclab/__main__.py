"""``python -m ipclab``."""

from ipclab.entry import main

if __name__ == "__main__":
    main()
