"""Real servers to forward to, for the behaviour suite of the sinks (tests/engine/forward/test_behaviour.py)."""
