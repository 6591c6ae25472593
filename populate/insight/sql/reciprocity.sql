-- pairs of people with ties in one and in both directions
SELECT SUM(CASE WHEN directions = 1 THEN 1 ELSE 0 END) AS one_way,
       SUM(CASE WHEN directions = 2 THEN 1 ELSE 0 END) AS both_ways
FROM (
    SELECT COUNT(*) AS directions FROM labelled
    GROUP BY LEAST(producer, consumer), GREATEST(producer, consumer)
) pairs
