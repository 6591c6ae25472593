-- per ordered pair of departments: moments of the cross ties of each producer and each consumer
WITH cross_ties AS (
    SELECT producer, giving, consumer, receiving FROM labelled WHERE giving <> receiving
),
by_producer AS (
    SELECT producer, giving, receiving, COUNT(*) AS f FROM cross_ties GROUP BY producer, giving, receiving
),
producer_sum AS (SELECT producer, SUM(f) AS s FROM by_producer GROUP BY producer),
by_consumer AS (
    SELECT consumer, giving, receiving, COUNT(*) AS f FROM cross_ties GROUP BY consumer, giving, receiving
),
consumer_sum AS (SELECT consumer, SUM(f) AS s FROM by_consumer GROUP BY consumer)
SELECT 'producer' AS side, b.giving, b.receiving, SUM(b.f * b.f) AS ff, SUM(b.f * s.s) AS fs
FROM by_producer b JOIN producer_sum s ON s.producer = b.producer GROUP BY b.giving, b.receiving
UNION ALL
SELECT 'consumer' AS side, b.giving, b.receiving, SUM(b.f * b.f) AS ff, SUM(b.f * s.s) AS fs
FROM by_consumer b JOIN consumer_sum s ON s.consumer = b.consumer GROUP BY b.giving, b.receiving
