"""Pure checks: from what the workers logged to a verdict. No I/O, no clock, no backend."""
