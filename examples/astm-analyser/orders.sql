-- The orders that have come, and what became of those that were sent to the analyser.
CREATE TABLE orders (id INTEGER PRIMARY KEY, sample TEXT NOT NULL, patient TEXT, tests TEXT NOT NULL, received TEXT);
CREATE TABLE sent (id INTEGER PRIMARY KEY, at TEXT NOT NULL, result TEXT NOT NULL);
