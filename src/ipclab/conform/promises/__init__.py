"""The promises, one file for each subject. ``suite.PROMISES`` has all of them."""
