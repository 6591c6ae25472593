-- ties with both departments; self ties and people outside the directory are left out
SELECT t.producer, p.department AS giving, t.consumer, c.department AS receiving, t.weight
FROM ties t
JOIN people p ON p.person = t.producer
JOIN people c ON c.person = t.consumer
WHERE t.producer <> t.consumer
