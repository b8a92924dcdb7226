"""`hubqueue demo`: a whole installation on one machine, to see how it behaves when the uplink comes and goes.

Sensors publish to a real MQTT broker, rules make jobs, workers take them, a forwarder carries readings to a
second hub in its own process. Only cli/demo.py starts it; nothing of the engine imports it.
"""
