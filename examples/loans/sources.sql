-- Loans and returns of three branches; statements end with a semicolon at the end of a line.
CREATE OR REPLACE TABLE library.desk.checkouts AS
SELECT
  id AS loan_number,
  concat('reader-', id % 17, '@example.com') AS borrower,
  element_at(array('Nørrebro', 'Østerbro', 'Amager'), CAST(id % 3 AS INT) + 1) AS branch,
  concat('Book ', id % 40) AS title,
  timestamp_seconds(1767225600 + id * 5400) AS lent_at,
  CAST(14 + id % 3 * 7 AS INT) AS days_allowed
FROM range(600);
CREATE OR REPLACE TABLE library.desk.returns AS
SELECT id AS loan_number, timestamp_seconds(1767225600 + id * 5400 + 86400 * (1 + id % 30)) AS returned_at
FROM range(600) WHERE id % 4 <> 0;
