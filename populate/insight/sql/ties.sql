-- one row a tie: its accesses and the number of different weeks it was active in.
-- The weeks are counted from the first one of the window, so that it may have up to 63.
SELECT producer, giving, consumer, receiving, SUM(events) AS weight,
       BIT_COUNT(BIT_OR(CAST(POWER(2, FLOOR(day / 7) - first_week) AS BIGINT))) AS weeks
FROM attributed CROSS JOIN (SELECT MIN(FLOOR(day / 7)) AS first_week FROM edges) w
GROUP BY producer, giving, consumer, receiving
