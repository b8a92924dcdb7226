"""The benchmark behind script/bench: a real server in its own process, loaded with raw frames from this one."""
