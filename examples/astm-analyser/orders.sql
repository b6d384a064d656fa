-- The orders that have come, and what became of those that were sent to the analyser.
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  sample TEXT NOT NULL,
  patient TEXT,
  tests TEXT NOT NULL,
  received TEXT,
  answers INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE sent (id INTEGER PRIMARY KEY, at TEXT NOT NULL, result TEXT NOT NULL);

-- The tubes that the analyser has asked for. The answer is the last order for the tube once more, or one without tests.
CREATE TABLE queries (sample TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX orders_of_sample ON orders (sample);
CREATE TRIGGER answer AFTER INSERT ON queries BEGIN
  INSERT INTO orders (sample, tests, received, answers) VALUES (NEW.sample, '[]', NEW.at, 1);
  UPDATE orders SET (patient, tests) = (last.patient, last.tests)
    FROM (SELECT patient, tests FROM orders WHERE sample = NEW.sample AND answers = 0 ORDER BY id DESC LIMIT 1) AS last
    WHERE orders.id = last_insert_rowid();
END;
