"""ipclab: how Python processes can share state, measured and checked on the reader's own machine."""

__version__ = "0.1.0"
