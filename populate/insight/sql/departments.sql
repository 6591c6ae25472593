-- department sizes, people without a tie included
SELECT department, COUNT(*) AS people FROM people GROUP BY department ORDER BY department
