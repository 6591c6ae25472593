-- accesses between two people, each with the department it belonged to on that day.
-- Views: edges(producer, consumer, day, events), stints(person, department, since_day, until_day, service);
-- days count from any fixed Monday, until_day is the first day that no longer belongs.
SELECT e.producer, p.department AS giving, e.consumer, c.department AS receiving, e.day, e.events
FROM edges e
JOIN stints p ON p.person = e.producer AND e.day >= p.since_day AND e.day < p.until_day
JOIN stints c ON c.person = e.consumer AND e.day >= c.since_day AND e.day < c.until_day
WHERE e.producer <> e.consumer AND NOT p.service AND NOT c.service
