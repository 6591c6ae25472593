-- F_ab: ties that department a gives to department b
SELECT giving, receiving, COUNT(*) AS ties, SUM(weight) AS weight FROM labelled GROUP BY giving, receiving
