"""What tests of several folders share. Importable in worker processes too, whatever their start method."""
