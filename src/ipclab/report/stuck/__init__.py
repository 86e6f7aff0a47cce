"""What ``ipclab hang`` found, in each of its formats."""
