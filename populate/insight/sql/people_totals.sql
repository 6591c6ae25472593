-- per person: ties given and received, cross-department ones among them, zeros included
SELECT p.person, p.department,
    COALESCE(g.given, 0) AS given, COALESCE(g.cross_given, 0) AS cross_given,
    COALESCE(r.received, 0) AS received, COALESCE(r.cross_received, 0) AS cross_received
FROM people p
LEFT JOIN (
    SELECT producer, COUNT(*) AS given, SUM(CASE WHEN giving <> receiving THEN 1 ELSE 0 END) AS cross_given
    FROM labelled GROUP BY producer
) g ON g.producer = p.person
LEFT JOIN (
    SELECT consumer, COUNT(*) AS received, SUM(CASE WHEN giving <> receiving THEN 1 ELSE 0 END) AS cross_received
    FROM labelled GROUP BY consumer
) r ON r.consumer = p.person
