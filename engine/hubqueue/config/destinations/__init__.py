"""What each kind of destination adds to the keys of a forwarder: one module a kind, listed in config/forwarders.py."""
