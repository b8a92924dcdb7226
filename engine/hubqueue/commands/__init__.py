"""The commands of the protocol: one family, one file, with struct, scope and handler of each command together."""
