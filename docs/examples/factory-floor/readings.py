"""A factory floor: 1,000 sensors of 100 machines, ten readings a second each, one JSON line for each, in real time.

`readings.py SECONDS`. Sensor 17 gives wild readings now and then, sensor 423 leaves its range.
"""

import json
import random
import sys
import time

SENSORS, PER_S = 1000, 10


def reading(sensor: int, at_ms: int, tick: int) -> dict[str, object]:
    value = 60 + sensor % 30 + random.gauss(0, 0.5)
    if sensor == 17 and tick % 20 == 19:
        value += 25
    if sensor == 423 and tick % 20 == 15:
        value = 130
    return {"sensor": f"s{sensor:04}", "machine": f"m{sensor // 10:02}", "at": at_ms, "value": round(value, 2)}


def main(seconds: int) -> None:
    start_s = int(time.time()) + 1
    for tick in range(seconds * PER_S):
        time.sleep(max(0.0, start_s + tick / PER_S - time.time()))
        at_ms = start_s * 1000 + tick * 1000 // PER_S
        lines = [json.dumps(reading(sensor, at_ms, tick)) for sensor in range(SENSORS)]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


main(int(sys.argv[1]))
