-- per ordered pair of departments: the most ties that one person touches
SELECT giving, receiving, MAX(touched) AS most_touched
FROM (
    SELECT giving, receiving, person, SUM(n) AS touched
    FROM (
        SELECT giving, receiving, producer AS person, COUNT(*) AS n FROM labelled
        WHERE giving <> receiving GROUP BY giving, receiving, producer
        UNION ALL
        SELECT giving, receiving, consumer AS person, COUNT(*) AS n FROM labelled
        WHERE giving <> receiving GROUP BY giving, receiving, consumer
    ) sides GROUP BY giving, receiving, person
) people_touch GROUP BY giving, receiving
