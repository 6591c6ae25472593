-- one row a tie: its accesses and the number of different weeks it was active in
SELECT producer, giving, consumer, receiving, SUM(events) AS weight,
       BIT_COUNT(BIT_OR(CAST(POWER(2, FLOOR(day / 7) - first_week) AS BIGINT))) AS weeks
FROM attributed CROSS JOIN (SELECT MIN(FLOOR(day / 7)) AS first_week FROM attributed) w
GROUP BY producer, giving, consumer, receiving
