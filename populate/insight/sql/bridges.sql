-- per person: distinct colleagues and departments beyond the own one, in either direction
SELECT person, COUNT(DISTINCT other) AS cross_neighbours, COUNT(DISTINCT other_department) AS other_departments
FROM (
    SELECT producer AS person, consumer AS other, receiving AS other_department FROM labelled WHERE giving <> receiving
    UNION ALL
    SELECT consumer AS person, producer AS other, giving AS other_department FROM labelled WHERE giving <> receiving
) sides GROUP BY person
