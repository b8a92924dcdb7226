-- Queries for dashboards over what a forwarder writes to PostgreSQL or TimescaleDB (forwarding.md).
--
-- The table and its aggregates are made by this forwarder; on TimescaleDB they are continuous aggregates, so that a
-- month is drawn as fast as an hour. Without it they are views of the same names and columns.
--
--   - queue: readings
--     to: postgresql://hub@timescale.example/telemetry
--     postgres:
--       password_file: db-password
--       table: readings
--       columns:
--         site: data.site
--         device: data.device
--         value: {from: data.value, type: double precision, required: true}
--       time: data.at
--       by: [site, device]
--       compress_after: 7d
--       drop_after: 365d
--       aggregates:
--         readings_1m: {every: 1m, by: [site, device], values: {value: [avg, min, max, last]}}
--         readings_1h: {every: 1h, by: [site, device], values: {value: [avg, min, max, sum, count]}}
--
-- $__timeFrom() and $__timeTo() are Grafana's: the span that the dashboard shows.

-- query: mean of each device
SELECT bucket AS time, site || '/' || device AS metric, value_avg AS value
FROM readings_1m
WHERE bucket BETWEEN $__timeFrom() AND $__timeTo()
ORDER BY time, metric;

-- query: range of each site by the hour
SELECT bucket AS time, site AS metric, min(value_min) AS low, max(value_max) AS high,
       sum(value_sum) / sum(value_count) AS mean
FROM readings_1h
WHERE bucket BETWEEN $__timeFrom() AND $__timeTo()
GROUP BY time, metric
ORDER BY time, metric;

-- query: readings per minute
SELECT bucket AS time, site AS metric, sum(rows)::double precision AS value
FROM readings_1m
WHERE bucket BETWEEN $__timeFrom() AND $__timeTo()
GROUP BY time, metric
ORDER BY time, metric;

-- query: last value of each device
SELECT DISTINCT ON (site, device) site, device, time, value
FROM readings
WHERE time BETWEEN $__timeFrom() AND $__timeTo()
ORDER BY site, device, time DESC;

-- query: devices that have been silent for five minutes
SELECT site, device, max(bucket) + INTERVAL '1 minute' AS silent_since
FROM readings_1m
WHERE bucket BETWEEN $__timeFrom() AND $__timeTo()
GROUP BY site, device
HAVING max(bucket) < $__timeTo() - INTERVAL '6 minutes'
ORDER BY silent_since;

-- query: minutes that are far from the mean of their hour
SELECT m.bucket AS time, m.site || '/' || m.device AS metric, m.value_avg AS value, h.value_avg AS expected
FROM readings_1m AS m
JOIN readings_1h AS h
  ON h.site = m.site AND h.device = m.device
 AND h.bucket <= m.bucket AND h.bucket > m.bucket - INTERVAL '1 hour'
WHERE m.bucket BETWEEN $__timeFrom() AND $__timeTo()
  AND abs(m.value_avg - h.value_avg) > 0.75 * nullif(h.value_max - h.value_min, 0)
ORDER BY time, metric;
