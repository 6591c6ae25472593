-- accesses that no tie is made of, each counted under the first reason that applies
SELECT reason, COUNT(*) AS rows_left_out, SUM(events) AS events
FROM (
    SELECT e.events, CASE
        WHEN e.producer = e.consumer THEN 'self'
        WHEN COALESCE(ps.service, FALSE) OR COALESCE(cs.service, FALSE) THEN 'service'
        ELSE 'unattributed' END AS reason
    FROM edges e
    LEFT JOIN (SELECT DISTINCT person, service FROM stints) ps ON ps.person = e.producer
    LEFT JOIN (SELECT DISTINCT person, service FROM stints) cs ON cs.person = e.consumer
    LEFT JOIN stints p ON p.person = e.producer AND e.day >= p.since_day AND e.day < p.until_day
    LEFT JOIN stints c ON c.person = e.consumer AND e.day >= c.since_day AND e.day < c.until_day
    WHERE e.producer = e.consumer OR COALESCE(ps.service, FALSE) OR COALESCE(cs.service, FALSE)
       OR p.person IS NULL OR c.person IS NULL
) left_out GROUP BY reason
