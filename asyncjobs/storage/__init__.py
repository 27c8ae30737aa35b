"""Where jobs are kept: the protocol and the adapters that obey it."""
