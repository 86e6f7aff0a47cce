"""The shapes of traffic that a trial can have, one file each."""
